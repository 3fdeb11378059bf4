#!/usr/bin/python3
"""How cost grows: with the messages of one mailbox, and with accounts.

    tests/bench/bench_growth.py [--messages 1000,10000,100000,1000000] [--accounts 1,100,10000]

Two tables of medians, each column a size, each row a cost that should not grow, or says how it does. Starts suites of its
own on loopback. Messages are 1 KB of random words, put in by MULTIAPPEND; a million of them take some minutes and 2 GB.

Of one mailbox:

deliver      SMTP, one connection: from DATA to its 250, and the CPU time that storaged and all processes need for one
push         from the 250 of a delivery until an idling client has `* n EXISTS`
SELECT       cold: the first after a start; first: of a connection; again: on the same
FETCH        100 neighbours anywhere in the mailbox: FLAGS, ENVELOPE
STORE        one message's flags
SEARCH       TEXT for a word that one message has
memory       PSS of storaged and of the account's worker, behind all of that

Of accounts, each with one message:

start        until all ports answer
memory       PSS of storaged: at rest behind a start, and behind a delivery to each account
deliver      to one account after the other, over one connection
SELECT       in an account that nobody has used since the start, without its login
"""

import argparse
import os
import random
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mox  # noqa: E402
from bench import Raw, memory_kb, suite_cpu  # noqa: E402
from bench_idle import PASSWORD, copy_accounts, domains  # noqa: E402

WORDS = [random.Random(1).randbytes(1 + n % 5).hex() + str(n) for n in range(5000)]
BATCH = 500  # messages of one APPEND
CONFIG = (
    """
hostname "mail.test.example"
data-directory "{dir}/data"
control-socket "{dir}/control"
chroot-directory "{dir}/empty"
log { level info }
postmaster account "a0"
listen bench {
    address 127.0.0.1
    tls self-signed
    allow-insecure-auth yes
"""
    + mox.SERVICES
    + "}\n"
)


def text_of(number, rnd):
    body = "\r\n".join(" ".join(rnd.choices(WORDS, k=12)) for _ in range(6))
    return (
        f"From: Sender {number % 997} <s{number % 997}@sender.example>\r\nTo: <a0@test.example>\r\n"
        f"Subject: message {number}\r\nMessage-ID: <{number}@sender.example>\r\nDate: Thu, 1 Jan 2015 00:00:00 +0000\r\n"
        f"\r\nunique{number}x\r\n{body}\r\n"
    ).encode()


def start_suite(name):
    suite = mox.Suite.start(CONFIG, domains(1), name=name)
    suite.control("password", "a0", stdin=PASSWORD + "\n")
    return suite


def restart(suite, seconds=600):
    """Seconds until all ports answer."""
    suite.terminate(seconds=seconds)
    begin = time.monotonic()
    suite.run(wait=False)
    suite.wait_ready(seconds=seconds)
    return time.monotonic() - begin


class Client(Raw):
    def __init__(self, suite, number=0):
        super().__init__(suite)
        self.command(f'LOGIN "a{number}@test.example" "{PASSWORD}"')

    def timed(self, text):
        """Milliseconds."""
        begin = time.perf_counter()
        self.command(text)
        return (time.perf_counter() - begin) * 1000


def fill(client, first, last):
    rnd = random.Random(first)
    for begin in range(first, last, BATCH):
        parts = [b"f APPEND INBOX"]
        for number in range(begin, min(begin + BATCH, last)):
            text = text_of(number, rnd)
            parts.append(b" {%d+}\r\n%s" % (len(text), text))
        client.socket.sendall(b"".join(parts) + b"\r\n")
        client.until(b"f OK")


def deliver(smtp, number, rnd, account=0):
    """Milliseconds from DATA's content to its reply."""
    smtp.envelope(to=f"a{account}@test.example")
    assert smtp.command("DATA") == 354
    text = mox.stuffed(text_of(number, rnd))
    begin = time.perf_counter()
    reply = smtp.content(text)
    assert reply == 250, reply
    return (time.perf_counter() - begin) * 1000


