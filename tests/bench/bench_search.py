#!/usr/bin/python3
"""Measures searching: brings messages into a fresh suite, and searches them over IMAP.

    python3 tests/bench/bench_search.py [-n MESSAGES] [-r RUNS] [-d DIRECTORY] [--mean BYTES]

MOX_BUILD names the build directory, as for the end-to-end tests; with one that has no index the same is measured by
reading. Words are as frequent as in a natural language (Zipf), headers like those of real mail with what is unique in
each. Prints how the mail came in, the bytes of the index, and for each search the hits, the first and the median time.
"""

import argparse
import bisect
import glob
import itertools
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mox  # noqa: E402

SYLLABLES = [a + b for a in "b c d f g h k l m n p r s t v w sch st tr pl".split() for b in "a e i o u ei au er en an in ung".split()]


class Words:
    def __init__(self, rnd, count=60000):
        self.rnd = rnd
        seen = set()
        while len(seen) < count:
            seen.add("".join(rnd.choices(SYLLABLES, k=rnd.choice([1, 2, 2, 3, 3, 4]))))
        self.words = sorted(sorted(seen), key=lambda w: (len(w), rnd.random()))
        self.sums = list(itertools.accumulate(1 / (rank + 3) for rank in range(count)))

    def text(self, count):
        pick = (bisect.bisect(self.sums, self.rnd.random() * self.sums[-1]) for _ in range(count))
        return " ".join(self.words[min(i, len(self.words) - 1)] for i in pick)


def make_message(rnd, words, number, mean):
    token = lambda n: "%0*x" % (n, rnd.getrandbits(4 * n))
    body = words.text(max(10, int(mean * rnd.choice([0.3, 0.5, 0.7, 1.0, 1.2, 2.3]) / 7)))
    lines = "\n".join(body[i : i + 75] for i in range(0, len(body), 75))
    note = f"needle{number}" if number % 1000 == 7 else ""
    return (
        f"Return-Path: <list-{token(6)}@host{number % 50}.example>\n"
        f"Received: from mx{number % 9}.example (mx{number % 9}.example [192.0.2.{number % 250}])\n\tby mail.example with ESMTPS id {token(12)}\n"
        f"\tfor <mox@localhost>; Thu, 1 Jan 2015 00:00:{number % 60:02} +0000\n"
        f"DKIM-Signature: v=1; a=rsa-sha256; d=host{number % 50}.example; s=s1;\n\tbh={token(40)}=;\n\tb={token(64)}\n\t {token(64)}\n"
        f"From: {words.text(2)} <{words.text(1)}{number % 500}@host{number % 50}.example>\nTo: mox@localhost\n"
        f"Subject: {words.text(6)} {note}\nMessage-ID: <{token(24)}@host{number % 50}.example>\nDate: Thu, 1 Jan 2015 00:00:00 +0000\n"
        f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{lines}\n{note}\n"
    )


def make_mbox(path, count, mean):
    words = Words(random.Random(1))
    if os.path.exists(path):
        return words
    rnd = random.Random(2)
    with open(path + ".new", "w") as f:
        for number in range(count):
            f.write("From a@b.example Thu Jan  1 00:00:00 2015\n" + make_message(rnd, words, number, mean) + "\n")
    os.rename(path + ".new", path)
    return words


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def index_size(database):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        try:
            words, blocks = db.execute("SELECT sum(length(words)), count(*) FROM segment_words").fetchone()
            postings = db.execute("SELECT sum(length(postings)) FROM segment_postings").fetchone()[0]
            segments = db.execute("SELECT count(*) FROM segment").fetchone()[0]
            waiting = db.execute("SELECT count(*) FROM word_list").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
    print(f"index: {segments} segments, {blocks} blocks, {words / 1e6:.1f} MB of words, {postings / 1e6:.1f} MB of postings, {waiting} lists wait")
    return words + postings


def bring_in(suite, source, size):
    storaged = suite.pids("storaged")[0]
    before, begin = cpu(storaged), time.monotonic()
    command = [os.path.join(mox.BUILD, "moxctl", "moxctl"), "-d", suite.data, "--json", "import", "mbox", "mox", source]
    counts = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    seconds = time.monotonic() - begin
    last = -1
    while last != (last := cpu(storaged)):
        time.sleep(0.5)  # the index is built behind
    count = counts["imported"]
    print(f"{count} messages, {size / 1e6:.0f} MB, in {seconds:.1f} s ({time.monotonic() - begin:.1f} s with the index); storaged {(last - before) / count * 1e6:.0f} us CPU a message")


def measure(client, query, runs):
    times = []
    for _ in range(runs):
        begin = time.monotonic()
        answer = client.ok(client.uid("SEARCH", None, query))
        times.append((time.monotonic() - begin) * 1000)
    hits = len(answer[0].split())
    print(f"{query[:60]:60} {hits:7} hits   first {times[0]:9.1f} ms   median {statistics.median(times):9.1f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("-r", type=int, default=5)
    parser.add_argument("-d", default="/var/tmp/mox-bench-search")
    parser.add_argument("--mean", type=int, default=2000)
    options = parser.parse_args()
    os.makedirs(options.d, exist_ok=True)
    source = f"{options.d}/mbox-{options.n}-{options.mean}"
    words = make_mbox(source, options.n, options.mean).words
    size = os.path.getsize(source)
    mox.TIMEOUT = 600
    with mox.Suite.start(name="search") as suite:
        bring_in(suite, source, size)
        database = glob.glob(f"{suite.data}/**/accounts/mox/index.db", recursive=True)[0]
        with suite.imap(port="imap") as client:
            client.open("INBOX", readonly=True)
            common, medium, rare = words[0], words[300], words[20000]
            for query in (
                "TEXT needle50007", "BODY eedle500", f"TEXT {rare}", f"TEXT {medium}", f"BODY {common}", "TEXT a", "TEXT nothingofthekind",
                f'BODY "{words[40]} {words[41]}"', f'TEXT "{rare} {common}"', "SUBJECT needle50007", f"SUBJECT {medium}", f"SUBJECT {common}",
                "FROM host7.example", "HEADER Message-ID abcdef", f"NOT BODY {common}", f"OR BODY {rare} SUBJECT {rare}",
            ):
                measure(client, query, options.r)
        suite.terminate()
        total = index_size(database)
        print(f"database {os.path.getsize(database) / 1e6:.0f} MB; the index has {total / size:.3f} bytes a byte of mail, {total / options.n:.0f} a message")
        suite.run()


main()
