#!/usr/bin/env bats
# What `duet run` shows of an engine, and does to it by options. ctest sets DUET_ENGINE.

# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # words for other shells, or many; variables of
# and for bats and cli.bash
bats_require_minimum_version 1.5.0

load cli.bash

duet_run() {
    "$duet" run --engine "$DUET_ENGINE" "$@"
}

# The bytes of the cell that serves a request for so many.
cell_bytes() { # 100 | 1000 | 30000
    case $DUET_ENGINE-$1 in
    duet-100) echo 112 ;;
    duet-1000) echo 1024 ;;
    duet-30000) echo 30832 ;;
    secure-100) echo 112 ;;
    secure-1000) echo 1024 ;;
    secure-30000) echo 30832 ;;
    smp-100) echo 128 ;;
    smp-1000) echo 1024 ;;
    smp-30000) echo 32768 ;;
    ng-100) echo $((7 * 16)) ;;
    ng-1000) echo $((63 * 16)) ;;
    ng-30000) echo $((2047 * 16)) ;;
    *) return 1 ;;
    esac
}

kib() { # BYTES, as the report writes them
    awk -v bytes="$1" 'BEGIN { printf "%.1f KiB", bytes / 1024 }'
}

# Where a program writes at its end which lines ran, its report has what this allocates.
gcov_counts_too() {
    [ "${DUET_COVERAGE-0}" = 0 ] || skip "gcov allocates in the program, too"
}

@test "the library is mapped in the program and in its children" {
    run -0 --separate-stderr duet_run cat /proc/self/maps
    [[ $output == *"/report/$(library_file "$DUET_ENGINE")"* ]]
    run -0 --separate-stderr duet_run sh -c 'cat /proc/self/maps; true'
    [[ $output == *"/report/$(library_file "$DUET_ENGINE")"* ]]
}

@test "the library is mapped with 64 MiB of address space" {
    run -0 --separate-stderr bash -c 'ulimit -v 65536; "$@" -- cat /proc/self/maps' - \
        "$duet" run --engine "$DUET_ENGINE"
    [[ $output == *"/report/$(library_file "$DUET_ENGINE")"* ]]
    [[ $stderr == *"live at the end"* ]]
}

# Prints the number of slots, with eight threads at work at once.
slots_with() { # NUMBER
    duet_run -o slots="$1" -o stats=1 -- "$work/threads" 2>&1 |
        sed -n 's/^  slots in use: //p'
}

@test "slots= sets the number of slots" {
    compile threads -O0 -pthread <<'END'
#include <pthread.h>
#include <stdlib.h>
static pthread_barrier_t barrier;
static void *work(void *unused)
{
    void *volatile block = malloc(100);
    pthread_barrier_wait(&barrier);
    free(block);
    return unused;
}
int main(void)
{
    pthread_t threads[8];
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    return 0;
}
END
    # One more than eight threads: main's. duet: slots of their own, and shared ones for the others.
    if [ "$DUET_ENGINE" = duet ] || [ "$DUET_ENGINE" = secure ]; then
        [ "$(slots_with 2)" = 4 ]
        [ "$(slots_with 8)" = 9 ]
        [ "$(slots_with 16)" = 9 ]
    else
        [ "$(slots_with 2)" = 2 ]
        [ "$(slots_with 8)" = 8 ]
    fi
}

@test "stats=1 and verbose=1 make the library speak, and nothing else does" {
    # Not a program that closes stderr before the library's destructor, as coreutils do.
    echo 'int main(void) { return 0; }' | compile nothing
    run -0 --separate-stderr duet_run -o stats=0 -o verbose=0 -- "$work/nothing"
    [[ $stderr != *"the heap, engine"* ]]
    [[ $stderr != *"duet: version"* ]]
    run -0 --separate-stderr duet_run -o stats=1 -- "$work/nothing"
    [[ $stderr == *"duet: the heap, engine $DUET_ENGINE"*"bytes mapped for the heap: "* ]]
    [[ $stderr != *"duet: version"* ]]
    run -0 --separate-stderr duet_run -o verbose=1 -- "$work/nothing"
    [[ $stderr == *"duet: version "*", engine $DUET_ENGINE"* ]]
    [[ $stderr != *"the heap, engine"* ]]
}

@test "the heap has no huge pages unless thp=1" {
    [ -e /sys/kernel/mm/transparent_hugepage ] || skip "a kernel without huge pages"
    # Prints the flags of the mappings in which a cell and a large block lie.
    compile flags -O0 <<'END'
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
    static char line[4096];
    void *blocks[2] = {malloc(100), malloc(8 << 20)};
    uintptr_t start = 0, end = 0, from, to;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) start = from, end = to;
        for (int i = 0; i < 2 && !strncmp(line, "VmFlags:", 8); i++)
            if ((uintptr_t)blocks[i] >= start && (uintptr_t)blocks[i] < end)
                printf("%s", line);
    }
    return 0;
}
END
    run -0 --separate-stderr duet_run -- "$work/flags"
    [ "${#lines[@]}" = 2 ]
    [ "$(grep -cw nh <<<"$output")" = 2 ]
    run -0 --separate-stderr duet_run -o thp=1 -- "$work/flags"
    [ "${#lines[@]}" = 2 ]
    [ "$(grep -cw hg <<<"$output")" = 2 ]
}

