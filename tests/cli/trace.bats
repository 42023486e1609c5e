#!/usr/bin/env bats
# duet record, duet trace and duet replay, as a user meets them.

# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # words for other shells, or many; variables of
# and for bats and cli.bash
bats_require_minimum_version 1.5.0

load cli.bash

# The engine that runs where none is asked for.
default=duet

setup() {
    setup_duet
    traces=$DUET_SOURCE/bench/traces
    programs=$DUET_BUILD/tests/trace
    faulty=$DUET_BUILD/tests/bench
    json=$work/report.json
    trace=$work/a.trace
    mkdir "$work/tmp"
    export TMPDIR=$work/tmp
    cd "$work" || return
}

# A recording and a replay leave nothing behind, however they end.
teardown() {
    if [ -n "$(ls "$work/tmp")" ]; then
        ls -R "$work/tmp"
        return 1
    fi
}

record() { # PROG ARGS...: into $trace, quietly
    "$duet" record -o "$trace" -- "$@" 2>"$work/said" || {
        cat "$work/said"
        return 1
    }
}

look() { # EXPRESSION [FILE]: of the trace's summary, in which it is `r`
    "$duet" trace --json "$json" "${2-$trace}" >/dev/null
    field "$1"
}

replay() { # EXPRESSION [OPTION...] FILE: of the replay's JSON
    local expression=$1
    shift
    "$duet" replay --json "$json" "$@" >/dev/null
    field "$expression"
}

# All that a sound recording, played, has to show: one after the other exactly what was recorded; in
# parallel, more than once, within 5 %. Whatever the allocator: here one with cheap large blocks.
check_replays() { # FILE
    "$python" - "$duet" "$1" <<'END'
import json, subprocess, sys
duet, trace = sys.argv[1:]
def report(*words):
    ended = subprocess.run([duet, *words, "--json", "-", trace], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 0, (words, ended.stderr)
    return json.loads(ended.stdout)
summary = report("trace")
assert summary["left_out"] == 0 and not summary["cut"], summary
for options in ["--serial"], [], []:
    replay = report("replay", "--with", "glibc", *options)
    recorded, found = replay["recorded_peak_live_bytes"], replay["peak_live_bytes"]
    assert replay["allocations"] == replay["recorded_allocations"], replay
    assert recorded == summary["peak_live_bytes"], replay
    assert found == recorded if options else abs(found / recorded - 1) <= 0.05, replay
END
}

# ---- Words -----------------------------------------------------------------------------------

@test "help goes to stdout with status 0" {
    for words in "record --help" "trace --help" "replay --help" "replay --list"; do
        run -0 --separate-stderr "$duet" $words
        [ -n "$output" ]
        [ -z "$stderr" ]
    done
}

@test "mistakes in the words are refused with 125 and one line" {
    refuse() { # WORDS...
        run -125 "$duet" "$@"
        [ "${#lines[@]}" = 1 ]
        [[ $output == "duet $1: "* ]]
    }
    refuse record
    refuse record --no-such-option true
    refuse record -o
    refuse record -o "" true
    refuse record -o - true
    refuse record -o /no/such/folder/file -- true
    refuse trace
    refuse trace --json
    refuse trace a b
    refuse trace --json "" a
    refuse replay
    refuse replay a b
    refuse replay --repeat 0 a
    refuse replay --with a,b c
    refuse replay --with "" c
    refuse replay --with no-such-allocator "$traces/cc1.trace"
    refuse replay --json /no/such/folder/file "$traces/cc1.trace"
}

@test "what cannot be run or recorded is refused as by duet run" {
    run -127 "$duet" record -- no-such-program
    run -127 "$duet" record -- /no/such/program
    run -126 "$duet" record -- /etc/passwd
    run -126 "$duet" record -- "$work"
    compile static -static <<<'int main(void) { return 0; }'
    run -126 "$duet" record -- "$work/static"
    [[ $output == *"statically linked"* ]]
    run -125 env TMPDIR=/no/such/folder "$duet" record -- true
    [ -z "$(find . -name '*.trace')" ]
}

# ---- Recording -------------------------------------------------------------------------------

@test "what a program allocates is recorded to the byte" {
    record "$programs/known"
    grep -q 'known (process [0-9]*): 54 allocations, 28 frees, 1 thread, 9.3 KiB live' said
    [ "$(look '[r[k] for k in ("program", "operations", "allocations", "callocs", "aligned",
        "frees", "threads", "peak_live_bytes", "allocated_bytes", "largest_bytes", "end_cells",
        "end_live_bytes", "most_cells", "failed", "left_out", "inherited", "cut")]')" = \
        "['known', 87, 54, 1, 2, 28, 1, 9500, 14800, 4800, 26, 4500, 50, 2, 0, 0, False]" ]
    [ "$(look '[r["reallocs"][k] for k in ("calls", "cells", "grown", "shrunk", "longest_chain",
        "longest_chain_end_bytes")], round(r["reallocs"]["growth"], 6)')" = \
        "([5, 1, 4, 1, 5, 2000], 2.0)" ]
    sizes="[(1, 1, 0, 0), (128, 50, 25, 2500), (512, 1, 0, 0), (1024, 1, 1, 1000),"
    sizes+=" (2048, 0, 1, 2000), (4096, 1, 1, 4000)]"
    [ "$(look '[(s["at_most_bytes"], s["allocated"], s["peak_cells"], s["peak_bytes"])
        for s in r["sizes"]]')" = "$sizes" ]
    check_replays "$trace"
}

