# For the .bats files here. ctest sets DUET_BUILD, the build folder, and DUET_ENGINES, the engines
# that are there.
#
# What a program prints under `duet run` must be what it prints without, so the report is kept
# apart, on stderr; and every test ends with no counters' file left behind.

# shellcheck disable=SC2034 # variables of bats, and for the files

setup_file() {
    if [ -z "$DUET_BUILD" ]; then
        echo "DUET_BUILD has to name the build folder" >&2
        return 1
    fi
    DUET_BUILD=$(realpath "$DUET_BUILD")
    export DUET_BUILD
    export LC_ALL=C.UTF-8
    unset NO_COLOR LD_PRELOAD DUET_OPTIONS DUET_COUNTERS TMPDIR
}

setup_duet() {
    duet=$DUET_BUILD/duet
    # Not a wrapper script that may come first in PATH.
    python=$(PATH=/usr/bin:/bin type -P python3 || type -P python3)
    work=$BATS_TEST_TMPDIR
    files_before=$(counters_files)
}

setup() {
    setup_duet
}

# Whether the file is there, and locked by no launcher. (flock would make one that is gone anew.)
is_abandoned() {
    { flock -n 9; } 9<"$1"
} 2>/dev/null

teardown() {
    # Other runs on this machine have files of their own, each locked by its launcher, but for a
    # moment after it was made.
    local file
    for file in $(comm -13 <(echo "$files_before") <(counters_files)); do
        if is_abandoned "$file" && sleep 0.3 && is_abandoned "$file"; then
            echo "left behind: $file"
            return 1
        fi
    done
}

# The file that an engine's library is in.
library_file() { # ENGINE
    case $1 in
    duet) echo libduet.so ;;
    *) echo "libduet-$1.so" ;;
    esac
}

counters_files() {
    find /dev/shm /tmp -maxdepth 1 -name 'duet-counters-*' 2>/dev/null | sort
}

compile() { # NAME [FLAGS...], the source on stdin
    local name=$1
    shift
    "${CC:-cc}" -x c -o "$work/$name" "$@" - 2>&1
}

# Values of the JSON report: field EXPRESSION, in which `r` is the report.
field() {
    "$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' \
        "$work/report.json" "$1"
}
