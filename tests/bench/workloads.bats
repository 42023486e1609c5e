#!/usr/bin/env bats
# duet-workloads: each of them runs to its end on the C library's allocator and on each engine, and
# tells when an allocator does wrong. ctest sets DUET_BUILD and DUET_ENGINES.

# shellcheck disable=SC2016,SC2154 # words for other shells; variables of bats
bats_require_minimum_version 1.5.0

setup_file() {
    if [ -z "$DUET_BUILD" ]; then
        echo "DUET_BUILD has to name the build folder" >&2
        return 1
    fi
    export LC_ALL=C.UTF-8
    unset LD_PRELOAD DUET_OPTIONS FAULTY_PROMISE
}

setup() {
    workloads=$DUET_BUILD/bench/duet-workloads
}

names() { # [single | threads]
    "$workloads" --list | awk -F '\t' -v kind="${1-}" 'kind == "" || $2 == kind { print $1 }'
}

library() { # ENGINE | libc
    case $1 in
    libc) ;;
    duet) echo "$DUET_BUILD/libduet.so" ;;
    *) echo "$DUET_BUILD/libduet-$1.so" ;;
    esac
}

faulty() { # FAULT WORDS...
    LD_PRELOAD=$DUET_BUILD/tests/bench/faulty_$1.so "$workloads" "${@:2}"
}

value() { # KEY, of the output of a run on stdin
    awk -v key="$1" '$1 == key { print $2 }'
}

# Runs a workload and looks at what it says. Prints the number of operations.
check_run() { # ENGINE NAME THREADS PERCENT
    local library output
    library=$(library "$1")
    if ! output=$(LD_PRELOAD=$library "$workloads" "${@:2}" 2>&1); then
        echo "$*: $output" >&2
        return 1
    fi
    if [ -n "$library" ] && [ "$(value allocator <<<"$output")" != "$library" ]; then
        echo "$*: did not run on $library: $output" >&2
        return 1
    fi
    if grep -Evq '^(allocator|operations|seconds|bookkeeping_kib|peak_rss_kib|end_rss_kib) [^ ]+$' \
        <<<"$output"; then
        echo "$*: an odd line: $output" >&2
        return 1
    fi
    for key in operations seconds bookkeeping_kib peak_rss_kib; do
        if [[ ! $(value $key <<<"$output") =~ ^[0-9.]+$ ]]; then
            echo "$*: no $key: $output" >&2
            return 1
        fi
    done
    value operations <<<"$output"
}

@test "the list has five fields to a line" {
    run -0 "$workloads" --list
    [ "${#lines[@]}" -ge 20 ]
    kinds=$'\t(single|threads)\t(time|memory|both)\t(large|-)\t'
    for line in "${lines[@]}"; do
        [[ $line =~ ^[a-z0-9-]+${kinds}[^$'\t']+\.$ ]]
    done
    [ "$(names | sort | uniq -d)" = "" ]
}

@test "help names the statuses, and what is printed" {
    run -0 "$workloads" --help
    [[ $output == *"NAME [THREADS [PERCENT]]"*"bookkeeping_kib"*"wrong memory"* ]]
}

@test "wrong words are refused with 2 and one line" {
    refuse() { # WORDS...
        run -2 "$workloads" "$@"
        [ "${#lines[@]}" = 1 ]
        [[ $output == "duet-workloads: "* ]]
    }
    refuse
    refuse no-such-workload
    refuse --no-such-option
    refuse ""
    refuse pair 0
    refuse pair -1
    refuse pair +1
    refuse pair two
    refuse pair 1x
    refuse pair ""
    refuse pair 2 # one thread only
    refuse larson 1025
    refuse larson 1 0
    refuse larson 1 10001
    refuse larson 1 99999999999999999999
    refuse larson 1 1 1
    refuse --list larson
    refuse --curve
    refuse --curve no-such-curve
    refuse --curve batches 0
    refuse --curve batches 1 1
    refuse --curves batches
}

@test "curves have points from the least to the greatest, and a cost at each" {
    run -0 "$workloads" --curves
    for line in "${lines[@]}"; do
        [[ $line =~ ^[a-z0-9-]+$'\t'(cells|bytes)$'\t'[0-9]+$'\t'[^$'\t']+\.$ ]]
    done
    for curve in $(cut -f 1 <<<"$output"); do
        run -0 "$workloads" --curve "$curve" 1
        grep '^point' <<<"$output" | sort -c -n -u -k 2,2
        [ "$(awk '$1 == "point" && NF == 3 && $3 > 0 { n++ } END { print (n == NR - 1) }' \
            <<<"$output")" = 1 ]
        [[ $output == *$'\n'"allocator "* ]]
    done
}