@test "input, output, and exit status pass through" {
    run -7 --separate-stderr "$duet" record -o "$trace" -- \
        sh -c 'read -r line; echo "got $line"; echo oops >&2; exit 7' <<<hello
    [ "$output" = "got hello" ]
    [[ $stderr == *oops* ]]
    [ "$(look 'r["program"]')" = sh ]
}

@test "the trace is named after the program, and others are told of" {
    run -0 "$duet" record -- /bin/sh -c '/bin/ls /; :'
    [[ $output == *"): "*" live at the peak: sh.trace ("* ]]
    [[ $output == *"1 other process allocated less often: "*"--all writes traces of all"* ]]
    [ -s sh.trace ]
}

@test "with --all there is a trace for each process and each program that exec made of it" {
    "$duet" record --all -o all.trace -- sh -c 'ls / >/dev/null; exec ls /' >/dev/null 2>said
    [ "$(find . -name 'all.trace*' | wc -l)" = 3 ]
    names=$(for file in all.trace*; do look 'r["program"]' "$file"; done | sort | xargs)
    [ "$names" = "ls ls sh" ]
    [ -n "$(find . -name 'all.trace.*.1')" ] || [ -s all.trace ]
}

@test "programs write what they write anyway" {
    echo 'int square(int x) { return x * x; }' >square.c
    git init -q repository
    git -C repository -c user.name=a -c user.email=a@b commit -q --allow-empty -m first
    same() { # COMMAND...
        "$@" >expected 2>&1
        "$duet" record -o "$trace" -- "$@" >found 2>said
        cmp expected found
        [ "$(look 'r["allocations"] > 40 and r["left_out"] == 0')" = True ]
    }
    same gcc -O2 -S square.c -o -
    same /usr/bin/python3 -c 'import json; print(json.dumps({str(i): [i] * 3 for i in range(500)}))'
    same perl -e 'my %h = map { $_ => "x" x $_ } 1 .. 300; print join(",", sort keys %h), "\n"'
    same git -C repository log --stat
    same sqlite3 :memory: 'create table t(a, b); insert into t select value, hex(value) from
        json_each("[1,2,3,4]"); select sum(a), max(b) from t;'
}

@test "the compiler that gcc starts is what is recorded" {
    echo 'int square(int x) { return x * x; }' >square.c
    run -0 "$duet" record -- gcc -c square.c
    [[ $output == "duet record: cc1 (process "*": gcc.trace ("* ]]
    [ "$(look 'r["program"], r["operations"] > 5000' gcc.trace)" = "('cc1', True)" ]
    check_replays gcc.trace
}

