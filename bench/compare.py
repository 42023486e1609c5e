#!/usr/bin/env python3
"""compare.py : times bench/patterns under several allocators, interleaved, and prints a table.

A round runs the patterns once under each allocator, A B C A B C ..., so that whatever else the
machine does falls on all of them alike. A ratio is taken within a round, against the first
allocator of the list (glibc), and the median of the rounds' ratios is what counts. A pattern that
fails is shown as a failure, never left out. The raw times go into --json's file, with the machine
they were taken on.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE = "glibc"
APART = ("large",)  # not in the geometric mean: what it measures is page faults

# Name, and where Debian or our build has it.
LIBRARIES = {
    "smp": [ROOT / "build/libduet-smp.so"],
    "ng": [ROOT / "build/libduet-ng.so"],
    "mimalloc": "libmimalloc.so.2",
    "jemalloc": "libjemalloc.so.2",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}
LIBRARY_FOLDERS = [Path("/usr/lib") / f"{platform.machine()}-linux-gnu", Path("/usr/lib"),
                   Path("/usr/lib64"), Path("/usr/local/lib")]


def fail(message):
    sys.exit(f"compare: {message}")


def find_library(known):
    places = known if isinstance(known, list) else [folder / known for folder in LIBRARY_FOLDERS]
    return next((place for place in places if place.exists()), None)


def choose_allocators(named):
    """{name: path of the library, or None for the C library's own}, the base first."""
    chosen = {BASE: None}
    for word in named:
        name, _, path = word.partition("=")
        if name == BASE:
            continue
        if path and not Path(path).exists():
            fail(f"no library {path}")
        found = Path(path) if path else find_library(LIBRARIES.get(name, []))
        if found is None:
            fail(f"no allocator '{name}'; name one of {', '.join(LIBRARIES)}, or NAME=LIBRARY")
        chosen[name] = found.resolve()
    if not named:
        for name, known in LIBRARIES.items():
            found = find_library(known)
            if found:
                chosen[name] = found.resolve()
            else:
                print(f"compare: {name} is not here, and is left out", file=sys.stderr)
    return chosen


def run_pattern(program, pattern, name, library):
    """Nanoseconds per operation, or a string that says how it failed."""
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    if library:
        environment["LD_PRELOAD"] = str(library)
    try:
        done = subprocess.run([program, pattern], env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        return f"status {done.returncode}"
    lines = done.stdout.splitlines()
    mapped = Path(lines[0].removeprefix("allocator ")).resolve()
    if (library and mapped != library) or (not library and not mapped.name.startswith("libc")):
        fail(f"{name}: malloc came from {mapped}, so this would time something else")
    return float(lines[1].split()[1])


def measure(program, patterns, allocators, rounds):
    """times[pattern][allocator] = one entry a round; the round before the first is thrown away."""
    times = {pattern: {name: [] for name in allocators} for pattern in patterns}
    for number in range(rounds + 1):
        for pattern in patterns:
            for name, library in allocators.items():
                if sys.stderr.isatty():
                    print(f"\r\033[Kround {number}/{rounds}: {pattern} {name}", end="",
                          file=sys.stderr, flush=True)
                result = run_pattern(program, pattern, name, library)
                if number > 0:
                    times[pattern][name].append(result)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return times


def failure_of(results):
    return next((result for result in results if isinstance(result, str)), None)


def ratios_of(times, name):
    """Round by round over the base; None where either failed."""
    if failure_of(times[name]) or failure_of(times[BASE]):
        return None
    return [mine / base for mine, base in zip(times[name], times[BASE])]


def time_cell(results):
    if failure_of(results):
        return failure_of(results)
    middle = statistics.median(results)
    spread = (max(results) - min(results)) / middle / 2
    return f"{middle:,.1f} ±{spread:.0%}"


def ratio_cell(ratios):
    if ratios is None:
        return "failed"
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def geometric_mean(ratios):
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


def mean_cell(times, patterns, name):
    ratios = [ratios_of(times[pattern], name) for pattern in patterns]
    if None in ratios:
        return "failed"
    return f"{geometric_mean([statistics.median(each) for each in ratios]):.3f}"


def print_table(title, header, rows):
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                            zip(row[1:], widths[1:]))]
        print("  ".join(cells).rstrip())


def print_results(times, allocators):
    names = list(allocators)
    print_table("Nanoseconds for one malloc and free: median of the rounds, ± half their spread",
                ["", *names], [[pattern, *(time_cell(times[pattern][name]) for name in names)]
                               for pattern in times])
    others = names[1:]
    if not others:
        return
    counted = [pattern for pattern in times if pattern not in APART]
    apart = [pattern for pattern in times if pattern in APART]
    row = lambda pattern: [pattern, *(ratio_cell(ratios_of(times[pattern], name))
                                      for name in others)]
    rows = [row(pattern) for pattern in counted]
    if counted:
        rows.append(["geometric mean", *(mean_cell(times, counted, name) for name in others)])
    if apart:
        rows += [["apart:", *("" for _ in others)], *(row(pattern) for pattern in apart)]
    print_table(f"Over {BASE}, within each round: median [least-most]; below 1 is faster",
                ["", *others], rows)


def describe_machine():
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.lower().startswith(("model name", "cpu part")):
            model = line.partition(":")[2].strip()
            break
    thp = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "transparent_hugepages": thp.read_text().strip() if thp.exists() else "absent",
        "load_before": os.getloadavg()[0],
    }


def describe_commit():
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def list_patterns(program):
    """The program names its patterns when asked for one that is not."""
    done = subprocess.run([program, "?"], stderr=subprocess.PIPE, text=True)
    return done.stderr.rpartition("there are:")[2].split()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("allocators", nargs="*", metavar="NAME[=LIBRARY]",
                        help=f"default: {BASE} and those found of {', '.join(LIBRARIES)}")
    parser.add_argument("--patterns", default=str(ROOT / "build/bench/duet_bench_patterns"),
                        help="the program built from patterns.c")
    parser.add_argument("--only", metavar="PATTERN,...", help="these patterns alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the raw times there")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.rounds < 1:
        fail("--rounds must be at least 1")
    if not os.access(arguments.patterns, os.X_OK):
        fail(f"no program {arguments.patterns}; `make bench` builds it")
    known = list_patterns(arguments.patterns)
    patterns = arguments.only.split(",") if arguments.only else known
    for pattern in patterns:
        if pattern not in known:
            fail(f"no pattern '{pattern}'; there are: {' '.join(known)}")
    allocators = choose_allocators(arguments.allocators)
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, "
          f"{machine['libc']}, load {machine['load_before']:.2f}, {arguments.rounds} rounds")

    times = measure(arguments.patterns, patterns, allocators, arguments.rounds)
    print_results(times, allocators)
    if arguments.json:
        raw = {
            "taken": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": describe_commit(),
            "machine": machine,
            "allocators": {name: str(path) if path else "the C library's"
                           for name, path in allocators.items()},
            "unit": "nanoseconds for one malloc and free, one entry a round",
            "times": times,
        }
        Path(arguments.json).write_text(json.dumps(raw, indent=2) + "\n")
    failed = any(failure_of(results) for row in times.values() for results in row.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
