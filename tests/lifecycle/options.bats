# DUET_OPTIONS and duet_default_options: what is wrong in them is one warning each, and the
# program runs on.

bats_require_minimum_version 1.5.0

setup() {
    load "$DUET_SOURCE/tests/support/duet.bash"
}

warnings() {
    grep -c '^duet: ' <<<"$stderr" || true
}

# expect_warnings COUNT WORD... : so many lines in all, all ours, and each word in one of them.
# Standard output has to be $expected_output.
expected_output=plain
expect_warnings() {
    local count=$1 word
    shift
    [ "$status" -eq 0 ] || fail "status $status: $output $stderr"
    [ "$output" = "$expected_output" ] || fail "said: $output"
    [ "$(warnings)" -eq "$count" ] || fail "expected $count warnings: $stderr"
    [ "$count" -eq 0 ] || [ "$(wc -l <<<"$stderr")" -eq "$count" ] || fail "more lines: $stderr"
    for word; do
        [ "$(grep -cF -- "$word" <<<"$stderr")" -eq 1 ] || fail "expected once '$word': $stderr"
    done
}

@test "no options, no warning" {
    run --separate-stderr preloaded "$STD/options"
    expect_warnings 0
    run --separate-stderr "$OWN/options"
    expect_warnings 0
}

@test "an empty list, no warning" {
    DUET_OPTIONS= run --separate-stderr preloaded "$STD/options"
    expect_warnings 0
}

@test "a known option, no warning" {
    DUET_OPTIONS=slots=4 run --separate-stderr preloaded "$STD/options"
    expect_warnings 0
}

@test "an unknown key is one warning" {
    DUET_OPTIONS=no_such_key=1 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 no_such_key
    DUET_OPTIONS=no_such_key=1 run --separate-stderr "$OWN/options"
    expect_warnings 1 no_such_key
}

@test "an unknown value is one warning" {
    DUET_OPTIONS=slots=many run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 many
}

@test "what is a switch takes 0 or 1" {
    local key
    for key in purge thp stats verbose purge_thread; do
        DUET_OPTIONS=$key=2 run --separate-stderr preloaded "$STD/options"
        expect_warnings 1 "$key takes 0 or 1"
    done
    DUET_OPTIONS=purge=1 run --separate-stderr preloaded "$STD/options"
    expect_warnings 0
}

@test "a number out of range is one warning" {
    DUET_OPTIONS=slots=99999999999999999999999999 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 99999999999999999999999999
    DUET_OPTIONS=slots=-1 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 -1
}

@test "each mistake is a warning of its own" {
    export DUET_OPTIONS=first_wrong=1,slots=4,second_wrong=2,slots=none
    run --separate-stderr preloaded "$STD/options"
    expect_warnings 3 first_wrong second_wrong none
}

@test "a key without a value, and a value without a key" {
    DUET_OPTIONS=slots run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 slots
    DUET_OPTIONS==4 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1
}

@test "a very long list" {
    DUET_OPTIONS=$(printf 'x%.0s' {1..100000})=1 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1
}

# Prints what a program with more threads than slots says of them. duet: threads of which each has a
# slot of its own, and as many slots that all others share.
all_slots() { # NUMBER
    case $DUET_ENGINE in
    duet | secure) printf 'slots %s\nplain' $((2 * $1)) ;;
    *) printf 'slots %s\nplain' "$1" ;;
    esac
}

@test "a program's own options are read" {
    run --separate-stderr "$OWN/options_with_defaults"
    expect_warnings 1 no_such_key_in_program
    expected_output=$(all_slots 5)
    run --separate-stderr "$OWN/options_with_defaults" slots 200
    expect_warnings 1 no_such_key_in_program
}

@test "the environment wins over a program's own options" {
    expected_output=$(all_slots 7)
    DUET_OPTIONS=slots=7 run --separate-stderr "$OWN/options_with_defaults" slots 200
    expect_warnings 1 no_such_key_in_program
}

@test "slots: so many are used" {
    for slots in 2 3 16 64; do
        expected_output=$(all_slots $slots)
        DUET_OPTIONS=slots=$slots run --separate-stderr preloaded "$STD/options" slots 200
        expect_warnings 0
        DUET_OPTIONS=slots=$slots run --separate-stderr "$OWN/options" slots 200
        expect_warnings 0
    done
}