@test "threads that take each other's cells are recorded in an order that fits" {
    for threads in 2 4 16; do
        record "$programs/crossing" $threads $((20000 / threads))
        [ "$(look 'r["threads"], r["frees_of_others"] > 100, r["end_cells"] <= 64')" = \
            "($((threads + 1)), True, True)" ]
        check_replays "$trace"
    done
}

@test "very many threads, one after the other, can be recorded and played" {
    compile turns -pthread <<'END'
#include <pthread.h>
#include <stdlib.h>
static void *work(void *cell) { free(cell); return malloc(200); }
int main(void)
{
    void *cell = malloc(100);
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, cell) != 0 || pthread_join(thread, &cell) != 0)
            return 1;
    }
    free(cell);
    return 0;
}
END
    record "$work/turns"
    [ "$(look 'r["threads"], r["frees_of_others"] >= 1000')" = "(1001, True)" ]
    check_replays "$trace"
}

@test "a signal handler may allocate in the middle" {
    compile handler <<'END'
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
static volatile int calls;
static void handle(int signal)
{
    (void)signal;
    free(realloc(malloc(300), 3000));
    calls++;
}
int main(void)
{
    struct itimerval often = {{0, 200}, {0, 200}};
    signal(SIGALRM, handle);
    setitimer(ITIMER_REAL, &often, NULL);
    void *cell = malloc(10);
    for (unsigned i = 0; calls < 300; i++) {
        cell = realloc(cell, 1 + i % 5000);
        free(malloc(i % 500));
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    free(cell);
    return 0;
}
END
    record "$work/handler"
    [ "$(look 'r["end_cells"], r["threads"], r["reallocs"]["calls"] > 300')" = "(0, 1, True)" ]
    check_replays "$trace"
}

@test "a signal handler may fork in the middle" {
    compile forks <<'END'
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
enum { CHILDREN = 12, CELLS = 64 };
static volatile int children;
static volatile int is_child;
static void handle(int signal)
{
    (void)signal;
    if (children >= CHILDREN)
        return;
    is_child = _Fork() == 0;
    /* Half of them allocate before they go on with what was interrupted. */
    if (children++ % 2 == 0 && is_child)
        free(malloc(7));
}
int main(void)
{
    static void *cells[CELLS];
    struct itimerval often = {{0, 500}, {0, 500}};
    unsigned left = 1000;
    signal(SIGALRM, handle);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; is_child ? left-- > 0 : children < CHILDREN; i++) {
        void **cell = &cells[i * 7919u / 3 % CELLS];
        free(*cell);
        *cell = malloc(i % 500);
    }
    for (int i = 0; i < CELLS; i++)
        free(cells[i]);
    while (!is_child && wait(NULL) > 0)
        continue;
    _exit(0);
}
END
    "$duet" record --all -o all.trace -- "$work/forks" 2>said
    run ! grep 'never seen' said
    [ "$(find . -name 'all.trace*' | wc -l)" = 13 ]
    for file in all.trace*; do
        [ "$(look 'r["end_cells"], r["left_out"], r["cut"]' "$file")" = "(0, 0, False)" ]
    done
    check_replays "$file"
}

# ---- Fork, exec, and sudden ends -------------------------------------------------------------

@test "a child of fork has a trace of its own, with what it inherited" {
    compile forks <<'END'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    void *kept = malloc(1000);
    void *freed = malloc(500);
    free(freed);
    void *grown = calloc(1, 70);
    if (fork() == 0) {
        free(kept);
        grown = realloc(grown, 7000);
        if (fork() == 0) {
            free(grown);
            free(malloc(1));
            _exit(0);
        }
        wait(NULL);
        _exit(0);
    }
    wait(NULL);
    free(kept);
    free(grown);
    for (int i = 0; i < 10; i++)
        free(malloc(1));
    return 0;
}
END
    "$duet" record --all -o all.trace -- "$work/forks" 2>said
    # The child between the two allocates nothing, and has no trace.
    [ "$(find . -name 'all.trace*' | wc -l)" = 2 ]
    what='[r[k] for k in ("inherited", "allocations", "frees", "end_cells", "left_out",
        "peak_live_bytes")]'
    [ "$(look "$what" all.trace)" = "[0, 13, 13, 0, 0, 1500]" ]
    grandchild=$(find . -name 'all.trace.*')
    [ "$(look "$what" "$grandchild")" = "[1, 2, 2, 0, 0, 7000]" ]
    check_replays "$grandchild"
}

