#!/usr/bin/python3
"""Idle IMAP connections over TLS, each of an account of its own: what they cost, and how soon they hear of news.

    tests/bench/bench_idle.py [--connections 10000] [--sleep-after 20s] [--pushes 300] [--herd 200]
                             [--suites 1] [--fronts 1] [--unauthenticate]

Starts a suite of its own on loopback, with that many accounts (copies of one), logs in once to each, selects INBOX and
idles. Then waits until all sleep, and measures:

memory       PSS of all processes by role, before the first connection and with all of them; what one costs is the
             difference by their number
push         from the 250 of a delivery, and from the end of its DATA, to `* n EXISTS` at the client that idles: asleep, and
             awake (the same clients just after)
wake         from a client's DONE to the answer: asleep, and awake
herd         so many sleeping clients say DONE at the same moment: until the first, half, and all are answered

The client takes memory too, about 60 KB a connection, that is not counted. Connections come from several addresses of 127.0.0.0/8, so
that local ports do not run out.

Descriptors: moxd keeps 2 for each connection (3 with --unauthenticate) and 6000 others, each front 2 (3) for each of its own, this program
one. As root the limit is raised here, where the machine allows it; else `ulimit -Hn` has to be high enough, or the load is parted:
--fronts, and --suites, which are counted together. An ordinary user does not see PSS and is told RSS.
"""

import argparse
import concurrent.futures
import os
import re
import resource
import select
import shutil
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import mox  # noqa: E402
from bench import memory_kb  # noqa: E402

PASSWORD = "bench-password"
PORTS_OF_ADDRESS = 20_000  # connections from one address
BETWEEN = 0.05  # seconds: one at a time, when a worker waits again; the herd is another thing
OTHER_FILES = 7000  # of moxd, besides those that it keeps for connections

CONFIG = (
    """
hostname "mail.test.example"
data-directory "{dir}/data"
control-socket "{dir}/control"
chroot-directory "{dir}/empty"
log { level info }
postmaster account "a0"
imap { sleep-after SLEEP }
workers imapd FRONTS
listen bench {
    address 127.0.0.1
    tls self-signed
    allow-unauthenticate UNAUTHENTICATE
    max-connections LIMIT
    max-connections-per-address LIMIT
"""
    + mox.SERVICES
    + "}\n"
)


def role_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return os.path.basename(f.read().split("\0")[0])
    except OSError:
        return "?"


def memory(suites):
    """KB by role."""
    found = {}
    for suite in suites:
        for pid in [suite.process.pid, *mox.descendants(suite.process.pid)]:
            role = role_of(pid)
            found[role] = found.get(role, 0) + memory_kb(pid)
    return found


