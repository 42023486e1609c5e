# duet bench as a user meets it. Figures of speed are not asserted: they are the machine's.

# shellcheck disable=SC2016,SC2034,SC2086,SC2154 # words for other shells, or many; variables of
# and for bats and cli.bash
bats_require_minimum_version 1.5.0

load cli.bash

setup() {
    setup_duet
    faulty=$DUET_BUILD/tests/bench
    json=$work/report.json
    mkdir "$work/tmp"
    export TMPDIR=$work/tmp
}

bench() { # [OPTION...] NAME...: little of each
    "$duet" bench --runs 1 --percent 2 --json "$json" "$@"
}

# Whatever was made for the programs is gone.
nothing_is_left() {
    [ -z "$(ls "$work/tmp")" ]
}

terminate_when() { # PROCESS COMMAND...: once the command succeeds, or after 8 seconds
    local process=$1
    shift
    for _ in {1..400}; do
        "$@" && break
        sleep 0.02
    done
    kill -TERM "$process"
    status=0
    wait "$process" || status=$?
    [ "$status" = 130 ]
}

# ---- Words -----------------------------------------------------------------------------------

@test "mistakes in the words are refused with 125 and one line, before anything runs" {
    refuse() { # WORDS...
        run -125 "$duet" bench "$@"
        [ "${#lines[@]}" = 1 ]
        [[ $output == "duet bench: "* ]]
        [ ! -e "$json" ]
    }
    refuse --no-such-option
    refuse --runs 0 pair
    refuse --percent many pair
    refuse --timeout 0 pair
    refuse --threads "" larson
    refuse --threads 0 larson
    refuse --threads 1,two larson
    refuse --threads 1, larson
    refuse --threads 1025 larson
    refuse --threads 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17 larson
    refuse --json "" pair
    refuse --json /no/such/folder/file pair
    refuse --html /no/such/folder/file pair
    refuse --pictures /no/such/folder/there pair
    refuse --json "$json" --with nobody pair
    refuse --json "$json" --base nobody pair
    refuse --json "$json" no-such-workload
    [[ $output == *"there is no workload 'no-such-workload'"*"--list"* ]]
    refuse --json "$json" 'no-such-*'
    refuse --json "$json" no-such.trace
    echo nonsense >"$work/nonsense.trace"
    refuse --json "$json" "$work/nonsense.trace"
}

@test "help and list" {
    run -0 --separate-stderr "$duet" bench --help
    [[ $output == *"usage: duet bench"* ]]
    run -0 --separate-stderr "$duet" bench --list
    [ -z "$stderr" ]
    for name in pair larson gcc redis; do
        grep -Eq "^  $name +" <<<"$output"
    done
    grep -Eq '^  larson +1,' <<<"$output"
    run -0 "$duet" bench --list --threads 3,5
    grep -Eq '^  larson +3,5 ' <<<"$output"
    grep -Eq '^  pair +1 ' <<<"$output"
}

@test "all that the program of patterns has is in the list" {
    run -0 "$duet" bench --list
    for name in $("$DUET_BUILD/bench/duet-workloads" --list | cut -f 1); do
        grep -Eq "^  $name +1[ ,]" <<<"$output"
    done
}

@test "a program that is not here is told, and left out" {
    # A PATH with neither redis-server nor lua.
    mkdir "$work/bin"
    for name in sh gcc as sqlite3; do
        ln -s "$(type -P $name)" "$work/bin/$name"
    done
    run -0 env PATH="$work/bin" "$duet" bench --list
    [[ $output == *"left out here"*"redis"*"lacks redis-server (Debian's package redis-server)"* ]]
    run -125 env PATH="$work/bin" "$duet" bench --runs 1 lua
    [[ $output == *"lua needs what is not here: lua5.4 (Debian's package lua5.4)"* ]]
    run -0 env PATH="$work/bin" "$duet" bench --runs 1 --percent 1 --with smp 'pai[r]' 'lu[a]'
    [[ $output == *"lua is left out"* ]]
    [[ $output == *"pair"* ]]
}

# ---- What is measured ------------------------------------------------------------------------

