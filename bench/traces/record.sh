#!/bin/bash
# record.sh DUET [FOLDER] : records the traces that lie here anew, by the command DUET, into FOLDER
# (default: here). Each run of a program with threads gives a somewhat different trace.
set -euo pipefail

duet=$(realpath "${1:?the path of duet}")
here=$(dirname "$(realpath "$0")")
folder=$(realpath "${2:-$here}")
root=$here/../..
work=$(mktemp -d)
recording= # of the server, while it runs
trap clean_up EXIT

# The signal goes on from the launcher to the server.
clean_up() {
    if [ -n "$recording" ]; then
        kill "$recording" 2>/dev/null || :
        wait "$recording" || :
    fi
    rm -rf "$work"
}

# A compiler: one thread, very many cells that live shortly, and large ones that stay.
record_compiler() {
    "$duet" record -o "$folder/cc1.trace" -- \
        gcc -std=gnu17 -O2 -D_GNU_SOURCE -DDUET_CHECKED=0 -DDUET_TINY=0 -DDUET_RWLOCK=0 \
        -I"$root/src" -I"$root/include" -I"$root/src/engine/ng" -I"$root/src/heap/count/off" \
        -c "$root/src/engine/ng/group.c" -o "$work/group.o"
}

# An interpreter whose objects all come from malloc, with a pipeline of five threads.
record_interpreter() {
    PYTHONMALLOC=malloc "$duet" record -o "$folder/python.trace" -- \
        /usr/bin/python3 -S "$here/pipeline.py"
}

# A server whose input threads allocate what the main thread frees.
record_server() {
    local i
    "$duet" record -o "$folder/redis.trace" -- \
        redis-server --port 0 --unixsocket "$work/socket" --save '' --daemonize no \
        --io-threads 4 --io-threads-do-reads yes --logfile "$work/log" &
    recording=$!
    for ((i = 0; i < 200; i++)); do
        ! redis-cli -s "$work/socket" ping 2>/dev/null | grep -q PONG || break
        sleep 0.05
    done
    redis-benchmark -s "$work/socket" -q -c 200 -n 5000 -r 5000 -d 200 \
        -t set,get,lpush,lpop,sadd,hset,zadd >"$work/benchmark"
    redis-cli -s "$work/socket" shutdown nosave
    wait "$recording"
    recording=
}

record_compiler
record_interpreter
record_server
