#!/usr/bin/env bats
# The command line as a user meets it, as far as it is the same on every engine; engine.bats has the
# rest.

# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # words for other shells, or many; variables of
# and for bats and cli.bash
bats_require_minimum_version 1.5.0

load cli.bash

# The engine that runs where none is asked for.
default=duet

wait_until() { # COMMAND...: up to 10 s
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

# ---- Help and mistakes ---------------------------------------------------------------------

@test "help and version go to stdout with status 0" {
    for words in --help --version "run --help" "run --help-options"; do
        run -0 --separate-stderr "$duet" $words
        [ -n "$output" ]
        [ -z "$stderr" ]
    done
}

@test "help that cannot be written is an error" {
    run -125 bash -c '"$0" --help >/dev/full' "$duet"
    [[ $output == *"cannot write to stdout"* ]]
}

@test "every option of the library is in the man page" {
    page=$BATS_TEST_DIRNAME/../../docs/man/duet.1
    run -0 "$duet" run --help-options
    keys=$(sed -n 's/^  \([a-z]*\)=.*/\1/p' <<<"$output")
    [ -n "$keys" ]
    for key in $keys; do
        grep -Eq "^\.(BI|BR) $key=" "$page"
    done
}

@test "mistakes in the words are refused with 125" {
    run -125 "$duet"
    run -125 "$duet" walk
    run -125 "$duet" run
    run -125 "$duet" run --no-such-option true
    run -125 "$duet" run -o slots true
    run -125 "$duet" run -o slots=many true
    run -125 "$duet" run -o thp=2 true
    run -125 "$duet" run -o colour=red true
    [[ $output == *"no such option"* ]]
    run -125 "$duet" run --json "" true
    [[ $output == *"--json wants the name of a file"* ]]
}

@test "one line tells of a mistake in the words, and where help is" {
    refuse() { # WORDS...
        run -125 "$duet" run "$@"
        [ "${#lines[@]}" = 1 ]
        [[ $output == "duet run: "*"duet run --help"* ]]
    }
    refuse
    refuse --no-such-option true
    refuse -x true
    refuse --help=now
    refuse --json
    refuse -o
    refuse --json "" true
    refuse -o slots true
    refuse -o slots=many true
    refuse -o colour=red true
    refuse --engine tea true
}

@test "slots= takes what the library takes: 2 to 8192" {
    for number in 0 1 65537 99999999999999999999 -2 +4 0x10 "" " 4" "4 "; do
        run -125 "$duet" run -o "slots=$number" true
        [[ $output == *"from 2 to 8192"* ]]
    done
    for number in 2 8192; do
        run -0 "$duet" run -o slots=$number true
        [[ $output != *"slots takes"* ]]
    done
}

@test "an engine that is not there is named, with those that are" {
    run -125 "$duet" run --engine tea true
    [[ $output == *"no engine 'tea'"* ]]
    for engine in $DUET_ENGINES; do
        grep -q "only:.* $engine\b" <<<"$output"
    done
    run -125 "$duet" run --engine "../$default" true
}

@test "the help names the engines that are there, and the one that runs if none is asked for" {
    run -0 "$duet" run --help
    for engine in $DUET_ENGINES; do
        grep -q "there are:.* $engine\b" <<<"$output"
    done
    grep -q "(default: $default)" <<<"$output"
    run -0 --separate-stderr "$duet" run cat /proc/self/maps
    [[ $output == *"/report/libduet.so"* ]]
}

@test "a library whose path cannot be preloaded is refused" {
    mkdir -p "$work/a b/report"
    cp "$duet" "$work/a b/"
    cp "$DUET_BUILD/report/libduet.so" "$work/a b/report/"
    run -125 "$work/a b/duet" run true
    [[ $output == *"cannot be preloaded"* ]]
}

@test "an installed tree is found from the tool's own place" {
    mkdir -p "$work/usr/bin" "$work/usr/lib/duet/report"
    cp "$duet" "$work/usr/bin/"
    cp "$DUET_BUILD/report/libduet.so" "$work/usr/lib/duet/report/"
    run -0 --separate-stderr "$work/usr/bin/duet" run cat /proc/self/maps
    [[ $output == *"$work/usr/lib/duet/report/libduet.so"* ]]
}

# ---- The program and its status ------------------------------------------------------------

@test "input and output pass through" {
    run -0 --separate-stderr bash -c 'echo hi | "$0" run -- cat' "$duet"
    [ "$output" = hi ]
    run -0 --separate-stderr bash -c 'seq 100000 | "$0" run -- sort -n | tail -n 1' "$duet"
    [ "$output" = 100000 ]
}

@test "words after the program are the program's" {
    run -0 --separate-stderr "$duet" run echo --json -o x -- y
    [ "$output" = "--json -o x -- y" ]
}

@test "exit statuses are passed on" {
    for status in 0 1 7 125 255; do
        run -$status --separate-stderr "$duet" run -- sh -c "exit $status"
        [[ $stderr == *"duet: sh (process "* ]]
    done
}

@test "death by a signal is mirrored after the report" {
    for signal in KILL TERM SEGV ABRT; do
        # Another shell's own words for the death would mix with the report.
        run -0 --separate-stderr "$python" -c '
import signal, subprocess, sys
end = subprocess.run(sys.argv[1:3] + ["--", "sh", "-c", "kill -%s $$" % sys.argv[3]])
assert end.returncode == -getattr(signal, "SIG" + sys.argv[3]), end.returncode' "$duet" run $signal
        [[ $stderr == *"by signal "* ]]
        [[ $stderr == *"live at the end"* ]]
    done
}

@test "a program that is not there is 127" {
    run -127 "$duet" run -- no-such-program-anywhere
    [[ $output == *"was not found in PATH"* ]]
    run -127 "$duet" run -- /no/such/file
    [[ $output == *"No such file"* ]]
    run -127 "$duet" run -- ""
}

@test "a program that may not be executed is 126" {
    echo 'echo no' >"$work/plain"
    run -126 "$duet" run -- "$work/plain"
    [[ $output == *"Permission denied"* ]]
    run -126 "$duet" run -- "$work"
    [[ $output == *"directory"* ]]
    PATH=$work:$PATH run -126 "$duet" run -- plain
}

@test "PATH is searched as the shell does" {
    mkdir "$work/bin"
    printf '#!/bin/sh\necho found "$0"\n' >"$work/bin/tool"
    chmod +x "$work/bin/tool"
    mkdir "$work/dir" "$work/dir/tool"
    PATH=$work/dir:/nowhere:$work/bin:$PATH run -0 --separate-stderr "$duet" run tool
    [ "$output" = "found $work/bin/tool" ]
    cd "$work/bin"
    PATH=:/usr/bin run -0 --separate-stderr "$duet" run tool
    [ "$output" = "found ./tool" ]
}

@test "scripts run, with and without a first line" {
    printf '#!%s\nprint(6 * 7)\n' "$python" >"$work/script"
    printf 'echo "$1"\n' >"$work/bare"
    printf '#!/no/such/interpreter\n' >"$work/orphan"
    chmod +x "$work/script" "$work/bare" "$work/orphan"
    run -0 --separate-stderr "$duet" run -- "$work/script"
    [ "$output" = 42 ]
    [[ $stderr == *python* ]]
    run -0 --separate-stderr "$duet" run -- "$work/bare" word
    [ "$output" = word ]
    run -127 "$duet" run -- "$work/orphan"
    [[ $output == *"interpreter /no/such/interpreter"* ]]
}

@test "a static program is refused" {
    echo 'int main(void) { return 0; }' | compile still -static || skip "no static C library"
    run -126 "$duet" run -- "$work/still"
    [[ $output == *"statically linked"* ]]
}

@test "a program for another machine, or damaged, is refused" {
    cp "$(type -P true)" "$work/other"
    printf '\xf3\x00' | dd of="$work/other" bs=1 seek=18 conv=notrunc status=none
    run -126 "$duet" run -- "$work/other"
    [[ $output == *"64-bit RISC-V"* ]]
    printf '\x7fELF\x01\x01\x01%040d' 0 | tr 0 '\000' >"$work/small"
    printf '\x03\x00' | dd of="$work/small" bs=1 seek=18 conv=notrunc status=none
    head -c 64 /dev/zero >>"$work/small"
    chmod +x "$work/small"
    run -126 "$duet" run -- "$work/small"
    [[ $output == *"32-bit x86"* ]]
    head -c 80 "$(type -P true)" >"$work/short"
    chmod +x "$work/short"
    run -126 "$duet" run -- "$work/short"
    [[ $output == *"damaged"* ]]
}

@test "a program for another C library is refused" {
    command -v musl-gcc >/dev/null || skip "no musl"
    echo 'int main(void) { return 0; }' | CC=musl-gcc compile other
    run -126 "$duet" run -- "$work/other"
    [[ $output == *"another C library"* ]]
}

@test "a setuid or setgid program is refused where it changes rights" {
    [ "$(id -u)" = 0 ] || skip "only root can make one"
    command -v setpriv >/dev/null || skip "no setpriv"
    cp "$(type -P true)" "$work/setuid"
    cp "$(type -P true)" "$work/setgid"
    chmod 4755 "$work/setuid"
    chmod 2755 "$work/setgid"
    chmod 755 "$work" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" 2>/dev/null || true
    cp -r "$DUET_BUILD/duet" "$DUET_BUILD/report" "$work/"
    nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${nobody[@]}" "$work/duet" --version >/dev/null || skip "nobody cannot get here"
    run -126 "${nobody[@]}" "$work/duet" run -- "$work/setuid"
    [[ $output == *"is setuid"* ]]
    run -126 "${nobody[@]}" "$work/duet" run -- "$work/setgid"
    [[ $output == *"is setgid"* ]]
    if type -P setcap >/dev/null; then
        cp "$(type -P true)" "$work/capable"
        chmod 755 "$work/capable"
        if setcap cap_net_raw+ep "$work/capable"; then
            run -126 "${nobody[@]}" "$work/duet" run -- "$work/capable"
            [[ $output == *"has file capabilities"* ]]
        fi
    fi
    # For root nothing changes, and the loader preloads.
    run -0 --separate-stderr "$duet" run -- "$work/setuid"
    [[ $stderr == *"duet: setuid (process "* ]]
    [[ $stderr != *"was not loaded"* ]]
}

# ---- Signals -------------------------------------------------------------------------------

# Starts the program in $script under the launcher, and waits until it says "ready".
start_in_background() {
    "$duet" run -- bash -c "$script" >"$work/out" 2>"$work/err" 3>&- &
    launcher=$!
    wait_until grep -q ready "$work/out"
}

@test "signals sent to the launcher reach the program" {
    script='trap "echo got" HUP USR1 USR2 WINCH TERM; trap "exit 3" ALRM; echo ready
            while :; do sleep 0.05; done'
    start_in_background
    count=0
    for signal in HUP USR1 USR2 WINCH TERM; do
        kill -$signal $launcher
        count=$((count + 1))
        wait_until eval "[ \"\$(grep -c got '$work/out')\" = $count ]"
    done
    kill -ALRM $launcher
    status=0
    wait $launcher || status=$?
    [ $status = 3 ]
    grep -q "with exit status 3" "$work/err"
}

@test "a signal that ends the program ends the launcher after it, and the file is removed" {
    script='echo ready; exec sleep 60'
    start_in_background
    kill -TERM $launcher
    status=0
    wait $launcher || status=$?
    [ $status = 143 ]
    grep -q "by signal 15" "$work/err"
}

@test "stop and continue reach the program" {
    script='echo ready; while :; do sleep 0.05; done'
    start_in_background
    pid=$(pgrep -P $launcher)
    state() { [[ $(sed 's/.*) //' /proc/$1/stat) == "$2"* ]]; }
    kill -STOP $pid
    wait_until state $launcher T
    kill -CONT $launcher
    wait_until state $pid S
    kill -TERM $launcher
    wait $launcher || true
}

@test "Ctrl-C reaches the program once, and the launcher waits for it" {
    script -qec true /dev/null >/dev/null 2>&1 || skip "no script(1), or no pseudo-terminal"
    cat >"$work/main.sh" <<'END'
cd "$1"
count=0
trap 'count=$((count + 1))' INT
: >ready
for ((i = 0; i < 200 && count == 0; i++)); do sleep 0.05; done
sleep 0.3 # in which a second one would come
echo "count $count"
: >done
exit 4
END
    press_ctrl_c() {
        {
            wait_until test -e "$work/ready"
            printf '\003'
            wait_until test -e "$work/done"
        } | SHELL=/bin/sh script -qec "exec $duet run -- bash $work/main.sh $work" /dev/null
    }
    # script(1) starts a shell, which would be one more to get the signal: hence exec.
    run -4 press_ctrl_c
    [[ $output == *"count 1"* ]]
    [[ $output == *"with exit status 4"* ]]
}

@test "what a killed launcher leaves behind, the next removes" {
    script='echo ready; exec sleep 60'
    start_in_background
    pid=$(pgrep -P $launcher)
    kill -KILL $launcher
    wait $launcher || true
    [ "$(counters_files)" != "$files_before" ]
    "$duet" run true 2>/dev/null
    kill $pid
}

# ---- Environment ---------------------------------------------------------------------------

@test "the library goes in front of what is preloaded already" {
    LD_PRELOAD=libm.so.6 run -0 --separate-stderr "$duet" run -- sh -c 'echo $LD_PRELOAD'
    [[ $output == */report/libduet.so:libm.so.6 ]]
}

@test "options are joined, and -o comes last" {
    DUET_OPTIONS=slots=3 run -0 --separate-stderr "$duet" run -o slots=4 -o thp=0 -- \
        sh -c 'echo $DUET_OPTIONS'
    [ "$output" = slots=3,slots=4,thp=0 ]
    run -0 --separate-stderr "$duet" run -- sh -c 'echo ${DUET_OPTIONS-none}'
    [ "$output" = none ]
}

@test "the counters' file is private, and is gone afterwards" {
    run -0 --separate-stderr "$duet" run -- sh -c 'stat -c "%a %n" "$DUET_COUNTERS"'
    [[ $output == "600 "* ]]
    [ ! -e "${output#600 }" ]
}

@test "a launcher with stderr or stdin closed hands no file of its own to the program" {
    run bash -c '"$0" run -- sh -c "ls -l /proc/self/fd" 2>&-' "$duet"
    [[ $output != *duet-counters* ]]
    run -0 --separate-stderr bash -c '"$0" run -- sh -c "ls -l /proc/self/fd" <&-' "$duet"
    [[ $output != *duet-counters* ]]
}

# ---- The report ----------------------------------------------------------------------------

@test "peak RSS is what the kernel says" {
    compile resident -O0 -fno-builtin <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
int main(void)
{
    struct rusage usage;
    memset(malloc(64 << 20), 1, 64 << 20);
    getrusage(RUSAGE_SELF, &usage);
    printf("%ld\n", usage.ru_maxrss * 1024);
    return 0;
}
END
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$work/resident"
    for value in 'r["processes"][0]["peak_rss_bytes"]' 'r["largest_rss_bytes"]'; do
        [ "$(field "abs($value - $output) < 2 << 20")" = True ]
    done
    [ "$(field 'r["processes"][0]["peak_rss_exact"]')" = True ]
    [[ $stderr =~ "peak RSS          "6[4-9]\.[0-9]" MiB" ]]
}

@test "user time is user time, and system time system time" {
    compile busy -O0 <<'END'
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
static double seconds(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }
int main(int argc, char **argv)
{
    static char bytes[1 << 20];
    struct rusage usage = {0};
    int zeros = open("/dev/zero", O_RDONLY);
    /* Half a second of the one that is asked for. */
    while (seconds(*argv[1] == 'u' ? usage.ru_utime : usage.ru_stime) < 0.5) {
        if (*argv[1] == 'u')
            for (volatile int i = 0; i < 10000000; i++) {}
        else
            for (int i = 0; i < 20; i++) if (read(zeros, bytes, sizeof bytes) < 0) return 1;
        getrusage(RUSAGE_SELF, &usage);
    }
    return 0;
}
END
    for kind in user system; do
        run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$work/busy" $kind
        other=$([ $kind = user ] && echo system || echo user)
        [ "$(field "r['${kind}_seconds'] >= 0.5 > 2 * r['${other}_seconds']")" = True ]
        [[ $stderr =~ ([0-9.]+)" s user, "([0-9.]+)" s system" ]]
        [ "${BASH_REMATCH[1]}" = "$(field '"%.3f" % r["user_seconds"]')" ]
        [ "${BASH_REMATCH[2]}" = "$(field '"%.3f" % r["system_seconds"]')" ]
    done
}

@test "the report leads with the process of the greatest peak" {
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- \
        sh -c 'ls >/dev/null; "$0" -c "x = [str(i) for i in range(100000)]"; true' "$python"
    [[ $stderr == "duet: python"* ]]
    [[ $stderr == *" processes: "* ]]
    [[ $(field 'r["processes"][0]["program"]') == python* ]]
    [ "$(field 'all(a["peak_bytes"] >= b["peak_bytes"]
        for a, b in zip(r["processes"], r["processes"][1:]))')" = True ]
}

@test "exec chains give a record each" {
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- \
        sh -c 'exec env sh -c "exec env true"'
    [ "$(field 'len(set(p["pid"] for p in r["processes"]))')" = 1 ]
    [ "$(field 'sorted(p["ended_by"] for p in r["processes"])')" = \
        "['exec', 'exec', 'exec', 'exec', 'exit']" ]
}

@test "a thousand processes" {
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- \
        sh -c 'i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i + 1)); done'
    [ "$(field 'sum(p["program"] == "true" for p in r["processes"])')" = 1000 ]
    [[ $stderr == *" more"* ]]
    [ "$(wc -l <<<"$stderr")" -lt 80 ]
}

@test "more processes than there are records: they run, and the report tells" {
    # The header is where a process takes its record: this one takes them all.
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$python" -c '
import os, struct, subprocess
fd = os.open(os.environ["DUET_COUNTERS"], os.O_RDWR)
os.pwrite(fd, struct.pack("I", 8192), 16)
subprocess.run(["true"], check=True)'
    [ "$(field 'r["totals"]["processes_not_counted"] >= 1')" = True ]
    [[ $stderr == *"not counted"* ]]
}

@test "a record full of nonsense does no harm" {
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$python" -c '
import os
fd = os.open(os.environ["DUET_COUNTERS"], os.O_RDWR)
os.pwrite(fd, b"\1\0\0\0" + b"\x7f" * 150000, 65536)
os._exit(0)'
    [ "$(field 'r["format"]')" = 1 ]
    [[ $stderr != *$'\x7f'* ]]
}

# Prints the table's column of cells allocated in lines of that size.
allocated_of() { # SIZE
    # Behind the size stand cells, bytes with their unit, perhaps a share, perhaps a bar.
    sed -n "s/^ *$1  *//p" <<<"$stderr" | grep -oE '[0-9,]+ +(<|>)?[0-9]+ % *[^ ]*$' |
        sed 's/ .*//; s/,//g'
}

@test "many classes are shown by doublings, all of them if asked for" {
    compile classes -O0 -fno-builtin <<'END'
#include <stdlib.h>
int main(int argc, char **argv)
{
    size_t most = (size_t)atoi(argv[argc - 1]);
    for (size_t size = 16; size <= most; size += 16) if (!malloc(size)) return 1;
    return 0;
}
END
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$work/classes" 40000
    small='[x for x in r["processes"][0]["rows"] if not x["large"]]'
    count=$(field "len($small)")
    ((count > 24))
    [[ $stderr == *"By doublings, of $count size classes in use; --all-classes lists each."* ]]
    while read -r above most size; do
        between="$above < x['cell_bytes'] <= $most"
        cells=$(field "sum(x['allocated_cells'] for x in $small if $between)")
        [ -n "$cells" ] && [ "$(allocated_of "$size")" = "$cells" ]
    done <<'END'
64 128 65–128 B
512 1024 513 B–1 KiB
4096 8192 4–8 KiB
END
    [ "$(grep -cE '^ +[0-9,]+( B)?(–[0-9]+)? (B|KiB|MiB) ' <<<"$stderr")" -le 24 ]

    for option in -a --all-classes; do
        run -0 --separate-stderr "$duet" run $option -- "$work/classes" 40000
        [[ $stderr != *"doublings"* ]]
        [ "$(grep -cE '^ +[0-9]+ (B|KiB) ' <<<"$stderr")" = "$count" ]
    done

    run -0 --separate-stderr "$duet" run -- "$work/classes" 160
    [[ $stderr != *"doublings"* ]]
    [[ $stderr == *$'\n'"            160 B "* ]]
}

@test "what is mapped stands beside what is resident" {
    # 64 MiB of which nothing is touched.
    compile untouched -O0 -fno-builtin <<'END'
#include <stdlib.h>
int main(void) { return malloc(64 << 20) == NULL; }
END
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$work/untouched"
    [[ $stderr =~ "peak RSS          "[0-9]\.[0-9]" MiB"[^$'\n']*$'\n'"  heap mapped"\ +[67][0-9] ]]
    [ "$(field 'r["processes"][0]["held_peak_bytes"] >= 64 << 20')" = True ]
    [ "$(field 'r["processes"][0]["peak_rss_bytes"] < 32 << 20')" = True ]
}

@test "at most 100 columns, blocks in UTF-8, ASCII elsewhere, no colours in a pipe" {
    run -0 --separate-stderr "$duet" run -- "$python" -c 'x = [[i] for i in range(10000)]'
    [[ $stderr == *█* ]]
    [[ $stderr != *$'\033'* ]]
    [ "$(wc -L <<<"$stderr")" -le 100 ]
    LC_ALL=C run -0 --separate-stderr "$duet" run -- "$python" -c 'x = [[i] for i in range(10000)]'
    [[ $stderr == *'#'* ]]
    [ -z "$(LC_ALL=C tr -d '\n -~' <<<"$stderr")" ]
}

@test "colours on a terminal unless NO_COLOR is set" {
    script -qec true /dev/null >/dev/null 2>&1 || skip "no script(1), or no pseudo-terminal"
    export SHELL=/bin/sh
    run -0 script -qec "exec $duet run true" /dev/null
    [[ $output == *$'\033'* ]]
    NO_COLOR="" run -0 script -qec "exec $duet run true" /dev/null
    [[ $output != *$'\033'* ]]
}

@test "a program that did not load the library gets no report of zeros" {
    # A library that does nothing is as good as one that the loader left out.
    mkdir "$work/report"
    cp "$duet" "$work/"
    : | compile report/libduet.so -shared
    run -5 --separate-stderr "$work/duet" run --json "$work/report.json" -- sh -c 'exit 5'
    [[ $stderr == *"was not loaded"* ]]
    [[ $stderr != *"peak"* ]]
    [ "$(field 'r["loaded"]')" = False ]
    [ "$(field 'r["processes"]')" = "[]" ]
    # The program itself loaded it, what it ran did not.
    run -0 --separate-stderr "$duet" run -- env -u LD_PRELOAD true
    [[ $stderr == "duet: env "* ]]
    [[ $stderr != *"was not loaded"* ]]
}

@test "a program with an allocator of its own gets no report of zeros" {
    compile own -O0 -fno-builtin <<'END'
#include <stddef.h>
#include <string.h>
static char heap[1 << 20];
static size_t used;
void *malloc(size_t size)
{
    used += (size + 31) & ~(size_t)15;
    return heap + used;
}
void free(void *block) { (void)block; }
void *calloc(size_t count, size_t size) { return malloc(count * size); }
void *realloc(void *old, size_t size) { return memmove(malloc(size), old ? old : heap, size); }
int main(void) { return malloc(100) == NULL; }
END
    run -0 --separate-stderr "$duet" run --json "$work/report.json" -- "$work/own"
    [ "${DUET_COVERAGE-0}" = 0 ] || skip "gcov allocates in the program, too"
    [[ $stderr == *"'own', but nothing was allocated through it"* ]]
    [[ $stderr == *"an allocator of its own"* ]]
    [[ $stderr != *"live at"* && $stderr != *"0 allocations"* ]]
    [ "$(field 'r["loaded"]')" = True ]
    # What ran in the process before it does not hide it.
    run -0 --separate-stderr "$duet" run -- env "$work/own"
    [[ $stderr == *"'own', but nothing was allocated through it"* ]]
    [[ $stderr == *"duet: env (process "* ]]
}

@test "words of the command are as they were given; what is no UTF-8 is replaced" {
    run -0 "$duet" run --json "$work/report.json" -- true $'a\tb\n"\\\x01' $'\xff\xc3\xa9\x80'
    [ "$(field 'r["command"] == ["true", "a\tb\n\"\\\x01", "\ufffd\xe9\ufffd"]')" = True ]
}

@test "JSON on stdout follows the program's own output" {
    run -0 --separate-stderr "$duet" run --json - -- echo first
    [ "${lines[0]}" = first ]
    [ "${lines[1]}" = "{" ]
}

@test "a report that cannot be written is an error, but hides no status" {
    run -125 "$duet" run --json /no/such/folder/file -- touch "$work/ran"
    [ ! -e "$work/ran" ]
    run -125 "$duet" run --json /dev/full -- true
    [[ $output == *"cannot write to /dev/full"* ]]
    run -7 "$duet" run --json /dev/full -- sh -c 'exit 7'
    run -125 bash -c '"$0" run -- true 2>/dev/full' "$duet"
    run -125 bash -c '"$0" run -- true 2>&-' "$duet"
}

@test "a JSON file is replaced whole" {
    seq 100000 >"$work/report.json"
    run -0 "$duet" run --json "$work/report.json" -- true
    [ "$(field 'r["exit_status"]')" = 0 ]
}

@test "the tool is found by the man page's examples' words" {
    for engine in $DUET_ENGINES; do
        run -0 --separate-stderr "$duet" run -o slots=4 -e "$engine" -j "$work/report.json" -- true
        [ "$(field 'r["engine"]')" = "$engine" ]
    done
}