@test "a child is not recorded if its parent's recording was closed before" {
    compile late <<'END'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
    char line;
    int status = 1;
    free(malloc(10));
    if (write(1, "\n", 1) != 1 || read(0, &line, 1) != 1)
        return 1;
    if (fork() == 0) {
        free(malloc(20));
        _exit(0);
    }
    wait(&status);
    return status;
}
END
    closed=48 # where the head has it: see raw.h
    library=$DUET_BUILD/record/libduet-record.so
    mkdir raw
    mkfifo in out
    DUET_RECORD=$work/raw LD_PRELOAD=$library ./late <in >out &
    late=$!
    exec {in}>in {out}<out
    read -r -u "$out"
    file=$(echo raw/*)
    printf '\1' | dd of="$file" bs=1 seek=$closed conv=notrunc status=none
    echo >&"$in"
    wait $late
    exec {in}>&- {out}<&-
    [ "$(echo raw/*)" = "$file" ]
}

@test "a program that is killed leaves a trace, and its signal" {
    compile killed <<'END'
#include <signal.h>
#include <stdlib.h>
int main(void)
{
    for (int i = 1; i <= 20000; i++)
        if (malloc((size_t)i) == NULL)
            return 1;
    return raise(SIGKILL);
}
END
    run -137 "$duet" record -o "$trace" -- "$work/killed"
    [ "$(look '[r[k] for k in ("allocations", "frees", "peak_live_bytes", "cut")]')" = \
        "[20000, 0, 200010000, False]" ]
}

@test "signals for the launcher reach the program" {
    "$duet" record -o "$trace" -- bash -c 'trap "exit 9" TERM; echo ready >ready; while :; do
        sleep 0.05; done' 2>said &
    launcher=$!
    for ((i = 0; i < 200; i++)); do
        [ ! -e ready ] || break
        sleep 0.05
    done
    kill -TERM $launcher
    status=0
    wait $launcher || status=$?
    [ $status = 9 ]
    [ "$(look 'r["program"]')" = bash ]
}

@test "where there is no room, recording ends with a line, and the program goes on" {
    compile many <<'END'
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    for (int i = 0; i < 100000; i++)
        free(malloc(10));
    puts("done");
    return 0;
}
END
    ulimit -f 700
    run -0 "$duet" record -o "$trace" -- "$work/many"
    [[ $output == *"many: cannot extend "*"File too large; its recording ends here,"* ]]
    [[ $output == *"its recording ends here, the program goes on"* ]]
    [[ $output == *done* ]]
    [[ $output == *"the recording of many ended before it did: File too large"* ]]
    [ "$(look 'r["cut"], r["allocations"] > 1000')" = "(True, True)" ]
    ulimit -f 100
    run -125 "$duet" record -o none.trace -- "$work/many"
    [[ $output == *"nothing could be recorded of"* ]]
    [ ! -e none.trace ]
}

@test "a program that allocates nothing has no trace" {
    compile nothing <<<'int main(void) { return 0; }'
    run -125 "$duet" record -o "$trace" -- "$work/nothing"
    [[ $output == *"allocated nothing through the library"* ]]
    [ ! -e "$trace" ]
}

# ---- Traces ----------------------------------------------------------------------------------

@test "duet trace prints a summary, in both character sets" {
    run -0 "$duet" trace "$traces/redis.trace"
    [[ $output == "duet: a trace of redis-server, with 4 threads"* ]]
    for words in "never freed" "across threads" "allocations until" "of others'" "█" \
        "of the allocations are of at most"; do
        grep -q "$words" <<<"$output"
    done
    run -0 env LC_ALL=C "$duet" trace "$traces/cc1.trace"
    [[ $output == *"###"* ]]
    run ! grep -P '[^\x00-\x7f]' <<<"$output"
    run -0 --separate-stderr "$duet" trace --json - "$traces/cc1.trace"
    "$python" -c 'import json, sys; json.loads(sys.argv[1])' "$output"
    [[ $stderr == "duet: a trace of cc1"* ]]
    run -125 bash -c '"$0" trace "$1" >/dev/full' "$duet" "$traces/cc1.trace"
}

@test "what is no trace, or of another version, is refused" {
    refuse() { # FILE WORDS: for all that read traces
        run -125 "$duet" trace "$1"
        [ "${#lines[@]}" = 1 ]
        [[ $output == *"$2"* ]]
        run -125 "$duet" replay "$1"
        [[ $output == *"$2"* ]]
    }
    refuse /no/such/file "No such file"
    refuse "$work" "Is a directory"
    refuse /dev/null "is empty"
    refuse /etc/passwd "is no trace of duet's"
    echo x >x
    refuse x "is no trace of duet's"
    head -c 100 "$traces/cc1.trace" >x
    refuse x "is cut short"
    { head -c 8 "$traces/cc1.trace"; printf '\2'; tail -c +10 "$traces/cc1.trace"; } >x
    refuse x "has another version"
    { cat "$traces/cc1.trace"; echo; } >x
    refuse x "something follows its end"
}

@test "a trace that is damaged anywhere is refused" {
    record "$programs/known"
    run -0 "$python" - "$duet" "$trace" "$work/damaged" <<'END'
import subprocess, sys
duet, trace, damaged = sys.argv[1:]
whole = open(trace, "rb").read()
def refused(content, what):
    open(damaged, "wb").write(content)
    ended = subprocess.run([duet, "trace", damaged], capture_output=True, text=True)
    good = ended.returncode == 125 and ended.stdout == "" and ended.stderr.count("\n") == 1
    said = " has another version" if what == 8 else " is "
    assert good and ended.stderr.startswith("duet trace: " + damaged + said), (what, ended)
head = 256
for length in [*range(0, head, 16), *range(head, len(whole), 3)]:
    refused(whole[:length], "cut short")
for at in [*range(0, head, 3), *range(head, len(whole))]:
    refused(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:],
            at if at not in range(8, 16) else 8)
print(len(whole))
END
    [ "$output" -gt 256 ]
}

@test "a trace whose content breaks a rule is refused, though its checksum is right" {
    run -0 "$python" - "$duet" "$work/broken" <<'END'
import struct, subprocess, sys
duet, file = sys.argv[1:]
MALLOC, CALLOC, ALIGNED, REALLOC, FREE = range(5)
SIZE_MOST = 2 ** 54 - 1
WINDOW = 64 * 1024

def number(value, length=1):  # of at least so many bytes
    content = b""
    while value >= 0x80 or len(content) + 1 < length:
        content += bytes([value & 0x7F | 0x80])
        value >>= 7
    return content + bytes([value])

def columns(count, *contents):
    return number(count) + b"".join(number(len(content)) + content for content in contents)

def block(operations):  # each (kind, thread, size, difference), of which the last two may be None
    return columns(len(operations), *[b"".join(part) for part in zip(*[
        (bytes([kind]), number(thread), b"" if size is None else number(size),
         b"" if step is None else number(step * 2 if step >= 0 else -step * 2 - 1))
        for kind, thread, size, step in operations])])

def frame(*pieces):  # of Zstandard, each piece a block that is stored as it is
    content = b"\x28\xb5\x2f\xfd\x00\x58"
    for i, piece in enumerate(pieces):
        content += struct.pack("<I", len(piece) << 3 | (i == len(pieces) - 1))[:3] + piece
    return content

def checksum(content):
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2 ** 64
    return value

TOTALS = ("operations allocations reallocs frees threads cells_most allocated_bytes "
          "peak_live_bytes peak_operation end_cells end_live_bytes").split()
FACTS = "inherited failed left_out cut".split()

def write(packed, length, fields):
    head = b"duettrc\n" + struct.pack("<Q", 1)
    rest = struct.pack("<17Q", len(packed), fields.get("content_bytes", length),
                       *[fields.get(name, 0) for name in TOTALS + FACTS])
    rest += b"made".ljust(256 - 24 - len(rest), b"\0")
    with open(file, "wb") as stream:
        stream.write(head + struct.pack("<Q", checksum(head + rest + packed)) + rest + packed)

def ends():
    for words in ["trace"], ["replay", "--with", "glibc"]:
        yield words[0], subprocess.run([duet, *words, file], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)

def taken(packed, length, **fields):
    write(packed, length, fields)
    for word, end in ends():
        assert end.returncode == 0, (word, end)

found = set()
def refused_packed(packed, length, what, **fields):
    write(packed, length, fields)
    for word, end in ends():
        assert (end.returncode, end.stdout) == (125, ""), (what, end)
        start = f"duet {word}: {file} is damaged: {what}"
        assert end.stderr.startswith(start) and end.stderr.count("\n") == 1, (what, end)
    found.add(what)

def refused(content, what, **fields):
    refused_packed(frame(content), len(content), what, **fields)

# A sound one, whose head and frame then have one thing wrong at a time.
content = block([(MALLOC, 0, 100, None), (CALLOC, 1, 200, None), (ALIGNED | 6 << 3, 0, 64, None),
                 (REALLOC, 1, 300, 0), (FREE, 0, None, 1), (FREE, 2, None, 1)]) + number(0)
sums = dict(operations=6, allocations=3, reallocs=1, frees=2, threads=3, cells_most=3,
            allocated_bytes=564, peak_live_bytes=564, peak_operation=3, end_cells=1,
            end_live_bytes=300)
taken(frame(content), len(content), **sums)
taken(frame(content[:9], b"", content[9:], b""), len(content), **sums)
longer = number(6, 10) + content[1:-1] + number(0, 3)
taken(frame(longer), len(longer), **sums)

other = "it does not have what its head says"
for name in TOTALS:
    refused(content, other, **{**sums, name: sums[name] + 1})
refused(content, other, **sums, content_bytes=len(content) + 1)
refused(content, other, **sums, cut=2)
first = "what it inherited does not come first"
refused(content, first, **sums, inherited=4)
only = block([(MALLOC, 0, 8, None)]) + number(0)
one = dict(operations=1, allocations=1, threads=1, cells_most=1, allocated_bytes=8,
           peak_live_bytes=8, end_cells=1, end_live_bytes=8)
taken(frame(only), len(only), **one, inherited=1)
refused(only, other, **one, inherited=2)

short = "its content ends too soon"
refused_packed(frame(content)[:-1], len(content), short, **sums)
refused(content[:-1], short, **sums)
refused_packed(b"\x29" + frame(content)[1:], len(content), "it cannot be unpacked: ", **sums)
behind = "something follows its content"
refused_packed(frame(content) + b"\0", len(content), behind, **sums)
refused_packed(frame(content) * 2, len(content), behind, **sums)
beyond = "its content goes on behind its end"
refused(content + b"\0", beyond, **sums)
# As long as what is unpacked at a time: what follows has not been looked at yet when it ends.
count = 20000
rest = WINDOW - 1 - len(columns(count, bytes(count), bytes(count), bytes(count), b""))
many = columns(count, bytes(count), bytes(count), number(0, 2) * rest + bytes(count - rest), b"")
many += number(0)
assert len(many) == WINDOW
empty = dict(operations=count, allocations=count, threads=1, cells_most=count, end_cells=count)
taken(frame(many), WINDOW, **empty)
taken(frame(many, b""), WINDOW, **empty)
refused_packed(frame(many, b"\0"), WINDOW, beyond, **empty)
refused_packed(frame(many, b"")[:-3], WINDOW, beyond, **empty)

# Blocks and their columns.
refused(b"\x80" * 11, "a number has no end")
refused(number(65537), "a block is too long")
refused(number(1) + number(11) + bytes(11), "a column is too long for its block")
for kinds in b"", b"\0\0":
    refused(columns(1, kinds, b"\0", b"\1", b""), "a block has not a kind for each operation")
for parts in (b"\0\0", b"\1", b""), (b"\0", b"\1\1", b""), (b"\0", b"\1", b"\0"):
    refused(columns(1, b"\0", *parts) + number(0), "a column has more than its block")
for parts in (b"", b"\1", b""), (b"\0", b"", b""), (b"\0", b"\x80", b""):
    refused(columns(1, b"\0", *parts) + number(0), "a column ends within a number")
refused(columns(1, b"\4", b"\0", b"", b"") + number(0), "a column ends within a number")
refused(columns(2, b"\0\0", b"\x80" * 11, b"\0\0", b""), "a column ends within a number")

# Operations.
malloc = (MALLOC, 0, 8, None)
free = (FREE, 0, None, 0)
for kind in 5, 6, 7:
    refused(block([malloc, (kind, 0, 8, None)]), "an operation is of no known kind")
for kind, size in (MALLOC, 8), (CALLOC, 8), (REALLOC, 8), (FREE, None):
    refused(block([malloc, (kind | 1 << 3, 0, size, None)]),
            "an operation has an alignment that should have none")
for thread in 2, 2 ** 32:
    refused(block([malloc, (MALLOC, thread, 8, None)]), "a thread is not the next one")
refused(block([(MALLOC, 1, 8, None)]), "a thread is not the next one")
for size in SIZE_MOST + 1, 2 ** 63:
    refused(block([(MALLOC, 0, size, None)]), "a size is beyond all memory")
    refused(block([malloc, (REALLOC, 0, size, 0)]), "a size is beyond all memory")
refused(block([malloc, (REALLOC, 0, 0, 0)]), "a cell is reallocated to nothing")
refused(block([(MALLOC, 0, SIZE_MOST, None)] * 1025), "its sizes are beyond any sum")
refused(block([malloc, free, malloc]), first, inherited=2)
for step in 1, -1, 2 ** 62, -2 ** 62:
    refused(block([malloc, (FREE, 0, None, step)]), "a cell is freed that is not live")
    refused(block([malloc, (REALLOC, 0, 9, step)]), "a cell is reallocated that is not live")
refused(block([free, malloc]), "a cell is freed that is not live")
refused(block([malloc, free, free]), "a cell is freed that is not live")
refused(block([malloc, free, (REALLOC, 0, 9, 0)]), "a cell is reallocated that is not live")
print(len(found))
END
    # All rules but one: nothing here has more operations than a trace may.
    [ "$output" = 20 ]
}

# ---- Replays ---------------------------------------------------------------------------------

@test "the traces of the repository are played as they were recorded" {
    for name in cc1 python redis; do
        [ "$(stat -c %s "$traces/$name.trace")" -le $((300 * 1024)) ]
        check_replays "$traces/$name.trace"
    done
    [ "$(look 'r["threads"] > 1 and r["frees_of_others"] > 0.3 * r["frees"]' \
        "$traces/redis.trace")" = True ]
}

@test "a replay tells what it cost, under any allocator" {
    run -0 "$duet" replay "$traces/python.trace"
    [[ $output == "duet: python3 played on $default, with 5 threads"* ]]
    grep -q 'ns an operation' <<<"$output"
    grep -q 'without the player.s own' <<<"$output"
    for name in glibc $DUET_ENGINES "$DUET_BUILD/libduet-smp.so"; do
        [ "$(replay 'r["allocator"], r["mode"], r["seconds"] > 0, r["peak_rss_kib"] > 1000' \
            --with "$name" "$traces/python.trace")" = "('$(basename "$name" .so |
            sed "s/^lib//")', 'parallel', True, True)" ]
    done
    [ "$(replay 'r["operations"] / 3, r["repeats"]' --repeat 3 "$traces/python.trace")" = \
        "(375249.0, 3)" ]
    run -0 --separate-stderr "$duet" replay --json - "$traces/python.trace"
    "$python" -c 'import json, sys; json.loads(sys.argv[1])' "$output"
}

@test "an allocator that fails is found out" {
    run -1 "$duet" replay --with "$faulty/faulty_overlap.so" "$traces/cc1.trace"
    [[ $output == "duet replay: faulty_overlap gave wrong memory: the cell of "* ]]
    [ "${#lines[@]}" = 1 ]
    run -1 "$duet" replay --with "$faulty/faulty_crash.so" "$traces/cc1.trace"
    [[ $output == *"faulty_crash crashed ("* ]]
}

@test "an allocator that loses a page of a cell is found out" {
    compile lossy.so -shared -fPIC <<'END'
#include <stdlib.h>
#include <string.h>
void *__libc_malloc(size_t size);
void *__libc_realloc(void *cell, size_t size);
void *malloc(size_t size) { return __libc_malloc(size); }
void *realloc(void *cell, size_t size)
{
    char *start = __libc_realloc(cell, size);
    if (start != NULL && size >= 16384)
        memset(start + 8192, 0, 4096);
    return start;
}
END
    compile growing <<'END'
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
    char *cell = malloc(9000);
    for (size_t size = 4096; size < 100000; size += 1000)
        cell = realloc(cell, size);
    for (size_t size = 100000; size > 4000; size -= 999)
        cell = realloc(cell, size);
    free(cell);
    _exit(0);
}
END
    record "$work/growing"
    check_replays "$trace"
    run -1 "$duet" replay --with "$work/lossy.so" "$trace"
    [[ $output == *"lossy gave wrong memory: the cell of "*" has changed at byte 8192" ]]
}

@test "threads are gone before the player ends" {
    compile slow.so -shared -fPIC -pthread <<'END'
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
void *__libc_malloc(size_t size);
static pthread_key_t key;
static _Thread_local int is_known;
static atomic_int there;
static void leave(void *value)
{
    (void)value;
    usleep(30000);
    atomic_fetch_sub(&there, 1);
}
__attribute__((constructor)) static void begin(void)
{
    is_known = 1; /* the main thread */
    if (pthread_key_create(&key, leave) != 0)
        _exit(8);
}
__attribute__((destructor)) static void end(void)
{
    if (atomic_load(&there) != 0)
        _exit(9);
}
void *malloc(size_t size)
{
    if (!is_known) {
        is_known = 1;
        atomic_fetch_add(&there, 1);
        pthread_setspecific(key, &key);
    }
    return __libc_malloc(size);
}
END
    "$duet" replay --repeat 3 --with "$work/slow.so" "$traces/python.trace"
}