# ---- The report's figures --------------------------------------------------------------------

@test "the report counts what a program does" {
    compile counted -O0 <<'END'
#include <stdlib.h>
#include <unistd.h>
static void *blocks[50000];
int main(int argc, char **argv)
{
    for (int i = 0; i < 50000; i++) blocks[i] = malloc(1000);
    for (int i = 0; i < 25000; i++) free(blocks[i]);
    void *large = malloc(10 << 20);
    free(large);
    if (argc > 1) _exit(0);
    return 0;
}
END
    for how in "" _exit; do
        run -0 duet_run --json "$work/report.json" -- "$work/counted" $how
        [ "$(field 'len(r["processes"])')" = 1 ]
        [ "$(field 'r["loaded"]')" = True ]
        gcov_counts_too
        [ "$(field '50001 <= r["processes"][0]["allocations"] < 50100')" = True ]
        [ "$(field '25001 <= r["processes"][0]["frees"] < 25100')" = True ]
        [ "$(field '50000000 <= r["processes"][0]["peak_bytes"] < 60000000')" = True ]
        [ "$(field '25000000 <= r["processes"][0]["end_bytes"] < 30000000')" = True ]
        [ "$(field 'r["processes"][0]["held_peak_bytes"] > 50000000')" = True ]
        [ "$(field 'sum(x["large"] and x["allocated_bytes"] >= 10 << 20
            for x in r["processes"][0]["rows"])')" = 1 ]
    done
    [ "$(field 'r["processes"][0]["ended_by"]')" = sudden ]
    [ "$(field 'r["processes"][0]["peak_rss_bytes"] > 0')" = True ]
}

# A program that makes known numbers of calls, in a build that removes none of them.
compile_calls() {
    compile calls -O0 -w -fno-builtin -D_GNU_SOURCE <<'END'
#include <stdint.h>
#include <stdlib.h>
static void *blocks[1000];
int main(void)
{
    for (int i = 0; i < 1000; i++) blocks[i] = malloc(100);
    for (int i = 0; i < 400; i++) free(blocks[i]);
    char *cell = malloc(450);
    for (int i = 0; i < 10; i++) cell = realloc(cell, 440 + i);  /* stays in its class */
    for (int i = 0; i < 5; i++) cell = realloc(cell, 20 << i);   /* each time another class */
    char *block = malloc(1 << 20);
    for (int i = 0; i < 3; i++) block = realloc(block, (1 << 20) - i); /* the same pages */

    volatile size_t huge = SIZE_MAX / 4, too_long = SIZE_MAX - 100, half = SIZE_MAX / 2 + 2;
    if (malloc(huge) || malloc(too_long) || calloc(half, 2) || reallocarray(NULL, half, 2) ||
        realloc(cell, huge) || aligned_alloc(64, huge))
        return 1;
    return 0;
}
END
}

@test "calls are counted one by one" {
    compile_calls
    run -0 --separate-stderr duet_run --json "$work/report.json" -- "$work/calls"
    p='r["processes"][0]'
    gcov_counts_too
    [ "$(field "${p}['allocations']")" = 1002 ]
    [ "$(field "${p}['frees']")" = 400 ]
    [ "$(field "${p}['end_cells']")" = 602 ]
    [ "$(field "${p}['reallocs']")" = 18 ]
    [ "$(field "${p}['reallocs_moved']")" = 5 ]
    [ "$(field "${p}['failures']")" = 6 ]
    [ "$(field 'r["totals"]["failures"]')" = 6 ]
    # Rows also have the cells that reallocs moved to.
    [ "$(field "sum(x['allocated_cells'] for x in ${p}['rows'] if not x['large'])")" = 1006 ]
    [[ $stderr == *"calls             1,002 allocations, 400 frees, 6 failures"* ]]
    [[ $stderr == *"18 reallocs, of which 5 moved"* ]]
    [[ $stderr == *"6 requests for memory failed."* ]]
}

# 256 have a place of their own in the record (src/heap/counters.h).
@test "more threads than there are places for count, too" {
    run -0 --separate-stderr duet_run --json "$work/report.json" -- \
        "$DUET_BUILD/tests/std/threads" at-once 400
    [ "$(field 'r["processes"][0]["allocations"] >= 4 * 400 * 16')" = True ]
    [ "$(field 'r["processes"][0]["frees"] >= 4 * 400 * 16')" = True ]
}