@test "an entry for each workload, number of threads and allocator, with all that it is to have" {
    run -0 bench --with smp,ng --threads 1,3 pair 'sh[68]'
    [ "$(field "[(e['workload'], e['threads']) for e in r['results'][::3]]")" = \
        "[('pair', 1), ('sh6', 1), ('sh6', 3), ('sh8', 1), ('sh8', 3)]" ]
    [ "$(field "[e['allocator'] for e in r['results']] == ['glibc', 'smp', 'ng'] * 5")" = True ]
    for key in wall_s user_s sys_s peak_rss_kib runs; do
        [ "$(field "all(e['$key'] >= 0 for e in r['results'])")" = True ]
    done
    [ "$(field "all(e['wall_s'] > 0 and e['peak_rss_kib'] > 100 for e in r['results'])")" = True ]
    [ "$(field "{e['status'] for e in r['results']}")" = "{'ok'}" ]
    [ "$(field "r['whole']")" = True ]
    [ "$(field "len(r['means'])")" = 3 ]
    [[ $output == *"sh8"* ]]
    [ ! -e "$json.part" ]
    nothing_is_left
}

@test "half of the work takes less time, on as much memory" {
    bench --with smp --threads 1 --percent 4 alloc-test >/dev/null 2>&1
    little=$(field "r['results'][0]['wall_s']")
    rss=$(field "r['results'][0]['peak_rss_kib']")
    bench --with smp --threads 1 --percent 40 alloc-test >/dev/null 2>&1
    [ "$(field "r['results'][0]['wall_s'] > 3 * $little")" = True ]
    [ "$(field "0.9 < r['results'][0]['peak_rss_kib'] / $rss < 1.1")" = True ]
}

@test "real programs run, write the same under all, and leave nothing behind" {
    for program in lua git; do # git writes in a folder
        "$duet" bench --list | grep -Eq "^  $program +lacks" && skip "no $program"
    done
    run -0 bench --with smp lua git
    [ "$(field "{(e['status'], e['kind']) for e in r['results']}")" = "{('ok', 'program')}" ]
    [ "$(field "{e['threads'] for e in r['results']}")" = "{0}" ]
    nothing_is_left
}

@test "traces that come with duet are played" {
    trace=$("$duet" bench --list | awk '/^  trace-/ { print $1; exit }')
    [ -n "$trace" ]
    run -0 bench --with smp "$trace"
    [ "$(field "{e['status'] for e in r['results']}")" = "{'ok'}" ]
    [ "$(field "r['results'][0]['peak_rss_kib'] > 100")" = True ]
    nothing_is_left
}

# ---- Curves ----------------------------------------------------------------------------------

curves() { # [OPTION...] NAME...: as short as can be
    "$duet" bench --curves --runs 1 --percent 1 --json "$json" "$@"
}

@test "curves: words that mean nothing there are refused, and its list is its own" {
    refuse() { # WORDS...
        run -125 "$duet" bench --curves "$@"
        [ "${#lines[@]}" = 1 ]
        [[ $output == "duet bench: "* ]]
        [ ! -e "$json" ]
    }
    for words in --quick '--threads 2' '--base glibc' '--html page.html'; do
        refuse $words
        [[ $output == *"${words%% *} is nothing for --curves"* ]]
    done
    refuse --json "$json" larson
    [[ $output == *"there is no curve 'larson'"* ]]
    refuse --json "$json" --with nobody
    refuse --pictures /no/such/folder/there
    run -0 "$duet" bench --curves --list
    [ "$(awk '{ print $1 }' <<<"$output")" = \
        "$("$DUET_BUILD/bench/duet-workloads" --curves | cut -f 1)" ]
}

@test "curves: every point of every run, what is told of them, and a picture each" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    run -0 --separate-stderr curves --runs 2 --with smp --pictures "$work/pictures" \
        batches 'sizes-3?'
    [[ $output == *"batches: "*"greatest step"*"over 100"*"smp"*"sizes-32: "* ]]
    [ "$(awk '{ if (length($0) > most) most = length($0) } END { print (most <= 100) }' \
        <<<"$output")" = 1 ]
    [ "$(field "[c['curve'] for c in r['curves']]")" = "['batches', 'sizes-32']" ]
    "$python" - "$json" "$work/pictures" <<'EOF'
import json
import statistics
import sys
import xml.dom.minidom

raw = json.load(open(sys.argv[1]))
assert raw["command"] == "curves" and raw["whole"] and raw["runs"] == 2
curves = {curve["curve"]: curve for curve in raw["curves"]}
batches, sizes = curves["batches"]["points"], curves["sizes-32"]["points"]
assert {1, 10, 100, 1000, 10000, 100000} <= set(batches) and batches[-1] == 100000
assert sizes[0] == 8 and sizes[-1] == 2**20
assert all(small < great <= small * 1.25 for small, great in zip(sizes, sizes[1:]))
assert [(e["curve"], e["allocator"]) for e in raw["results"]] == [
    ("batches", "glibc"), ("batches", "smp"), ("sizes-32", "glibc"), ("sizes-32", "smp")]