@test "a curve of an allocator that has no memory left ends with 4" {
    run -4 bash -c 'ulimit -v 40000; exec "$0" --curve sizes 1' "$workloads"
    [[ $output == *"duet-workloads: sizes: no cell of "* ]]
}

@test "an output that cannot be written to is an error" {
    run -1 bash -c '"$0" --list >/dev/full' "$workloads"
    [[ $output == *"cannot write to stdout"* ]]
    run -1 bash -c '"$0" pair 1 1 >/dev/full' "$workloads"
    [[ $output == *"cannot write to stdout"* ]]
}

# The ten seconds of `idle` are the same for all, so all at once.
@test "idle ends, and says what is held then" {
    for engine in libc $DUET_ENGINES; do
        (check_run "$engine" idle 1 1) >"$BATS_TEST_TMPDIR/$engine" &
        processes+=($!)
    done
    for process in "${processes[@]}"; do
        wait "$process"
    done
    for engine in libc $DUET_ENGINES; do
        [ "$(cat "$BATS_TEST_TMPDIR/$engine")" -gt 500000 ]
    done
}

@test "every workload does the same on every allocator, with one thread" {
    for name in $(names | grep -v '^idle$'); do
        expected=$(check_run libc "$name" 1 1)
        [ "$expected" -gt 0 ]
        for engine in $DUET_ENGINES; do
            [ "$(check_run "$engine" "$name" 1 1)" = "$expected" ]
        done
    done
}

@test "four threads do as much as one, on every allocator" {
    for name in $(names threads); do
        alone=$(check_run libc "$name" 1 2)
        for engine in libc $DUET_ENGINES; do
            together=$(check_run "$engine" "$name" 4 2)
            [ "$together" -gt $((alone * 9 / 10)) ]
            [ "$together" -lt $((alone * 11 / 10)) ]
        done
    done
}

@test "work goes by the percentage, memory does not" {
    few=$("$workloads" random 1 1)
    many=$("$workloads" random 1 10)
    [ "$(value operations <<<"$many")" = $((10 * $(value operations <<<"$few"))) ]
    [ "$(value bookkeeping_kib <<<"$many")" = "$(value bookkeeping_kib <<<"$few")" ]
    more=$(($(value peak_rss_kib <<<"$many") - $(value peak_rss_kib <<<"$few")))
    [ "${more#-}" -lt 4096 ]
}

@test "fragment says what is held at its end" {
    run -0 "$workloads" fragment 1 1
    [ "$(value end_rss_kib <<<"$output")" -gt $((40 * 1024)) ]
}

@test "cells that overlap are noticed by every workload" {
    for name in $(names); do
        run -3 --separate-stderr faulty overlap "$name" 1 5
        [[ $stderr == "duet-workloads: $name: cell 0x"*" of "*" bytes: its content has changed "* ]]
        [ "$(wc -l <<<"$stderr")" = 1 ]
        [ -z "$output" ]
    done
    for name in $(names threads); do
        run -3 --separate-stderr faulty overlap "$name" 4 5
    done
}

@test "calloc that does not clear, alignment and bytes lost by realloc are noticed" {
    export FAULTY_PROMISE=zero
    run -3 faulty promises calloc 1 1
    [[ $output == *"calloc left byte"* ]]
    FAULTY_PROMISE=align
    run -3 faulty promises aligned 1 1
    [[ $output == *"not aligned to"* ]]
    FAULTY_PROMISE=realloc
    run -3 faulty promises realloc 1 1
    [[ $output == *"realloc has lost what was at byte"* ]]
    FAULTY_PROMISE=none
    run -0 faulty promises calloc 1 1
    run -0 faulty promises aligned 1 1
    run -0 faulty promises realloc 1 1
}

@test "a refused allocation ends with 4" {
    run -4 bash -c 'ulimit -v 65536; "$0" large 1 5' "$workloads"
    [[ $output == "duet-workloads: large: no memory for a cell of "* ]]
}

@test "the libraries that crash and hang do so" {
    run -139 faulty crash large
    run -124 timeout 2 env LD_PRELOAD="$DUET_BUILD/tests/bench/faulty_hang.so" "$workloads" large
}