@test "the player does not pass over what it has not played" {
    compile copy.so -shared -fPIC <<'END'
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
void *__libc_malloc(size_t size);
void *malloc(size_t size) { return __libc_malloc(size); }
__attribute__((constructor)) static void copy(int count, char **words)
{
    static char bytes[65536];
    int from = count == 3 ? open(words[1], O_RDONLY) : -1;
    int to = open(getenv("COPY"), O_WRONLY | O_CREAT, 0600);
    for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;)
        if (write(to, bytes, (size_t)got) != got)
            _exit(9);
}
END
    player=$DUET_BUILD/bench/duet-player
    COPY=$work/prepared "$duet" replay --with "$work/copy.so" "$traces/cc1.trace"
    run -0 "$player" prepared 2
    end_live_bytes=32 # where the head has it: see play_file.h
    printf '\377\377\377' | dd of=prepared bs=1 seek=$end_live_bytes conv=notrunc status=none
    run -1 "$player" prepared
    [[ $output == "duet-player: "*" bytes are live at the end, and not "*" as recorded" ]]
}

@test "the player's exit statuses are those of duet-workloads" {
    player=$DUET_BUILD/bench/duet-player
    run -0 "$player" --help
    run -2 "$player"
    run -2 "$player" file many
    run -1 "$player" /no/such/file
    run -1 "$player" "$traces/cc1.trace"
    [[ $output == *"nothing that duet prepared"* ]]
}
