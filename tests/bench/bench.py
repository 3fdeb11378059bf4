#!/usr/bin/python3
"""Figures of a running suite, by hand: medians of several runs, on loopback, bounded in count and time.

    tests/bench/bench.py [--runs N] [--only start,rest,in,idle,fetch] [--messages N]

start   from exec of moxd to all ports answering, seconds
rest    sum of PSS over all processes at rest, MB
in      durable inbound deliveries a second, 2 KB, over 1, 10 and 50 connections (smtp-source of Postfix), and the CPU
        time of all processes that one costs
idle    memory (PSS over all processes) an idle IMAP connection costs, of 90 connections, KB
fetch   FETCH 1:* FLAGS and BODY.PEEK[] on 10,000 messages of 2 KB, messages a second

Run as root to see PSS; as an ordinary user RSS is summed. What a figure is worth depends on the disk: compare on one machine.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mox  # noqa: E402


def memory_kb(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
    except OSError:
        return 0  # it has ended


def suite_memory_kb(suite):
    return sum(memory_kb(pid) for pid in [suite.process.pid, *mox.descendants(suite.process.pid)])


def suite_cpu(suite):
    """Seconds of all processes of the suite."""
    total = 0
    for pid in [suite.process.pid, *mox.descendants(suite.process.pid)]:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def answers(port, greeting):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
            return not greeting or s.recv(len(greeting)) == greeting
    except OSError:
        return False


def measure_start(suite):
    """The second start: the first made keys and a password."""
    suite.process.terminate()
    suite.process.wait(timeout=20)
    begin = time.monotonic()
    suite.run(wait=False)
    todo = {"smtp": b"220", "submission": b"220", "imap": b"* OK", "submissions": b"", "imaps": b"", "http": b"", "metrics": b""}
    while todo and time.monotonic() - begin < 20:
        for name in list(todo):
            if answers(suite.ports[name], todo[name]):
                del todo[name]
        time.sleep(0.002)
    return time.monotonic() - begin


def measure_in(suite, connections, messages):
    source = shutil.which("smtp-source", path="/usr/sbin:/usr/bin") or sys.exit("smtp-source (Postfix) is needed")
    begin = time.monotonic()
    subprocess.run(
        [source, "-s", str(connections), "-m", str(messages), "-l", "2000", "-f", "bench@example.org", "-t", mox.USER,
         f"127.0.0.1:{suite.ports['smtp']}"],
        check=True, timeout=300, stdin=subprocess.DEVNULL,
    )
    return messages / (time.monotonic() - begin)


class Raw:
    """IMAP without a parser in the way: counts bytes until the tagged line."""

    def __init__(self, suite):
        self.socket = socket.create_connection(("127.0.0.1", suite.ports["imap"]), timeout=120)
        self.buffer = b""
        self.until(b"\r\n")

    def until(self, mark):
        size = 0
        tail = b""
        while True:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            size += len(data)
            tail = (tail + data)[-4096:]
            if mark in tail and tail.endswith(b"\r\n"):
                return size

    def command(self, text):
        self.socket.sendall(b"t " + text.encode() + b"\r\n")
        return self.until(b"t OK")

    def close(self):
        self.socket.close()


def measure_idle(suite, count=90):
    before = None
    connections = []
    try:
        for n in range(count + 1):
            c = Raw(suite)
            c.command(f"LOGIN {mox.USER} {mox.PASSWORD}")
            c.command("SELECT INBOX")
            c.socket.sendall(b"i IDLE\r\n")
            c.until(b"+ ")
            connections.append(c)
            if n == 0:  # the worker is there
                time.sleep(0.5)
                before = suite_memory_kb(suite)
        time.sleep(1)
        return (suite_memory_kb(suite) - before) / count
    finally:
        for c in connections:
            c.close()


def measure_fetch(suite, messages):
    c = Raw(suite)
    c.command(f"LOGIN {mox.USER} {mox.PASSWORD}")
    c.command("EXAMINE INBOX")
    begin = time.monotonic()
    size = c.command("FETCH 1:* FLAGS")
    assert size > 20 * messages, "not all messages were there"
    flags = time.monotonic() - begin
    begin = time.monotonic()
    size = c.command("FETCH 1:* BODY.PEEK[]")
    assert size > 2000 * messages, "not all content was there"
    body = time.monotonic() - begin
    c.close()
    return messages / flags, messages / body, size / body / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="start,rest,in,idle,fetch")
    parser.add_argument("--messages", type=int, default=2000, help="for each inbound measurement")
    options = parser.parse_args()
    wanted = set(options.only.split(","))
    results = {}

    def note(name, value):
        results.setdefault(name, []).append(value)

    for _ in range(options.runs):
        with mox.Suite(name="bench") as suite:
            if "start" in wanted:
                note("start, s", measure_start(suite))
            if "rest" in wanted:
                time.sleep(1)
                note("memory at rest, MB", suite_memory_kb(suite) / 1024)
            if "in" in wanted:
                measure_in(suite, 10, 200)
                for connections in (1, 10, 50):
                    count = options.messages if connections > 1 else max(200, options.messages // 4)
                    before = suite_cpu(suite)
                    note(f"inbound 2 KB, {connections} connections, /s", measure_in(suite, connections, count))
                    note(f"CPU a delivery, {connections} connections, ms", (suite_cpu(suite) - before) / count * 1000)
            if "idle" in wanted:
                note("memory an idle IMAP connection, KB", measure_idle(suite))
    if "fetch" in wanted:
        with mox.Suite(name="bench") as suite:
            measure_in(suite, 20, 10000)
            for _ in range(options.runs):
                flags, body, rate = measure_fetch(suite, 10000)
                note("FETCH 1:* FLAGS, 10,000 messages, /s", flags)
                note("FETCH 1:* BODY.PEEK[], 10,000 messages, /s", body)
                note("FETCH 1:* BODY.PEEK[], MB/s", rate)
    for name, values in results.items():
        values.sort()
        print(f"{name:45} median {statistics.median(values):10.2f}   {values[0]:.2f} .. {values[-1]:.2f}")


if __name__ == "__main__":
    main()