def cpu_of(pid):
    """Seconds of all its threads, exactly."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def measure_deliveries(suite, smtp, rnd, row, count=400):
    storaged = suite.pids("storaged")[0]
    before, all_before = cpu_of(storaged), suite_cpu(suite)
    row("deliver, ms", statistics.median(deliver(smtp, 10**9 + n, rnd) for n in range(count)))
    row("deliver, CPU of storaged, ms", (cpu_of(storaged) - before) / count * 1000)
    row("deliver, CPU of all, ms", (suite_cpu(suite) - all_before) / count * 1000)


def measure_push(suite, smtp, rnd, row):
    idler = Client(suite)
    idler.command("SELECT INBOX")
    idler.socket.sendall(b"i IDLE\r\n")
    idler.until(b"+ ")
    times = []
    for n in range(30):
        deliver(smtp, 10**9 + n, rnd)
        begin = time.perf_counter()
        idler.until(b"EXISTS")
        times.append((time.perf_counter() - begin) * 1000)
        time.sleep(0.02)
    idler.close()
    row("push, ms", statistics.median(times))


def measure_selects(suite, row):
    first = Client(suite)
    row("SELECT cold, ms", first.timed("SELECT INBOX"))
    row("SELECT again, ms", statistics.median(first.timed("SELECT INBOX") for _ in range(20)))
    times = []
    for _ in range(10):
        client = Client(suite)
        times.append(client.timed("SELECT INBOX"))
        client.close()
    row("SELECT first, ms", statistics.median(times))
    first.close()


def measure_commands(suite, count, rnd, row):
    client = Client(suite)
    client.command("SELECT INBOX")
    starts = [rnd.randrange(1, count - 100) for _ in range(40)]
    row("FETCH 100 FLAGS, ms", statistics.median(client.timed(f"FETCH {n}:{n + 99} FLAGS") for n in starts))
    row("FETCH 100 ENVELOPE, ms", statistics.median(client.timed(f"FETCH {n}:{n + 99} ENVELOPE") for n in starts))
    stores = [f"STORE {n} {sign}FLAGS (\\Flagged)" for sign in "+-" for n in starts]
    row("STORE 1, ms", statistics.median(client.timed(store) for store in stores))
    row("SEARCH TEXT, ms", statistics.median(client.timed(f"SEARCH TEXT unique{n}x") for n in starts[:10]))
    for role in ("storaged", "imapd-worker"):
        row(f"memory of {role}, MB", sum(memory_kb(pid) for pid in suite.pids(role)) / 1024)
    client.close()


class Table:
    def __init__(self):
        self.columns, self.rows = [], {}

    def column(self, size):
        self.columns.append(size)
        print(f"measuring with {size}", file=sys.stderr, flush=True)
        return lambda name, value: self.rows.setdefault(name, {}).__setitem__(size, value)

    def print(self, what):
        print(f"{what:34}" + "".join(f"{size:>12,}" for size in self.columns))
        for name, values in self.rows.items():
            print(f"{name:34}" + "".join(f"{values[size]:12.2f}" for size in self.columns), flush=True)


def with_messages(sizes):
    table, rnd, there = Table(), random.Random(2), 0
    with start_suite("growth") as suite:
        for size in sizes:
            begin = time.monotonic()
            client = Client(suite)
            fill(client, there, size)
            client.close()
            row = table.column(size)
            row("put in, /s", (size - there) / (time.monotonic() - begin))
            restart(suite)
            measure_selects(suite, row)
            with mox.Smtp(suite.ports["smtp"]) as smtp:
                smtp.ehlo()
                measure_deliveries(suite, smtp, rnd, row)
                measure_push(suite, smtp, rnd, row)
            measure_commands(suite, size, rnd, row)
            there = size
    table.print("messages in the mailbox")


def with_accounts(sizes):
    table, rnd = Table(), random.Random(3)
    for size in sizes:
        with start_suite("growth") as suite:
            with mox.Smtp(suite.ports["smtp"]) as smtp:
                smtp.ehlo()
                deliver(smtp, 1, rnd)
            suite.terminate(seconds=60)
            copy_accounts(suite, size)
            suite.write_config(domains=domains(size))
            suite.run(wait=False)
            suite.wait_ready(seconds=600)
            row = table.column(size)
            row("start, s", restart(suite))
            time.sleep(2)
            storaged = suite.pids("storaged")[0]
            row("storaged at rest, MB", memory_kb(storaged) / 1024)
            times = []
            for _ in range(min(size, 20)):
                client = Client(suite, rnd.randrange(size))
                times.append(client.timed("SELECT INBOX"))
                client.close()
            row("SELECT, ms", statistics.median(times))
            with mox.Smtp(suite.ports["smtp"]) as smtp:
                smtp.ehlo()
                before = cpu_of(storaged)
                times = [deliver(smtp, n, rnd, account=n % size) for n in range(max(size, 300))]
                row("deliver, ms", statistics.median(times))
                row("deliver, CPU of storaged, ms", (cpu_of(storaged) - before) / len(times) * 1000)
            row("storaged behind a delivery to each, MB", memory_kb(storaged) / 1024)
    table.print("accounts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", default="1000,10000,100000,1000000")
    parser.add_argument("--accounts", default="1,100,10000")
    options = parser.parse_args()
    sizes = {name: [int(n) for n in getattr(options, name).split(",") if n] for name in ("messages", "accounts")}
    if sizes["messages"]:
        with_messages(sizes["messages"])
    if sizes["accounts"]:
        with_accounts(sizes["accounts"])


if __name__ == "__main__":
    main()
