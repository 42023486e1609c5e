# duet compare as a user meets it. Figures of speed are not asserted: they are the machine's.

# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # words for other shells, or many; variables of
# and for bats and cli.bash
bats_require_minimum_version 1.5.0

load cli.bash

setup() {
    setup_duet
    faulty=$DUET_BUILD/tests/bench
    # Some hundred allocations, and always the same output.
    printf '%s\n' 'import json' \
        'print(json.dumps([{"n": i, "s": "x" * i} for i in range(200)])[-20:])' >"$work/script.py"
    program=("$python" -S "$work/script.py")
    json=$work/report.json
}

# status_of ALLOCATOR: its entry's status in the JSON report.
status_of() {
    field "[e['status'] for e in r['results'] if e['allocator'] == '$1'][0]"
}

compare() { # WITH [OPTION...] -- PROG...
    local with=$1
    shift
    "$duet" compare --runs 2 --with "$with" --json "$json" "$@"
}

# ---- Words -----------------------------------------------------------------------------------

@test "mistakes in the words are refused with 125, before anything runs" {
    run -125 "$duet" compare
    run -125 "$duet" compare --no-such-option true
    run -125 "$duet" compare --runs 0 true
    run -125 "$duet" compare --runs many true
    run -125 "$duet" compare --timeout 0 true
    run -125 "$duet" compare --json "" true
    run -125 "$duet" compare --json /no/such/folder/file touch "$work/ran"
    run -125 "$duet" compare --base nobody touch "$work/ran"
    [[ $output == *"'nobody' is none of the allocators"* ]]
    run -125 "$duet" compare --with nobody touch "$work/ran"
    [[ $output == *"there is no allocator 'nobody'"* ]]
    run -125 "$duet" compare --with /etc/passwd touch "$work/ran"
    [[ $output == *"is not a library"* ]]
    run -125 "$duet" compare --with smp,smp touch "$work/ran"
    [[ $output == *"two allocators are called 'smp'"* ]]
    run -125 "$duet" compare --input /no/such/file touch "$work/ran"
    [ ! -e "$work/ran" ]
    run -127 "$duet" compare no-such-program
    run -126 "$duet" compare /etc/passwd
    run -125 bash -c '"$0" compare --runs 1 --with smp --json /dev/full true' "$duet"
    [[ $output == *"cannot write to /dev/full"* ]]
}

@test "help and list" {
    run -0 --separate-stderr "$duet" compare --help
    [[ $output == *"usage: duet compare"* ]]
    run -0 --separate-stderr "$duet" compare --list
    [[ ${lines[0]} == glibc* ]]
    for engine in $DUET_ENGINES; do
        [[ $output == *"$DUET_BUILD/$(library_file "$engine")"* ]]
    done
}

# ---- What is measured ------------------------------------------------------------------------

@test "each allocator is run as often as asked, and all figures are there" {
    run -0 compare smp,ng -- "${program[@]}"
    [ "$(field "[e['allocator'] for e in r['results']]")" = "['glibc', 'smp', 'ng']" ]
    [ "$(field "{e['runs'] for e in r['results']}")" = "{2}" ]
    [ "$(field "{e['status'] for e in r['results']}")" = "{'ok'}" ]
    [ "$(field "all(len(e['samples']['wall_s']) == 2 for e in r['results'])")" = True ]
    [ "$(field "all(e['wall_s'] > 0 and e['peak_rss_kib'] > 1000 for e in r['results'])")" = True ]
    [ "$(field "r['whole']")" = True ]
    for name in glibc smp ng; do
        [[ $output == *"$name"* ]]
    done
}

@test "a base that is not the first" {
    run -0 compare smp --base smp -- "${program[@]}"
    [ "$(field "r['base']")" = smp ]
    [ "$(field "[e['over_base']['wall_s']['median'] for e in r['results']][1]")" = 1.0 ]
}

