# For the .bats files here: a program runs on the C library's malloc and on duet, and must do the
# same on both.

load "$DUET_SOURCE/tests/support/duet.bash"

# Runs a program on duet by the launcher. The report goes to report.json; that it counts
# allocations of the engine is the proof that the library was mapped; without it the status is 99,
# which no program here ends with. (Callers that look at the status switch `set -e` off in here.)
on_duet() {
    local report=$BATS_TEST_TMPDIR/report.json status=0
    rm -f "$report"
    "$DUET_BUILD/duet" run --engine "$DUET_ENGINE" --json "$report" -- "$@" || status=$?
    python3 - "$report" "$DUET_ENGINE" >&2 <<'END' || status=99
import json, sys
report = json.load(open(sys.argv[1]))
ours = [p for p in report["processes"] if p["engine"] == sys.argv[2] and p["allocations"] > 0]
sys.exit(0 if ours else 1)
END
    [ "$status" -ne 99 ] || echo "not on duet: $*" >&2
    return "$status"
}

# Runs a program in both ways; expects the same standard output and status, and this status.
same_on_both() {
    local expected=$1 status=0
    shift
    "$@" >"$BATS_TEST_TMPDIR/plain.out" || status=$?
    [ "$status" -eq "$expected" ] || fail "without duet, status $status: $*"
    status=0
    on_duet "$@" >"$BATS_TEST_TMPDIR/duet.out" || status=$?
    [ "$status" -eq "$expected" ] || fail "on duet, status $status: $*"
    cmp "$BATS_TEST_TMPDIR/plain.out" "$BATS_TEST_TMPDIR/duet.out"
}