def raise_limits(options):
    each = 3 if options.unauthenticate else 2
    need = max(each * options.connections // options.suites + OTHER_FILES, options.connections + 1000)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(need, hard) if hard != resource.RLIM_INFINITY else hard))
    except (ValueError, OSError):
        sys.exit(f"{need} descriptors are needed, there may be {hard}: raise `ulimit -Hn`, or part the load with --suites")


def domains(count):
    lines = ['domain "test.example"']
    lines += [f'account "a{n}" {{ address "a{n}@test.example" }}' for n in range(count)]
    return "\n".join(lines) + "\n"


def copy_accounts(suite, count):
    """All are copies of the first: its password, and an empty INBOX."""
    accounts = os.path.join(suite.data, "data", "accounts")
    source = os.path.join(accounts, "a0")
    owner = os.stat(source)
    for n in range(1, count):
        target = os.path.join(accounts, f"a{n}")
        if os.path.exists(target):
            shutil.rmtree(target)
        shutil.copytree(source, target)
        for folder, _, files in os.walk(target):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                os.chown(path, owner.st_uid, owner.st_gid)


def start(options, count):
    config = CONFIG.replace("SLEEP", options.sleep_after).replace("LIMIT", str(count + 1000))
    config = config.replace("FRONTS", str(options.fronts)).replace("UNAUTHENTICATE", "yes" if options.unauthenticate else "no")
    suite = mox.Suite.start(config, domains(1), name="idle")
    suite.control("password", "a0", stdin=PASSWORD + "\n")
    client(suite, 0).close()  # its store is made
    suite.terminate(seconds=60)
    copy_accounts(suite, count)
    suite.write_config(domains=domains(count))
    suite.run(wait=False)
    suite.wait_ready(seconds=120)
    return suite


class Idler:
    """A connection in IDLE, or not."""

    def __init__(self, suite, number):
        self.suite, self.number, self.buffer = suite, number, b""
        plain = socket.create_connection(
            (mox.HOST, suite.ports["imaps"]), timeout=120, source_address=(f"127.0.1.{1 + number // PORTS_OF_ADDRESS}", 0)
        )
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = CONTEXT.wrap_socket(plain, server_hostname="localhost")
        self.line()

    def fill(self):
        data = self.socket.recv(16384)
        if not data:
            raise EOFError(f"connection {self.number} closed; unread: {self.buffer!r}")
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def until(self, start):
        while not (line := self.line()).startswith(start):
            if line.startswith(b"* BYE") or re.match(rb"\w+ (NO|BAD)", line):
                raise AssertionError(f"connection {self.number}: {line!r}")
        return line

    def send(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def log_in(self):
        self.send(f'l LOGIN "a{self.number}@test.example" "{PASSWORD}"')
        self.until(b"l OK")
        self.send("s SELECT INBOX")
        self.until(b"s OK")
        self.idle()

    def idle(self):
        self.send("i IDLE")
        self.until(b"+ ")

    def close(self):
        self.socket.close()


CONTEXT = mox.tls_context()


def client(suite, number):
    idler = Idler(suite, number)
    idler.log_in()
    return idler


def connect_all(suites, count):
    begin = time.monotonic()
    idlers = []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for idler in pool.map(lambda n: client(suites[n % len(suites)], n // len(suites)), range(count)):
            idlers.append(idler)
            if len(idlers) % 1000 == 0:
                print(f"    {len(idlers)} connections after {time.monotonic() - begin:.0f} s", file=sys.stderr)
    print(f"{count} logins, a second: {count / (time.monotonic() - begin):.0f}")
    return idlers


def wait_asleep(suites, count, seconds):
    end = time.monotonic() + seconds
    while (asleep := sum(suite.control_json("status")["sessions_asleep"] for suite in suites)) < count:
        if time.monotonic() > end:
            sys.exit(f"only {asleep} of {count} sessions sleep\n{suites[0].log_tail(20)}")
        time.sleep(1)


class Delivery:
    """SMTP, one connection for all; what takes time is the end of DATA."""

    def __init__(self, suite):
        self.smtp = suite.smtp()

    def push(self, idler):
        """Seconds from the end of DATA, and from the 250, to EXISTS."""
        self.smtp.envelope(f"a{idler.number}@test.example")
        assert self.smtp.command("DATA") == 354
        poll = select.poll()
        for sock in (self.smtp.socket, idler.socket):
            poll.register(sock, select.POLLIN)
        times = {}
        begin = time.perf_counter()
        self.smtp.write(mox.stuffed(mox.message()))
        while len(times) < 2:
            ready = poll.poll(30_000)
            now = time.perf_counter()
            assert ready, f"nothing came: {times}"
            for fd, _ in ready:
                who = self.smtp if fd == self.smtp.socket.fileno() else idler
                times[who] = now
                poll.unregister(fd)
        assert self.smtp.reply() == 250
        assert idler.line().endswith(b" EXISTS")
        return times[idler] - begin, times[idler] - times[self.smtp]


def tell(name, seconds):
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{name:48} median {statistics.median(ordered) * 1000:8.2f} ms   p99 {p99 * 1000:8.2f} ms   most {ordered[-1] * 1000:8.2f} ms")


def measure_push(suites, idlers):
    deliveries = {suite: Delivery(suite) for suite in suites}
    for state in ("asleep", "awake"):
        times = []
        for idler in idlers:
            time.sleep(BETWEEN)
            times.append(deliveries[idler.suite].push(idler))
        tell(f"push, {state}, from 250", [t[1] for t in times])
        tell(f"push, {state}, from the end of DATA", [t[0] for t in times])


def answer_to_done(idler):
    begin = time.perf_counter()
    idler.send("DONE")
    idler.until(b"i OK")
    return time.perf_counter() - begin


def measure_wake(idlers):
    for state in ("asleep", "awake"):
        times = []
        for idler in idlers:
            time.sleep(BETWEEN)
            times.append(answer_to_done(idler))
            idler.idle()
        tell(f"answer to DONE, {state}", times)


def measure_herd(idlers):
    poll = select.poll()
    waiting = {}
    begin = time.perf_counter()
    for idler in idlers:
        idler.send("DONE")
        waiting[idler.socket.fileno()] = idler
        poll.register(idler.socket, select.POLLIN)
    times = []
    while waiting:
        for fd, _ in poll.poll(60_000) or sys.exit(f"{len(waiting)} of the herd are not answered"):
            waiting.pop(fd).until(b"i OK")
            poll.unregister(fd)
            times.append(time.perf_counter() - begin)
    print(f"herd of {len(idlers)}: the first after {times[0]:.3f} s, half after {times[len(times) // 2]:.3f} s, all after {times[-1]:.3f} s")


def tell_memory(before, now, count):
    for role in sorted(now, key=now.get, reverse=True):
        grown = now[role] - before.get(role, 0)
        print(f"    {role:14} {before.get(role, 0) / 1024:9.1f} MB -> {now[role] / 1024:9.1f} MB   {grown / count:7.2f} KB a connection")
    total, grown = sum(now.values()), sum(now.values()) - sum(before.values())
    print(f"memory a connection, all processes: {total / count:.1f} KB in total, {grown / count:.1f} KB more than without")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--sleep-after", default="20s")
    parser.add_argument("--pushes", type=int, default=300, help="measurements of each kind")
    parser.add_argument("--herd", type=int, default=200)
    parser.add_argument("--settle", type=int, default=75, help="seconds until databases that are not used are closed")
    parser.add_argument("--suites", type=int, default=1)
    parser.add_argument("--fronts", type=int, default=1, help="processes of imapd in each suite")
    parser.add_argument("--unauthenticate", action="store_true", help="allow-unauthenticate, the default of mox")
    parser.add_argument("--hold", action="store_true", help="wait for Enter with all asleep, for a look at the processes")
    options = parser.parse_args()
    count = options.connections
    if 2 * options.pushes + options.herd > count:
        parser.error("more measurements than connections")
    raise_limits(options)
    suites, idlers = [], []
    try:
        for _ in range(options.suites):
            suites.append(start(options, -(-count // options.suites)))
        measure(options, suites, idlers)
    finally:
        for idler in idlers:
            idler.close()
        for suite in suites:
            suite.process.terminate()
            suite.process.wait(timeout=60)
            suite.kill()
            shutil.rmtree(suite.directory, ignore_errors=True)


def measure(options, suites, idlers):
    count, n = options.connections, options.pushes
    before = memory(suites)
    idlers += connect_all(suites, count)
    begin = time.monotonic()
    wait_asleep(suites, count, 300)
    print(f"all asleep {time.monotonic() - begin:.0f} s after the last login")
    tell_memory(before, memory(suites), count)
    time.sleep(options.settle)
    print(f"{options.settle} s later:")
    tell_memory(before, memory(suites), count)
    if options.hold:
        input("Enter goes on: ")
    measure_push(suites, idlers[:n])
    measure_wake(idlers[n : 2 * n])
    measure_herd(idlers[2 * n : 2 * n + options.herd])


if __name__ == "__main__":
    main()