@test "what the tool itself holds is no program's peak" {
    # The smallest program there is: the tool has more than it, and must not be seen.
    echo 'int main(void) { return 0; }' | compile least
    run -0 compare smp -- "$work/least"
    least=$(field "min(e['peak_rss_kib'] for e in r['results'])")
    by_time=$("$python" -c '
import os, sys
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "grep -h VmHWM /proc/self/status"], os.environ)
os.waitpid(pid, 0)' | tr -dc 0-9)
    [ "${least%.*}" -le "$by_time" ]
}

@test "input from a file, and from stdin, is read anew each time" {
    seq 1000 >"$work/input"
    # It ends with 1 if it does not get all of it.
    counts=(sh -c '[ "$(wc -l)" -eq 1000 ]')
    run -0 compare smp --input "$work/input" -- "${counts[@]}"
    run -0 bash -c 'seq 1000 | "$@"' - \
        "$duet" compare --runs 2 --with smp --input - -- "${counts[@]}"
    run -0 compare smp -- sh -c '[ "$(wc -l)" -eq 0 ]'
    run -0 bash -c '"$1" compare --runs 2 --with smp --input <(seq 1000) -- "${@:2}"' - "$duet" \
        "${counts[@]}"
}

@test "a trace in place of a program" {
    trace=$BATS_TEST_DIRNAME/../../bench/traces/cc1.trace
    run -0 compare duet --replay "$trace"
    [ "$(field "{e['status'] for e in r['results']}")" = "{'ok'}" ]
    run -1 compare "overlap=$faulty/faulty_overlap.so" --replay "$trace"
    [ "$(status_of overlap)" = corrupt ]
    run -125 compare smp --replay /etc/passwd
    run -125 compare smp --replay "$trace" -- true
}

@test "an exit status that is the same everywhere is no failure" {
    run -0 compare smp -- sh -c 'exit 3'
    [ "$(status_of smp)" = ok ]
    [ "$(field "{e['base_status'] for e in r['results']}")" = "{3}" ]
    [[ $output == *"ended with exit status 3, which was taken as right"* ]]
}

@test "a program linked with an allocator of its own is run on the C library's all the same" {
    ldd "$(type -P redis-server)" | grep -q jemalloc || skip "no program here brings an allocator"
    run -0 compare smp -- redis-server --version
    [ "$(status_of glibc)" = ok ]
    [ "$(status_of smp)" = ok ]
    [[ $output == *"libjemalloc"* ]]
}

@test "a program through whose own jump everybody calls malloc is no program with a malloc" {
    compile lends -no-pie -fno-pie <<'EOF'
#include <stdlib.h>
int main(void) { void *(*volatile get)(size_t) = malloc; return get(100) == NULL; }
EOF
    run -0 compare smp -- "$work/lends"
    [ "$(status_of smp)" = ok ]
}

@test "a program with a malloc of its own inside is told" {
    compile own <<'EOF'
#include <stddef.h>
static char heap[1 << 20];
static size_t used;
void *malloc(size_t size) { void *p = heap + used; used += (size + 15) / 16 * 16; return p; }
void free(void *p) { (void)p; }
void *calloc(size_t n, size_t size) { return malloc(n * size); }
void *realloc(void *p, size_t size) { (void)p; return malloc(size); }
int main(void) { return malloc(10) == NULL; }
EOF
    run -1 compare smp -- "$work/own"
    [ "$(status_of smp)" = "not loaded" ]
    [[ $output == *"not loaded"* ]]
}

# ---- What fails ------------------------------------------------------------------------------

