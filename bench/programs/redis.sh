#!/bin/sh
# redis.sh FOLDER : what the workload `redis` runs. A server on a socket in FOLDER, which keeps
# nothing on disk, is filled with strings, lists, hashes and sets that a script makes there, then
# redis-benchmark has its go at it, a third of the strings is replaced by longer ones, and it is
# shut down. It prints what the scripts count, which is the same under every allocator.
#
# The server alone runs on what is preloaded; its clients don't. Debian's is linked with jemalloc,
# so the C library is preloaded behind: where nothing else is, malloc is the C library's and not
# that.
set -eu
cd "$1"
rm -f socket server.log

LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}libc.so.6" redis-server --port 0 --unixsocket ./socket \
    --save '' --appendonly no --daemonize no --dir . --logfile server.log --hz 10 &
server=$!
unset LD_PRELOAD LD_DEBUG LD_DEBUG_OUTPUT

client() {
    redis-cli -s ./socket "$@"
}

# No sleep in between: its length would be in the time.
until client ping >answer 2>/dev/null && [ "$(cat answer)" = PONG ]; do
    if ! kill -0 "$server" 2>/dev/null; then
        cat server.log >&2
        exit 1
    fi
done

client eval '
    local made = 0
    for i = 1, 60000 do
        redis.call("SET", "string:" .. i, string.rep("v", i * 7919 % 400))
        redis.call("RPUSH", "list:" .. i % 200, i)
        if i % 3 == 0 then
            redis.call("HSET", "hash:" .. i % 500, "field" .. i, "value" .. i)
            redis.call("SADD", "set:" .. i % 50, "member" .. i)
            made = made + redis.call("STRLEN", "string:" .. i)
        end
    end
    return made' 0

benchmark() {
    redis-benchmark -s ./socket -q --csv -c 20 -P 16 "$@" >/dev/null
}
benchmark -t set,get -r 50000 -d 200 -n 150000
benchmark -t lpush,rpush,lpop,sadd,hset,zadd -r 20000 -d 40 -n 50000

client eval '
    local length = 0
    for i = 1, 60000, 3 do
        redis.call("SET", "string:" .. i, string.rep("w", 300 + i * 31 % 500))
        redis.call("DEL", "string:" .. i + 1)
    end
    for i = 1, 60000, 3 do
        length = length + redis.call("STRLEN", "string:" .. i)
    end
    return length' 0

client shutdown nosave
wait "$server"