for entry in raw["results"]:
    points = curves[entry["curve"]]["points"]
    assert entry["status"] == "ok" and entry["runs"] == 2 == len(entry["samples"])
    assert all(len(run) == len(points) and min(run) > 0 for run in entry["samples"])
    step = entry["greatest_step"]
    at, over = points.index(step["at"]), points.index(step["over"])
    assert abs(at - over) == 1 and step["median"] >= 1
    told = statistics.median(run[at] / run[over] for run in entry["samples"])
    assert abs(told / step["median"] - 1) < 0.01
    assert (entry["cliffs"] > 0) == (step["median"] > 2)
    assert (entry["most_over_reference"] is None) == (entry["curve"] != "batches")
for name in curves:
    text = open(f"{sys.argv[2]}/{name}.svg").read()
    xml.dom.minidom.parseString(text)
    assert "smp" in text
EOF
}

@test "curves: a library that crashes is shown as that, and JSON may go to stdout" {
    run -1 --separate-stderr "$duet" bench --curves --runs 1 --percent 1 --json - \
        --with "smp,crash=$faulty/faulty_crash.so" batches
    [ "$(echo "$output" | "$python" -c 'import json, sys
print([e["status"] for e in json.load(sys.stdin)["results"]])')" = "['ok', 'ok', 'crash']" ]
    [[ $stderr == *"crash"* ]]
}

@test "curves: interrupted, it reports those that are done" {
    "$duet" bench --curves --runs 1 --with smp --percent 10 --json "$json" \
        >"$work/out" 2>"$work/err" &
    terminate_when $! grep -q '^1 of ' "$work/err"
    [[ $(cat "$work/err") == *"interrupted: what follows is of "*" of 4 curves"* ]]
    [[ $(cat "$work/out") == *"batches: "* ]]
    [ "$(field "r['whole']")" = False ]
}

# ---- What fails ------------------------------------------------------------------------------

@test "libraries that crash, hang, and let cells overlap: shown as that, the others unharmed" {
    with=smp
    for fault in crash hang overlap; do
        with=$with,$fault=$faulty/faulty_$fault.so
    done
    run -1 bench --timeout 2 --percent 5 --with "$with" batch
    [ "$(field "[e['status'] for e in r['results']]")" = \
        "['ok', 'ok', 'crash', 'timeout', 'corrupt']" ]
    [ "$(field "{e['wall_s'] for e in r['results'] if e['status'] != 'ok'}")" = "{None}" ]
    [ "$(field "all(e['wall_s'] > 0 for e in r['results'] if e['status'] == 'ok')")" = True ]
    [[ $output == *crash*timeout*corrupt* ]]
}

# ---- Interrupted -----------------------------------------------------------------------------

has_part() {
    [ -e "$json.part" ] && [ "$("$python" -c 'import json, sys
print(len(json.load(open(sys.argv[1]))["results"]))' "$json.part")" -ge 4 ]
}

interrupt() { # WORDS...: when two workloads are done
    "$duet" bench --runs 1 --json "$json" "$@" >"$work/out" 2>"$work/err" &
    terminate_when $! has_part
}

@test "an interrupted bench reports what is done, and goes on where it was" {
    words=(--percent 5 --with smp pair batch random sh6 larson --threads '1,2')
    interrupt "${words[@]}"
    [[ $(cat "$work/err") == *"interrupted: what follows is of "*" of 7 workloads"* ]]
    [[ $(cat "$work/out") == *"pair"* ]]
    [ ! -e "$json" ]
    nothing_is_left
    cp "$json.part" "$work/kept"
    first=$("$python" -c 'import json, sys
print(json.load(open(sys.argv[1]))["results"][0]["samples"]["wall_s"])' "$json.part")

    # Another question starts anew, and says so.
    run -0 --separate-stderr bench --with smp --percent 1 pair
    [[ $stderr == *"starting anew"* ]]
    [ "$(field "len(r['results'])")" = 2 ]
    rm "$json"

    cp "$work/kept" "$json.part"
    run -0 --separate-stderr bench "${words[@]}"
    [[ $stderr == *"going on from $json.part: "*" of 7 workloads are done"* ]]
    [ ! -e "$json.part" ]
    [ "$(field "len(r['results'])")" = 14 ]
    [ "$(field "r['whole']")" = True ]
    [ "$(field "r['results'][0]['samples']['wall_s']")" = "$first" ]
}

@test "a part that is damaged, or of other libraries, is not taken over" {
    for content in '' '{' '{"format": 1, "command": "bench", "results": []}' 'words'; do
        echo "$content" >"$json.part"
        run -0 --separate-stderr bench --with smp pair
        [[ $stderr == *"nothing is taken over"* ]]
        [ ! -e "$json.part" ]
    done

    cp "$DUET_BUILD/libduet-smp.so" "$work/mine.so"
    words=(--percent 5 --with "mine=$work/mine.so" pair batch random sh6 larson)
    interrupt "${words[@]}"
    sleep 1.1
    touch "$work/mine.so"
    run -0 --separate-stderr bench "${words[@]}"
    [[ $stderr == *"a library has changed since: starting anew"* ]]
}

# ---- What is written -------------------------------------------------------------------------

@test "pictures and pages are whole, and need nothing else" {
    command -v gnuplot >/dev/null || skip "no gnuplot"
    run -0 bench --with smp,ng --html "$work/page.html" --pictures "$work/pictures" pair sh6
    "$python" - "$work/pictures" "$work/page.html" <<'EOF'
import re
import sys
import xml.dom.minidom

for name in ("overview", "time", "memory"):
    xml.dom.minidom.parse(f"{sys.argv[1]}/{name}.svg")
page = open(sys.argv[2], encoding="utf-8").read()
assert page.lstrip().lower().startswith("<!doctype html>")
assert "<svg" in page and "sh6" in page and "smp" in page
assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
EOF
}

@test "JSON on stdout, with the tables on stderr, and into what is no ordinary file" {
    run -0 --separate-stderr "$duet" bench --runs 1 --percent 1 --with smp --json - pair
    echo "$output" | "$python" -c 'import json, sys; json.load(sys.stdin)'
    [[ $stderr == *pair* ]]
    run -0 "$duet" bench --runs 1 --percent 1 --with smp --json /dev/null pair
    [ -c /dev/null ]
    [ ! -e /dev/null.part ]
}

@test "a link to a file of figures stays one" {
    ln -s "$work/target.json" "$json"
    echo '{}' >"$work/target.json"
    run -0 bench --with smp pair
    [ -L "$json" ]
    [ "$(field "len(r['results'])")" = 2 ]
}

# ---- The page in the docs --------------------------------------------------------------------

@test "benchmarks-page refreshes what stands between the marks, and nothing else" {
    bench --with smp,ng --threads 1,2 pair sh6 >/dev/null 2>&1
    mkdir -p "$work/tree/scripts" "$work/tree/docs"
    cp "$BATS_TEST_DIRNAME/../../scripts/benchmarks-page" "$work/tree/scripts"
    cd "$work/tree"
    run -1 scripts/benchmarks-page "$json"
    [[ $output == *"there is no docs/benchmarks.md"* ]]
    echo 'No marks.' >docs/benchmarks.md
    run -1 scripts/benchmarks-page "$json"
    [[ $output == *"must have these two lines"* ]]
    printf '%s\n' Before. "$(sed -n 's/^BEGIN = "\(.*\)"$/\1/p' scripts/benchmarks-page)" Old. \
        '<!-- end of figures -->' After. >docs/benchmarks.md
    run -1 scripts/benchmarks-page docs/benchmarks.md
    [[ $output == *"cannot read"* ]]
    run -0 scripts/benchmarks-page "$json"
    once=$(cat docs/benchmarks.md)
    [[ $once == "Before."*"sh6"*"After." ]]
    [[ $once != *"Old."* ]]
    run -0 scripts/benchmarks-page docs/benchmarks/results.json
    [ "$(cat docs/benchmarks.md)" = "$once" ]
    run ! grep -q "$DUET_BUILD" docs/benchmarks/results.json

    # Curves have marks of their own.
    curves --with smp batches >/dev/null 2>&1
    run -1 scripts/benchmarks-page "$json"
    [[ $output == *"must have these two lines"*"curves"* ]]
    printf '%s\n' "$(sed -n 's/^CURVES_BEGIN = "\(.*\)"$/\1/p' scripts/benchmarks-page)" Old. \
        '<!-- end of curves -->' End. >>docs/benchmarks.md
    run -0 scripts/benchmarks-page "$json"
    [[ $(cat docs/benchmarks.md) == "$once"*'### `batches`'*"| smp |"*"End." ]]
    run ! grep -q 'Old\.' docs/benchmarks.md
    twice=$(cat docs/benchmarks.md)
    run -0 scripts/benchmarks-page docs/benchmarks/curves.json docs/benchmarks/results.json
    [ "$(cat docs/benchmarks.md)" = "$twice" ]
    run ! grep -q "$DUET_BUILD" docs/benchmarks/curves.json
}