@test "a crash, a hang and a wrong status are shown as that, and the others go on" {
    run -1 compare "smp,crash=$faulty/faulty_crash.so,hang=$faulty/faulty_hang.so" --timeout 2 -- \
        "${program[@]}"
    [ "$(status_of smp)" = ok ]
    [ "$(status_of crash)" = crash ]
    [ "$(status_of hang)" = timeout ]
    [ "$(field "[e['wall_s'] for e in r['results'] if e['status'] != 'ok']")" = "[None, None]" ]
    [[ $output == *crash* ]]
    [[ $output == *timeout* ]]

    run -1 compare smp -- sh -c 'case "$LD_PRELOAD" in *smp*) echo oh no >&2; exit 3 ;; esac'
    [ "$(status_of smp)" = status ]
    [ "$(field "r['results'][1]['detail']")" = 3 ]
    [[ $output == *"oh no"* ]]
}

@test "other output than the base's is shown, unless it does not matter" {
    differs=(sh -c 'case "$LD_PRELOAD" in *smp*) echo a ;; *) echo b ;; esac')
    run -1 compare smp -- "${differs[@]}"
    [ "$(status_of smp)" = output ]
    run -0 compare smp --any-output -- "${differs[@]}"
    [ "$(status_of smp)" = ok ]
    # What is never the same is no sign of anything.
    run -0 compare smp -- sh -c 'echo $$'
    [ "$(status_of smp)" = ok ]
}

@test "another malloc in a process that the program starts is told" {
    compile own <<<'
        #include <stddef.h>
        static char heap[1 << 16];
        static size_t used;
        void *malloc(size_t size) { used += 16; (void)size; return heap + used; }
        void free(void *p) { (void)p; }
        int main(void) { return malloc(10) == NULL; }'
    run -0 compare smp -- sh -c '"$0"; true' "$work/own"
    [[ $output == *"starts had the malloc of own"* ]]
}

@test "a signal that is ignored, as under nohup, does not end it" {
    (
        trap "" HUP
        exec "$duet" compare --runs 1 --with smp --json "$json" -- sleep 1
    ) >"$work/out" 2>&1 &
    local compare=$! runner
    # The program runs under a process that measures it.
    for _ in {1..500}; do
        runner=$(pgrep -P $compare) && pgrep -x -P "$runner" sleep >/dev/null && break
        sleep 0.02
    done
    kill -HUP $compare "$runner"
    wait $compare
    [ "$(field "r['whole']")" = True ]
}

@test "what a program leaves running is ended with it" {
    run -0 compare smp -- sh -c 'sleep 321 & setsid sleep 321 & exit 0'
    ! pgrep -f 'sleep 321'
}

@test "an interruption reports the whole rounds that there are" {
    "$duet" compare --runs 1000 --with smp --json "$json" -- sleep 0.1 >"$work/out" 2>&1 &
    sleep 2
    kill -TERM $!
    wait $! || status=$?
    [ "$status" = 130 ]
    [[ $(cat "$work/out") == *interrupted* ]]
    [ "$(field "r['whole']")" = False ]
    runs=$(field "r['results'][0]['runs']")
    [ "$runs" -ge 1 ]
    [ "$runs" -lt 1000 ]
    ! pgrep -P $$ -f 'sleep 0.1'
}

# ---- What is written -------------------------------------------------------------------------

@test "pictures and pages are whole, and need nothing else" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    run -0 compare smp,ng --svg "$work/picture.svg" --html "$work/page.html" -- "${program[@]}"
    "$python" - "$work/picture.svg" "$work/page.html" <<'EOF'
import re
import sys
import xml.dom.minidom
from html.parser import HTMLParser

xml.dom.minidom.parse(sys.argv[1])
page = open(sys.argv[2], encoding="utf-8").read()
HTMLParser().feed(page)
assert page.lstrip().lower().startswith("<!doctype html>")
assert "<svg" in page and "glibc" in page and "smp" in page
assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
EOF
}

@test "JSON on stdout, with the table on stderr" {
    run -0 --separate-stderr "$duet" compare --runs 1 --with smp --json - -- true
    echo "$output" | "$python" -c 'import json, sys; json.load(sys.stdin)'
    [[ $stderr == *glibc* ]]
}
