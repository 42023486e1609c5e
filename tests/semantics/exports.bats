# What the shared library exports and needs.

bats_require_minimum_version 1.5.0

setup() {
    load "$DUET_SOURCE/tests/support/duet.bash"
}

c_names() {
    cat <<'END'
aligned_alloc
calloc
free
free_aligned_sized
free_sized
mallinfo
mallinfo2
malloc
malloc_info
malloc_stats
malloc_trim
malloc_usable_size
mallopt
memalign
posix_memalign
pvalloc
realloc
reallocarray
valloc
END
}

# All replaceable forms of [new.delete]: plain, nothrow, aligned, both; and delete also sized.
operator_names() {
    local form
    for form in nwm nam; do
        printf '_Z%s\n' $form ${form}RKSt9nothrow_t ${form}St11align_val_t \
            ${form}St11align_val_tRKSt9nothrow_t
    done
    for form in dlPv daPv; do
        printf '_Z%s\n' $form ${form}RKSt9nothrow_t ${form}m ${form}St11align_val_t \
            ${form}mSt11align_val_t ${form}St11align_val_tRKSt9nothrow_t
    done
}

# Functions that duet.h declares with DUET_API.
duet_names() {
    grep '^DUET_API' "$DUET_SOURCE/include/duet.h" | grep -o 'duet_[a-z_]*(' | tr -d '('
}

# The engine, or its secure flavour.
is_duet() {
    [ "$DUET_ENGINE" = duet ] || [ "$DUET_ENGINE" = secure ]
}

# What duet does with CPUs' slots while a child runs in its parent's memory, where there are any.
kept_names() {
    ! is_duet || nm "$DUET_LIBRARY" | awk '$3 == "vfork" { print $3 }'
}

# What the secure flavour looks at.
looked_at_names() {
    [ "$DUET_ENGINE" != secure ] || printf '%s\n' memcpy memmove memset
}

exported() {
    nm -D --defined-only "${1-$DUET_LIBRARY}" |
        awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

@test "there are 20 operators, as the standard counts them" {
    [ "$(operator_names | sort -u | wc -l)" -eq 20 ]
}

@test "exactly the malloc family, operators, duet_*, and what duet and secure need" {
    { c_names; operator_names; duet_names; kept_names; looked_at_names; } |
        sort -u >"$BATS_TEST_TMPDIR/expected"
    exported >"$BATS_TEST_TMPDIR/exported"
    diff "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/exported"
}

@test "the library that counts exports the same" {
    exported >"$BATS_TEST_TMPDIR/exported"
    counting=${DUET_LIBRARY%/*}/report/${DUET_LIBRARY##*/}
    diff "$BATS_TEST_TMPDIR/exported" <(exported "$counting")
}

# A compiler that made calls of ours of them would make a loop.
@test "secure leaves copying to the C library" {
    [ "$DUET_ENGINE" = secure ] || skip "has no copying"
    nm -D --undefined-only "$DUET_LIBRARY" >"$BATS_TEST_TMPDIR/needed"
    for name in __memmove_chk __memset_chk; do
        grep -qw "$name" "$BATS_TEST_TMPDIR/needed"
    done
}

@test "the header's names were found" {
    [ "$(duet_names | wc -l)" -ge 20 ]
    duet_names | grep -qx duet_malloc
    duet_names | grep -qx duet_stats
}

@test "libc is all that it needs" {
    needed=$(readelf -d "$DUET_LIBRARY" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for library in $needed; do
        case $library in
        libc.so.* | libc.musl-* | ld-linux*) ;;
        *) fail "needs $library" ;;
        esac
    done
    [ -n "$needed" ]
}

@test "programs with the static library need no C++ runtime" {
    for program in "$OWN"/test_family "$OWN"/torture; do
        run ! grep -E 'libstdc\+\+|libc\+\+|libgcc_s|libm\.' <(readelf -d "$program")
    done
}

# Which shared slot a thread is in, and duet: which one is its own, what is looked at in place of a
# registration, how deep in operations it is, and whether a child of vfork is there. The checked
# build also keeps which locks a thread holds.
@test "it stays mapped, and takes at most 16 bytes of static TLS (duet: 48; if checked, 8 more)" {
    readelf -d "$DUET_LIBRARY" | grep -q NODELETE
    most=16
    ! is_duet || most=48
    [ "$DUET_CHECKED" -eq 0 ] || most=$((most + 8))
    size=$(readelf -lW "$DUET_LIBRARY" | awk '$1 == "TLS" { print $6 }')
    [ -z "$size" ] || [ $((size)) -le "$most" ]
}