@test "a thread that only frees counts, too" {
    run -0 --separate-stderr duet_run --json "$work/report.json" -- \
        "$DUET_BUILD/tests/std/comes_back" free
    [ "$(field 'r["processes"][0]["frees"] >= 64 * 1024 * 1024 // 496')" = True ]
}

@test "one is no plural" {
    compile one -O0 -w -fno-builtin <<'END'
#include <stdint.h>
#include <stdlib.h>
int main(void)
{
    volatile size_t huge = SIZE_MAX / 4;
    void *volatile block = malloc(10);
    return malloc(huge) != NULL || block == NULL;
}
END
    run -0 --separate-stderr duet_run -- "$work/one"
    local bytes=16
    [ "$DUET_ENGINE" != secure ] || bytes=32 # with its seal
    gcov_counts_too
    [[ $stderr == *"live at peak      $bytes B (exact), in 1 cell"$'\n'* ]]
    [[ $stderr == *"live at the end   $bytes B, in 1 cell"$'\n'* ]]
    [[ $stderr == *"1 allocation, 0 frees, 1 failure"$'\n'* ]]
}

@test "a peak between two looks is not below what the report says at most" {
    # Cells of about 1 KiB, of which all are freed again before the counts are looked at.
    cell=$(cell_bytes 1000)
    compile burst -O0 -fno-builtin <<'END'
#include <signal.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    static void *cells[60];
    int count = atoi(argv[1]);
    for (int i = 0; i < count; i++) cells[i] = malloc(1000);
    for (int i = 0; i < count; i++) free(cells[i]);
    if (argc > 2) raise(SIGKILL);
    return 0;
}
END
    for how in "" killed; do
        for count in 1 10 31 60; do
            duet_run --json "$work/report.json" -- "$work/burst" $count $how 2>/dev/null || true
            peak=$(field 'r["processes"][0]["peak_bytes"]')
            error=$(field 'r["processes"][0]["peak_bytes_error"]')
            gcov_counts_too
            ((peak <= count * cell && count * cell <= peak + error))
        done
    done
    duet_run -- "$work/burst" 31 killed 2>"$work/err" || true
    grep -q "live at peak      at most $(kib $((31 * cell)))$" "$work/err"
    # Nothing is built on such a peak.
    run ! grep -E "×|times|of the peak" "$work/err"
}

@test "what can be live at most is not above what was mapped" {
    # Churn by which, as far as its counts tell, twice as much could have been live.
    compile churn -O0 -fno-builtin <<'END'
#include <stdlib.h>
int main(void)
{
    for (int i = 0; i < 28; i++) if (!malloc(30000)) return 1;
    for (int i = 0; i < 1000; i++) free(malloc(30000));
    return 0;
}
END
    run -0 duet_run --json "$work/report.json" -- "$work/churn"
    p='r["processes"][0]'
    [ "$(field "${p}['peak_bytes'] >= 29 * $(cell_bytes 30000)")" = True ]
    [ "$(field "${p}['peak_bytes'] + ${p}['peak_bytes_error'] <= ${p}['held_peak_bytes']")" = True ]
}

@test "the peak of several threads is not above what the report says at most" {
    compile herd -O0 -fno-builtin -pthread <<'END'
#include <pthread.h>
#include <stdlib.h>
static pthread_barrier_t barrier;
static void *work(void *unused)
{
    void *cells[40];
    for (int i = 0; i < 40; i++) cells[i] = malloc(1000);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 40; i++) free(cells[i]);
    return unused;
}
int main(void)
{
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return 0;
}
END
    run -0 --separate-stderr duet_run --json "$work/report.json" -- "$work/herd"
    p='r["processes"][0]'
    [ "$(field "${p}['peak_bytes'] + ${p}['peak_bytes_error'] >= 4 * 40 * 1000")" = True ]
}

@test "what was live at the end stands for the peak where it is as much" {
    compile kept -O0 -fno-builtin <<'END'
#include <stdlib.h>
int main(void)
{
    for (int i = 0; i < 100; i++) if (!malloc(100)) return 1;
    return 0;
}
END
    run -0 --separate-stderr duet_run --json "$work/report.json" -- "$work/kept"
    bytes=$((100 * $(cell_bytes 100)))
    gcov_counts_too
    [[ $stderr == *"live at peak      $(kib $bytes) (exact), in 100 cells"* ]]
    [ "$(field 'r["processes"][0]["peak_bytes"]')" = $bytes ]
    [ "$(field 'r["processes"][0]["peak_bytes_error"]')" = 0 ]
    [ "$(field '[x["peak_cells"] for x in r["processes"][0]["rows"]]')" = "[100]" ]
}
