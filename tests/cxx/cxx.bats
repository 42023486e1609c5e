# C++ programs, from each compiler that was there when they were built.

bats_require_minimum_version 1.5.0

setup() {
    load "$DUET_SOURCE/tests/support/duet.bash"
}

# Every compiler's build of a program, which is one at least.
builds_of() {
    [ -x "$DUET_BUILD/tests/cxx/$1" ] || return 1
    ls "$DUET_BUILD"/tests/{cxx,clang++}/"$1" 2>/dev/null || true
}

@test "every form of new and delete, bad_alloc, new-handlers, exceptions, pmr" {
    programs=$(builds_of operators)
    for program in $programs; do
        run preloaded "$program"
        [ "$status" -eq 0 ] || fail "$program: $output"
        [ "$output" = "operators: all forms" ]
    done
}

@test "a new-handler that frees memory" {
    programs=$(builds_of new_handler)
    for program in $programs; do
        run preloaded bash -c 'ulimit -v 131072 && exec "$0"' "$program"
        [ "$status" -eq 0 ] || fail "$program: $output"
        [ "$output" = "new_handler: memory freed and found" ]
    done
}

@test "threads, thread-local destructors, exceptions" {
    programs=$(builds_of threads)
    for program in $programs; do
        expected=$("$program")
        run preloaded "$program"
        [ "$status" -eq 0 ] || fail "$program: $output"
        [ "$output" = "$expected" ]
    done
}

@test "without a C++ runtime operator new serves" {
    run preloaded "$STD/without_runtime"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "without a C++ runtime operator new that fails aborts with a message" {
    run preloaded "$STD/without_runtime" fail
    [ "$status" -eq 134 ]
    [[ $output == "duet: "* ]]
    [ "${#lines[@]}" -eq 1 ]
}
