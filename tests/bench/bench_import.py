#!/usr/bin/python3
"""Measures an import: makes a maildir, imports it into a fresh suite, and again.

    python3 tests/bench/bench_import.py [-n MESSAGES] [-s MEAN_SIZE] [-d DIRECTORY]

MOX_BUILD names the build directory, as for the end-to-end tests. Prints rate, CPU, and the largest resident memory of
moxctl and storaged. The maildir is kept in DIRECTORY/maildir for the next run with the same numbers.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mox  # noqa: E402


def make_maildir(top, count, mean):
    """Messages of a few sizes around the mean, with headers like those of real ones."""
    if os.path.exists(f"{top}/made-{count}-{mean}"):
        return
    os.makedirs(f"{top}/cur", exist_ok=True)
    rnd = random.Random(1)
    words = [rnd.randbytes(rnd.randint(1, 6)).hex() for _ in range(5000)]
    lines = [" ".join(rnd.choices(words, k=10)) + "\n" for _ in range(5000)]
    for i in range(count):
        size = int(mean * rnd.choice([0.15, 0.2, 0.3, 0.5, 0.8, 1.2, 3.85]))
        body = []
        while size > 0:
            body.append(rnd.choice(lines))
            size -= len(body[-1])
        with open(f"{top}/cur/{1400000000 + i}.M{i}.host:2,S", "w") as f:
            f.write(
                f"Return-Path: <s{i}@example.org>\nReceived: from a.example by b.example; Thu, 1 Jan 2015 00:00:00 +0000\n"
                f"From: Sender {i} <s{i}@example.org>\nTo: <r@example.org>\nSubject: message {i}\n"
                f"Message-ID: <{i}@example.org>\nDate: Thu, 1 Jan 2015 00:00:00 +0000\nMIME-Version: 1.0\n"
                'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n'
                + "".join(body) + "\n--b--\n"
            )
    open(f"{top}/made-{count}-{mean}", "w").close()
    os.sync()


def peak(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


def run(suite, top):
    storaged = suite.pids("storaged")[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    command = [os.path.join(mox.BUILD, "moxctl", "moxctl"), "-d", suite.data, "--json", "import", "maildir", "mox", top]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    counts = json.loads(done.stdout)
    total = counts["imported"] + counts["known"]
    print(
        f"{counts['imported']} imported, {counts['known']} known, {counts['not_taken']} not taken, "
        f"{counts['bytes'] / 1e9:.2f} GB in {seconds:.1f} s: {total / seconds:.0f}/s; moxctl {after.ru_maxrss / 1024:.0f} MiB, "
        f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f} s CPU; storaged {peak(storaged):.0f} MiB",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=200000)
    parser.add_argument("-s", type=int, default=10000)
    parser.add_argument("-d", default="/var/tmp/mox-bench-import")
    options = parser.parse_args()
    top = f"{options.d}/maildir"
    make_maildir(top, options.n, options.s)
    with mox.Suite.start(name="import") as suite:
        for _ in range(2):
            run(suite, top)


main()
