# Interpreters: many small objects of all sizes, strings that grow, threads.

setup() {
    load programs.bash
    cd "$BATS_TEST_TMPDIR"
}

@test "python3 with threads and json" {
    need_program python3
    cat >work.py <<'END'
import hashlib, json, random, threading

def work(number, results):
    numbers = random.Random(number)
    tree = {str(i): {"list": [numbers.random() for _ in range(i % 50)], "text": "x" * (i % 500)}
            for i in range(1200)}
    for _ in range(3):
        tree = json.loads(json.dumps(tree))
    results[number] = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

results = [None] * 8
threads = [threading.Thread(target=work, args=(i, results)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("\n".join(results))
END
    # Without python's own arenas every object is one of malloc's.
    same_on_both 0 env PYTHONMALLOC=malloc PYTHONHASHSEED=0 python3 work.py
}

@test "perl: hashes, strings and regular expressions" {
    need_program perl
    cat >work.pl <<'END'
my %words;
for my $i (1 .. 200000) {
    my $word = join '', map { chr(97 + ($i * $_) % 26) } 1 .. $i % 12;
    $words{$word} .= $i % 10;
}
my $text = join ' ', map { "$_=" . length $words{$_} } sort keys %words;
$text =~ s/([aeiou])(\w*)/$2$1/g;
print length $text, ' ', unpack('%32C*', $text), "\n";
print join(',', (sort { $a cmp $b } split / /, $text)[0 .. 20]), "\n";
exit 7;
END
    same_on_both 7 env PERL_HASH_SEED=0 perl work.pl
}

@test "bash: arrays, substitutions, subshells" {
    cat >work.sh <<'END'
declare -A squares
for ((i = 0; i < 20000; i++)); do
    squares[$i]=$((i * i))
    text+=${squares[$i]:0:1}
done
for i in {1..50}; do
    text=${text//$((i % 10))/<$i>}
    text=${text:0:100000}
done
echo ${#text} ${#squares[@]} "$(for i in {1..20}; do echo "$i" | (read -r x; echo -n "$x,"); done)"
echo "${text: -50}"
exit 3
END
    same_on_both 3 bash work.sh
}
