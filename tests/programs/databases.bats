# sqlite3 and Redis: large heaps of small blocks, and a server that stays.

bats_require_minimum_version 1.5.0

setup() {
    load programs.bash
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    stop_server
}

@test "sqlite3: 300,000 rows in memory" {
    need_program sqlite3
    cat >work.sql <<'END'
CREATE TABLE numbers (id INTEGER PRIMARY KEY, key INTEGER, text TEXT);
WITH RECURSIVE count(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM count WHERE i < 300000)
INSERT INTO numbers SELECT i, (i * 7919) % 100003, 'text of row ' || i FROM count;
CREATE INDEX by_key ON numbers (key);
SELECT count(*), sum(key), max(length(text)) FROM numbers;
SELECT key, count(*), min(text), max(text) FROM numbers WHERE key < 500 GROUP BY key ORDER BY key;
DELETE FROM numbers WHERE key % 3 = 0;
SELECT count(*), sum(id) FROM numbers;
SELECT a.id, b.text FROM numbers a JOIN numbers b ON b.id = a.key WHERE a.id < 2000 ORDER BY 1;
END
    same_on_both 0 sqlite3 :memory: '.read work.sql'
}

# ---- Redis ---------------------------------------------------------------------------------

free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

client() {
    redis-cli -h 127.0.0.1 -p "$port" "$@"
}

# Starts a server, by way of what is given; stdout and stderr go to server.log.
start_server() {
    port=$(free_port)
    "$@" redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --daemonize no \
        --dir "$BATS_TEST_TMPDIR" >server.log 2>&1 3>&- &
    server=$!
    for _ in {1..100}; do
        [ "$(client ping 2>/dev/null)" = PONG ] && return
        sleep 0.1
    done
    fail "the server did not start: $(cat server.log)"
}

stop_server() {
    [ -n "${server-}" ] || return 0
    client shutdown nosave >/dev/null 2>&1 || kill "$server" 2>/dev/null || true
    wait "$server" || server_status=$?
    server=
}

# What a client sees of a data set of strings, lists, hashes and sets.
use_server() {
    python3 - >commands <<'END'
for i in range(20000):
    print(f"SET string:{i} {'v' * (i % 700)}x")
    print(f"RPUSH list:{i % 100} {i}")
    print(f"HSET hash:{i % 50} field{i} value{i}")
    print(f"SADD set:{i % 20} member{i}")
    if i % 3 == 0:
        print(f"APPEND string:{i // 2} more")
        print(f"DEL string:{i // 3}")
END
    client <commands | cksum
    client dbsize
    client llen list:7
    client hget hash:9 field9
    client scard set:3
    client eval 'local n = 0 for i = 1, 20000 do n = n + redis.call("STRLEN", "string:" .. i) end
                 return n' 0
}

@test "redis-server under redis-benchmark" {
    need_program redis-server
    need_program redis-benchmark
    start_server env
    use_server >plain.out
    stop_server

    server_status=0
    start_server "$DUET_BUILD/duet" run --engine "$DUET_ENGINE" \
        --json "$BATS_TEST_TMPDIR/report.json" --
    use_server >duet.out
    cmp plain.out duet.out
    redis-benchmark -h 127.0.0.1 -p "$port" -q -n 20000 -c 20 -d 300 -r 10000 --threads 2 \
        -t set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset >benchmark.out
    [ "$(tr '\r' '\n' <benchmark.out | grep -c 'requests per second')" -ge 10 ]
    run -1 grep -i error benchmark.out
    [ "$(client ping)" = PONG ]
    stop_server
    [ "$server_status" -eq 0 ]
    python3 - report.json "$DUET_ENGINE" <<'END'
import json, sys
greatest = json.load(open(sys.argv[1]))["processes"][0]
assert greatest["engine"] == sys.argv[2] and greatest["allocations"] > 100000, greatest
END
}
