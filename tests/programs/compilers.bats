# gcc, and what it makes.

bats_require_minimum_version 1.5.0

setup() {
    load programs.bash
    need_program gcc
    cd "$BATS_TEST_TMPDIR"
}

# A source file of some 15,000 lines: structures, tables and functions that call each other.
large_source() {
    python3 - <<'END'
print("struct node { struct node *next; long keys[8]; };\nlong f0(struct node *n);")
for i in range(1, 300):
    print(f"static const long table{i}[] = {{{', '.join(str(i * k) for k in range(60))}}};")
    print(f"long f{i}(struct node *n)\n{{\n    long sum = {i};")
    for k in range(24):
        print(f"    if (n->keys[{k % 8}] > {i * k})")
        print(f"        sum += table{i}[{k}] * n->keys[{(k + 3) % 8}];")
    print(f"    return n->next ? sum + f{i // 2}(n->next) : sum;\n}}")
END
}

@test "gcc -O2 -c of a large source: the same object" {
    large_source >large.c
    gcc -O2 -c large.c -o plain.o
    on_duet gcc -O2 -c large.c -o duet.o
    cmp plain.o duet.o
}

@test "gcc -O2 -c of an allocator: the same object" {
    source=$DUET_SOURCE/src/front/malloc.c
    flags="-std=gnu17 -O2 -D_GNU_SOURCE -DDUET_CHECKED=0 -DDUET_TINY=0 -DDUET_STANDARD_NAMES=1
           -DDUET_VERSION=\"0\" -I$DUET_SOURCE/include -I$DUET_SOURCE/src
           -I$DUET_SOURCE/src/engine/duet -I$DUET_SOURCE/src/heap/large
           -I$DUET_SOURCE/src/heap/count/off"
    # shellcheck disable=SC2086 # words on purpose
    gcc $flags -c "$source" -o plain.o
    # shellcheck disable=SC2086
    on_duet gcc $flags -c "$source" -o duet.o
    cmp plain.o duet.o
}

@test "gcc reports errors with the same words and status" {
    printf 'int main(void) { return undeclared; }\n' >wrong.c
    run --separate-stderr gcc -c wrong.c
    [ "$status" -eq 1 ]
    local words=$stderr
    run --separate-stderr on_duet gcc -c wrong.c
    [ "$status" -eq 1 ]
    [ "${stderr:0:${#words}}" = "$words" ]
}

@test "a threaded C++ program" {
    same_on_both 0 "$DUET_BUILD/tests/cxx/threads"
}

@test "new and delete of every form" {
    on_duet "$DUET_BUILD/tests/cxx/operators"
}
