# What surrounds main: start, end, limits. Each case runs under the standard names and under the
# duet_ names.

bats_require_minimum_version 1.5.0

setup() {
    load "$DUET_SOURCE/tests/support/duet.bash"
}

@test "before main, after it and after dlclose (standard names)" {
    run preloaded "$STD/around_main" "$STD/closed_library.so"
    [ "$status" -eq 0 ]
    [ "$output" = "constructor main dlclose atexit destructor" ]
}

@test "before main, after it and after dlclose (duet names)" {
    run "$OWN/around_main" "$DUET_BUILD/tests/duet/closed_library.so"
    [ "$status" -eq 0 ]
    [ "$output" = "constructor main dlclose atexit destructor" ]
}

@test "with an auditor of the loader, which has a C library of its own" {
    run env LD_AUDIT="$STD/auditor.so" LD_PRELOAD="$DUET_LIBRARY" \
        "$STD/around_main" "$STD/closed_library.so"
    [ "$status" -eq 0 ]
    [ "$output" = "constructor main dlclose atexit destructor" ]
}

@test "threads' cleanup, and main leaves by pthread_exit (standard names)" {
    run preloaded "$STD/thread_ends"
    [ "$status" -eq 0 ]
    [ "$output" = "after main" ]
}

@test "threads' cleanup, and main leaves by pthread_exit (duet names)" {
    run "$OWN/thread_ends"
    [ "$status" -eq 0 ]
    [ "$output" = "after main" ]
}

@test "opened by a program that already runs, closed again and again" {
    run "$STD/opened_late" "$DUET_LIBRARY" 1000
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "an address space of 64 MiB (standard names)" {
    run preloaded bash -c 'ulimit -v 65536 && exec "$0"' "$STD/little_memory"
    [ "$status" -eq 0 ]
}

@test "an address space of 64 MiB (duet names)" {
    run bash -c 'ulimit -v 65536 && exec "$0"' "$OWN/little_memory"
    [ "$status" -eq 0 ]
}

@test "a program without the library is noticed" {
    run "$STD/quiet_start"
    [ "$status" -eq 99 ]
}

@test "a preload that the loader drops is noticed" {
    LD_PRELOAD=$BATS_TEST_TMPDIR/no-such-library.so run "$STD/quiet_start"
    [ "$status" -eq 99 ]
}

# One line for each file opened, in order, without the descriptor it got.
opened_files() {
    grep -o 'open[a-z0-9]*(.*' "$1" | grep -o '"[^"]*"' || true
}

trace() {
    local file=$1
    shift
    strace -f -qq -o "$file" -e trace=open,openat,openat2,creat,clone,clone3,fork,vfork,socket \
        "$@" ||
        fail "strace or its program failed: $(tail -3 "$file")"
}

@test "no file is opened and no thread is started (standard names)" {
    need_program strace
    [ "${DUET_COVERAGE-0}" = 0 ] || skip "this flavour writes its counts to files"
    trace "$BATS_TEST_TMPDIR/with" -E "LD_PRELOAD=$DUET_LIBRARY" "$STD/quiet_start"
    DUET_TEST_ANY_MALLOC=1 trace "$BATS_TEST_TMPDIR/without" "$STD/quiet_start"
    # The loader opens the library, and perhaps its cache; nothing else is added.
    opened_files "$BATS_TEST_TMPDIR/with" | grep -vxF "\"$DUET_LIBRARY\"" >"$BATS_TEST_TMPDIR/a"
    opened_files "$BATS_TEST_TMPDIR/without" >"$BATS_TEST_TMPDIR/b"
    diff "$BATS_TEST_TMPDIR/b" "$BATS_TEST_TMPDIR/a"
    opened_files "$BATS_TEST_TMPDIR/with" | grep -qxF "\"$DUET_LIBRARY\""
    run -1 grep -E '(clone3?|v?fork|socket)\(' "$BATS_TEST_TMPDIR/with"
}

@test "with threads, only the program's own are started" {
    need_program strace
    trace "$BATS_TEST_TMPDIR/with" -E "LD_PRELOAD=$DUET_LIBRARY" "$STD/quiet_start" 3
    [ "$(grep -cE '(clone3?|fork)\(.*= [0-9]+$' "$BATS_TEST_TMPDIR/with")" -le 3 ]
    [ "$(grep -cE 'clone3?\(' "$BATS_TEST_TMPDIR/with")" -ge 3 ]
    opened_files "$BATS_TEST_TMPDIR/with" | grep -v '\.so' >"$BATS_TEST_TMPDIR/a" || true
    # glibc reads the CPU list or nothing; the library never does, whatever it is asked.
    run -1 grep -E '"/(proc|sys)/' "$BATS_TEST_TMPDIR/a"
}
