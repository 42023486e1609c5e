"""What the workloads `python3` and `python3-malloc` run: what scripts do to a heap. Records that
are made, kept, changed and dropped; dicts and sets that grow; text that is split, joined and
formatted; JSON there and back; classes, closures and generators; and numbers too large for a word.
It prints sums, which are the same under every allocator. Its argument is how many percent of all
that to do."""

import json
import re
import sys
from collections import Counter, OrderedDict, deque

PERCENT = int(sys.argv[1]) if len(sys.argv) > 1 else 100


def some(count):
    return max(1, count * PERCENT // 100)


class Random:
    """The same numbers in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit


class Account:
    def __init__(self, number, owner):
        self.number = number
        self.owner = owner
        self.entries = []

    def book(self, amount, text):
        self.entries.append({"amount": amount, "text": text, "tags": (text[:3], amount % 7)})

    def balance(self):
        return sum(entry["amount"] for entry in self.entries)


class Node:
    __slots__ = ("key", "left", "right")

    def __init__(self, key):
        self.key = key
        self.left = self.right = None


def accounts(random):
    every, count = {}, some(6000)
    for number in range(count):
        every[f"account-{number}"] = Account(number, f"owner {number % 700}")
    for _ in range(some(60000)):
        account = every[f"account-{random.below(count)}"]
        account.book(random.below(1000) - 500, f"entry {random.below(100000)}")
    for number in range(0, count, 3):
        del every[f"account-{number}"]
    return sum(account.balance() for account in every.values()), every


def records_as_json(every):
    text = json.dumps([vars(account) for account in every.values()][:1500])
    back = json.loads(text)
    pretty = json.dumps(back[:400], indent=1, sort_keys=True)
    return len(text), len(pretty), sum(len(one["entries"]) for one in back)


def words(random):
    parts = ["mal", "loc", "free", "cell", "group", "page", "slot", "ring", "span", "meta"]
    text = " ".join(parts[random.below(10)] + parts[random.below(10)] + str(random.below(50))
                    for _ in range(some(60000)))
    counted = Counter(text.split())
    longest = OrderedDict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
    found = re.findall(r"(free|slot)(\w+?)(\d+)", text)
    lines = [f"{word:>16} {count:5d} {'*' * (count % 60)}" for word, count in longest.items()]
    return len(counted), len(found), len("\n".join(lines).replace("*", "#-"))


def tree(random):
    root = Node(1 << 19)
    for _ in range(some(40000)):
        key, node = random.below(1 << 20), root
        while node.key != key:
            side = "left" if key < node.key else "right"
            below = getattr(node, side)
            if below is None:
                below = Node(key)
                setattr(node, side, below)
            node = below

    def walk(node):
        stack = []
        while stack or node:
            while node:
                stack.append(node)
                node = node.left
            node = stack.pop()
            yield node.key
            node = node.right

    return sum(place * key for place, key in enumerate(walk(root))) % 1000003


def queues(random):
    waiting, done, kept = deque(), 0, []
    for step in range(some(120000)):
        waiting.append([step, bytes(random.below(300))])
        if len(waiting) > 2000:
            first = waiting.popleft()
            done += len(first[1])
            if step % 97 == 0:
                kept.append(bytearray(first[1]) * 4)
    return done, len(kept)


def large_numbers():
    a, b = 0, 1
    for _ in range(some(9000)):
        a, b = b, a + b
    digits = str(a)
    return len(digits), sum(map(int, digits)), pow(a, 65537, (1 << 521) - 1) % 1000003


def main():
    random = Random(20261126)
    balance, every = accounts(random)
    print("accounts", balance, len(every))
    print("json", *records_as_json(every))
    print("words", *words(random))
    print("tree", tree(random))
    print("queues", *queues(random))
    print("numbers", *large_numbers())


main()
