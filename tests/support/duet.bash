# For .bats files. ctest sets DUET_BUILD (the build folder), DUET_SOURCE, DUET_ENGINE (the engine
# under test) and DUET_LIBRARY (its library, to preload).

STD=$DUET_BUILD/tests/std               # programs that call the standard names
OWN=$DUET_BUILD/tests/duet-$DUET_ENGINE # those that call the duet_ names, linked with the library

# Runs a program on the library, without the launcher.
preloaded() {
    LD_PRELOAD=$DUET_LIBRARY "$@"
}

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

need_program() {
    command -v "$1" >/dev/null || skip "$1 is not installed (scripts/need test installs it)"
}