@test "stats: the heap's figures at exit, once" {
    for program in "env LD_PRELOAD=$DUET_LIBRARY $STD/options" "$OWN/options"; do
        # shellcheck disable=SC2086 # words on purpose
        DUET_OPTIONS=stats=1 run --separate-stderr $program
        [ "$status" -eq 0 ]
        [ "$output" = plain ]
        [ "$(grep -c '^duet: the heap, engine ' <<<"$stderr")" -eq 1 ]
        grep -qE 'bytes mapped for the heap: [1-9]' <<<"$stderr"
        grep -qE 'slots in use: [1-9]' <<<"$stderr"
        # shellcheck disable=SC2086
        DUET_OPTIONS=stats=0 run --separate-stderr $program
        expect_warnings 0
    done
}

@test "verbose: the engine's name at start" {
    DUET_OPTIONS=verbose=1 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 "version" ", engine "
    DUET_OPTIONS=verbose=1 run --separate-stderr "$OWN/options"
    expect_warnings 1 "version" ", engine "
    DUET_OPTIONS=verbose=0 run --separate-stderr "$OWN/options"
    expect_warnings 0
}

@test "limit takes a number, or one with a unit" {
    local value
    for value in 1 4096 64K 32M 1G; do
        DUET_OPTIONS=limit=$value run --separate-stderr preloaded "$STD/options"
        expect_warnings 0
    done
    for value in 0 M 3x 1KM -1 99999999999; do
        DUET_OPTIONS=limit=$value run --separate-stderr preloaded "$STD/options"
        expect_warnings 1 "limit=$value"
    done
}

@test "slots_of takes cpus or threads, and says where CPUs have none" {
    DUET_OPTIONS=slots_of=both run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 slots_of=both
    DUET_OPTIONS=slots_of=threads run --separate-stderr preloaded "$STD/options"
    expect_warnings 0
    [ "$DUET_ENGINE" = duet ] || [ "$DUET_ENGINE" = secure ] || return 0
    # Without the C library's registration nobody has them.
    GLIBC_TUNABLES=glibc.pthread.rseq=0 DUET_OPTIONS=slots_of=cpus \
        run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 slots_of=cpus
}

@test "purge_thread takes 0 or 1, and starts a thread" {
    DUET_OPTIONS=purge_thread=2 run --separate-stderr preloaded "$STD/options"
    expect_warnings 1 purge_thread=2
    # shellcheck disable=SC2016 # the inner shell expands it
    local count='ls /proc/$$/task | wc -l'
    [ "$(preloaded sh -c "$count; :")" -eq 1 ]
    [ "$(DUET_OPTIONS=purge_thread=1 preloaded sh -c "$count; :")" -eq 2 ]
}

@test "thp: huge pages are refused, or asked for" {
    [ -e /sys/kernel/mm/transparent_hugepage ] || skip "a kernel without huge pages"
    expected_output=$'large, no huge pages\nplain'
    run --separate-stderr "$OWN/options" large 25165824
    expect_warnings 0
    DUET_OPTIONS=thp=0 run --separate-stderr "$OWN/options" large 25165824
    expect_warnings 0
    expected_output=$'large, huge pages\nplain'
    DUET_OPTIONS=thp=1 run --separate-stderr "$OWN/options" large 25165824
    expect_warnings 0
}

# Takes the place of a copy that nobody runs setuid; prints its output and, on stderr, warnings.
as_nobody() {
    if command -v setpriv >/dev/null; then
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    else
        su -s /bin/sh nobody -c '"$0" "$@"' -- "$@"
    fi
}

@test "the environment is ignored in a privileged program" {
    [ "${DUET_COVERAGE-0}" = 0 ] || skip "nobody's program cannot write its counts, and says so"
    [ "$(id -u)" -eq 0 ] || skip "only root can make a setuid program"
    folder=$(mktemp -d /tmp/duet-setuid.XXXXXX)
    chmod 755 "$folder"
    cp "$OWN/options" "$folder/options"
    export DUET_OPTIONS=no_such_key=1

    run --separate-stderr as_nobody "$folder/options"
    expect_warnings 1 no_such_key

    chown root:root "$folder/options"
    chmod 4755 "$folder/options"
    run --separate-stderr as_nobody "$folder/options"
    rm -r "$folder"
    [ "$status" -eq 0 ]
    [ "$output" = secure ] || skip "the file system of /tmp does not honour setuid"
    [ -z "$stderr" ]
}
