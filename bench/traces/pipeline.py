"""A pipeline of threads: two make documents, two count the words in them and drop them, and one
sums up.

A document is made in one thread and dropped in another, so with PYTHONMALLOC=malloc many cells are
freed by a thread that did not allocate them.
"""

import json
import queue
import threading

DOCUMENTS = 72
WORDS = ["cell", "class", "slot", "group", "meta", "block", "span", "segment", "page", "engine"]


def make(first, documents):
    for number in range(first, DOCUMENTS, 2):
        words = [WORDS[(number * i + i * i) % len(WORDS)] + str(i % 7) for i in range(number * 4)]
        text = json.dumps({"number": number, "words": words, "lengths": [len(w) for w in words]})
        documents.put(json.loads(text))
    documents.put(None)


def count(documents, counts):
    while (document := documents.get()) is not None:
        found = {}
        for word in document["words"]:
            found.setdefault(word, []).append((document["number"], word.upper()))
        counts.put(found)
    counts.put(None)


def main():
    documents = [queue.Queue(4), queue.Queue(4)]
    counts = queue.Queue(4)
    threads = [threading.Thread(target=make, args=(i, documents[i])) for i in range(2)]
    threads += [threading.Thread(target=count, args=(documents[i], counts)) for i in range(2)]
    for thread in threads:
        thread.start()
    total = {}
    ended = 0
    while ended < 2:
        found = counts.get()
        if found is None:
            ended += 1
            continue
        for word, places in found.items():
            total[word] = total.get(word, 0) + len(places)
    for thread in threads:
        thread.join()
    print(sum(total.values()), len(total))


main()
