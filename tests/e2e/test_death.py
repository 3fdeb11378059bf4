"""Processes are killed. The suite recovers, and what was acknowledged is there exactly once (laws 3 and 4)."""

import collections
import contextlib
import ctypes
import os
import random
import signal
import socket
import threading
import time

import mox
import pytest
from mox import PASSWORD, USER, message, strip_trace, unique_id, wait_for

pytestmark = pytest.mark.death

SECONDS = float(os.environ.get("MOX_DEATH_SECONDS", "15"))
ROLES = ["storaged", "authd", "dnsd", "smtpd", "imapd", "httpd", "queued"]


def works(suite, seconds=30):
    """A message goes in by SMTP and by submission, and comes out by IMAP."""

    def attempt():
        try:
            test_id = unique_id()
            suite.deliver(message(test_id=test_id))
            assert len(suite.find(test_id)) == 1
            with suite.smtp("submissions") as client:
                assert client.auth_plain() == 235
            return True
        except (OSError, EOFError, AssertionError, mox.imaplib.IMAP4.error):
            return False

    wait_for(attempt, seconds, f"the suite to work again\n{suite.log_tail()}", interval=0.2)


def rows(suite):
    with contextlib.suppress(AssertionError, ValueError):
        return suite.status()
    return []


def kill_and_wait(suite, row):
    os.kill(row["pid"], signal.SIGKILL)

    def replaced():
        now = [p for p in rows(suite) if p["name"] == row["name"]]
        return now and now[0]["pid"] not in (0, row["pid"]) and now[0]["restarts"] > row["restarts"] and now[0]

    return wait_for(replaced, 20, f"{row['name']} to be started again\n{suite.log_tail()}")


def test_every_child_one_by_one(own_suite):
    for role in ROLES:
        found = [p for p in own_suite.children() if p["role"].startswith(role) and "worker" not in p["role"]]
        assert found, f"no process of the role {role}"
        for row in found:
            others = {p["name"]: p["pid"] for p in own_suite.children() if p["name"] != row["name"] and "worker" not in p["role"]}
            kill_and_wait(own_suite, row)
            works(own_suite)
            now = {p["name"]: p["pid"] for p in own_suite.children()}
            stopped = [name for name, pid in others.items() if now.get(name) != pid]
            assert not stopped, f"killing {row['name']} also stopped {stopped}"


def test_account_worker(own_suite):
    """Its sessions end; the next login gets a new one."""
    test_id = unique_id()
    own_suite.deliver(message(test_id=test_id))
    with own_suite.imap_raw(login=True, port="imaps") as client:
        client.ok("SELECT INBOX")
        workers = [p for p in own_suite.children() if p["role"].startswith("imapd") and "worker" in p["role"]]
        assert workers, f"no account worker among {own_suite.children()}"
        for row in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(row["pid"], signal.SIGKILL)
        assert client.closed(), "the session outlives its worker"
    works(own_suite)
    assert len(own_suite.find(test_id)) == 1


def test_restarts_slow_down(own_suite):
    """Back-off: a process that dies at once each time is not started hundreds of times."""
    end = time.monotonic() + 3
    kills = 0
    while time.monotonic() < end:
        for row in rows(own_suite):
            if row["role"] == "dnsd" and row["pid"] > 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(row["pid"], signal.SIGKILL)
                    kills += 1
        time.sleep(0.02)
    restarts = next(p["restarts"] for p in own_suite.status() if p["role"] == "dnsd")
    assert 1 <= restarts <= 30, restarts
    works(own_suite, 60)


def test_sessions_survive_what_they_do_not_need(own_suite):
    """An idle SMTP and an IMAP session stay open while dnsd, httpd and queued die."""
    with own_suite.smtp() as smtp, own_suite.imap_raw(login=True, port="imaps") as imap:
        imap.ok("SELECT INBOX")
        for role in ("dnsd", "httpd", "queued"):
            for row in [p for p in own_suite.children() if p["role"].startswith(role)]:
                kill_and_wait(own_suite, row)
        test_id = unique_id()
        smtp.send(message(test_id=test_id))
        assert any(b" EXISTS" in line for line in imap.ok("NOOP"))
        assert len(own_suite.find(test_id)) == 1


def test_temporary_error_without_storaged(own_suite):
    """A session under way when storaged dies gets a 4xx or loses its connection; never 250 for what is lost."""
    test_id = unique_id()
    with own_suite.smtp() as smtp:
        smtp.envelope()
        assert smtp.command("DATA") == 354
        smtp.write(message(test_id=test_id))
        kill_and_wait(own_suite, next(p for p in own_suite.children() if p["role"] == "storaged"))
        try:
            reply = smtp.content(b".\r\n")
        except (EOFError, ConnectionError):
            reply = None
        assert reply is None or reply.code // 100 in (2, 4), reply
    works(own_suite)
    assert len(own_suite.find(test_id)) == (1 if reply is not None and reply.code == 250 else 0)


def test_moxd_takes_its_children_along(own_suite):
    """When moxd itself is killed, no child stays behind holding a port."""
    test_id = unique_id()
    own_suite.deliver(message(test_id=test_id))
    own_suite.note_processes()
    own_suite.process.kill()
    own_suite.process.wait()
    wait_for(lambda: not own_suite.left_over(), 10, f"children outlive moxd: {own_suite.left_over()}")
    own_suite.run()
    assert len(own_suite.find(test_id)) == 1
    works(own_suite)


class Load:
    """Threads that deliver, submit and append all the time; each knows what was acknowledged."""

    def __init__(self, suite):
        self.suite = suite
        self.acknowledged = {}  # test id: the bytes
        self.tried = set()
        self.refused_for_good = []
        self.stop = threading.Event()
        self.lock = threading.Lock()
        jobs = [self.deliver] * 3 + [self.submit, self.append, self.read]
        self.threads = [threading.Thread(target=self.repeat, args=(job,), daemon=True) for job in jobs]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for thread in self.threads:
            thread.join(60 * mox.SLOW)
            assert not thread.is_alive(), "a client hangs"

    def repeat(self, job):
        while not self.stop.is_set():
            try:
                job()
            except (OSError, EOFError, AssertionError, mox.imaplib.IMAP4.error):
                time.sleep(0.05)

    def new(self, **options):
        test_id = unique_id()
        raw = message(test_id=test_id, body="x" * random.randrange(60) + "\r\n" + "line\r\n" * random.randrange(3000), **options)
        with self.lock:
            self.tried.add(test_id)
        return test_id, raw

    def yes(self, test_id, raw):
        with self.lock:
            self.acknowledged[test_id] = raw

    def transactions(self, client, sender):
        for _ in range(10):
            test_id, raw = self.new()
            client.envelope(sender=sender)
            reply = client.data(raw)
            if reply == 250:
                self.yes(test_id, raw)
            elif reply.code // 100 == 5:
                self.refused_for_good.append(reply)
            if self.stop.is_set():
                return

    def deliver(self):
        with self.suite.smtp() as client:
            self.transactions(client, "someone@sender.example")

    def submit(self):
        with self.suite.smtp("submissions") as client:
            reply = client.auth_plain()
            if reply.code // 100 == 5 and reply.code != 535:
                self.refused_for_good.append(reply)
            assert reply == 235
            self.transactions(client, USER)

    def append(self):
        with self.suite.imap_raw(login=True, port="imaps") as client:
            for _ in range(10):
                test_id, raw = self.new()
                client.put(raw)
                self.yes(test_id, raw)

    def read(self):
        with self.suite.imap() as client:
            for _ in range(10):
                client.open("INBOX", readonly=True)
                client.ok(client.fetch("1:10", "(FLAGS BODY.PEEK[HEADER])"))


@pytest.mark.slow
def test_at_random_under_load(own_suite):
    suite = own_suite
    seed = int(os.environ.get("MOX_DEATH_SEED", random.randrange(1 << 30)))
    print("MOX_DEATH_SEED", seed)
    choice = random.Random(seed)
    killed = collections.Counter()
    end = time.monotonic() + SECONDS
    with Load(suite) as load:
        while time.monotonic() < end:
            time.sleep(choice.uniform(0.1, 0.8))
            alive = [p for p in rows(suite) if p["role"] != "moxd" and p["pid"] > 0]
            if not alive:
                continue
            victim = choice.choice(sorted(alive, key=lambda p: p["name"]))
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim["pid"], signal.SIGKILL)
                killed[victim["role"]] += 1
        assert suite.process.poll() is None, f"moxd ended with {suite.process.returncode}"
    print("killed", dict(killed), "acknowledged", len(load.acknowledged), "of", len(load.tried))
    works(suite, 60)
    assert sum(killed.values()) >= SECONDS / 2
    assert len(load.acknowledged) >= 10, "under load hardly anything went through"
    assert not load.refused_for_good, load.refused_for_good[:3]

    def in_queue():
        return "[]" not in suite.control("--json", "queue", "list").replace(" ", "")

    # What was submitted is in the queue at first, and is tried again after a while when an attempt was cut off.
    with contextlib.suppress(AssertionError):
        suite.control("queue", "kick", "all")
        wait_for(lambda: not in_queue(), 30, "the queue to become empty", 0.5)

    found = collections.defaultdict(list)
    for raw in suite.messages():
        test_id = mox.test_id_of(raw)
        if test_id and b"multipart/report" not in raw:
            found[test_id].append(raw)
    lost = [t for t in load.acknowledged if t not in found]
    twice = [t for t, copies in found.items() if len(copies) > 1]
    assert not lost, f"{len(lost)} acknowledged messages are lost (seed {seed})"
    assert not twice, f"{len(twice)} messages are there more than once (seed {seed})"
    broken = [t for t, raw in load.acknowledged.items() if not strip_trace(found[t][0]).endswith(raw.partition(b"\r\n\r\n")[2])]
    assert not broken, f"{len(broken)} messages have other bytes (seed {seed})"


def test_nothing_is_lost_by_an_end_under_load(own_suite):
    """SIGTERM while messages come in: what got 250 is there after the next start."""
    suite = own_suite
    with Load(suite) as load:
        time.sleep(2)
        assert suite.terminate() == 0
    wait_for(lambda: not suite.left_over(), 5, "processes left behind")
    suite.run()
    seen = collections.Counter(mox.test_id_of(raw) for raw in suite.messages())
    with suite.smtp("submissions") as client:
        assert client.auth_plain(USER, PASSWORD) == 235
    wait_for(
        lambda: set(load.acknowledged) <= {mox.test_id_of(raw) for raw in suite.messages()},
        30,
        "every acknowledged message",
        0.5,
    )
    assert max(seen.values(), default=0) <= 1


def break_channels(pid):
    """Shuts down every channel of a process but the one to moxd, from outside; how many there were."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    broken = 0
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            fd = int(name)
            if fd <= 3 or not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            taken = libc.syscall(438, pidfd, fd, 0)  # pidfd_getfd
            assert taken >= 0, os.strerror(ctypes.get_errno())
            with socket.socket(fileno=taken) as s:
                listens = s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if s.family == socket.AF_UNIX and not listens:
                    s.shutdown(socket.SHUT_RDWR)
                    broken += 1
    finally:
        os.close(pidfd)
    return broken


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another process's descriptors")
@pytest.mark.parametrize("role", ["smtpd", "imapd", "queued", "authd"])
def test_channels_that_break_between_living_processes_are_made_anew(own_suite, role):
    works(own_suite)
    before = {p["name"]: p["pid"] for p in own_suite.children() if "worker" not in p["role"]}
    (pid,) = own_suite.pids(role)
    assert break_channels(pid) >= 2
    works(own_suite, 15)
    if role == "queued":
        with own_suite.smtp("submissions") as client:
            assert client.auth_plain() == 235
            test_id = unique_id()
            client.send(message(test_id=test_id), sender=USER)
        wait_for(lambda: own_suite.find(test_id), 15, "a message through the queue", 0.2)
    after = {p["name"]: p["pid"] for p in own_suite.children() if "worker" not in p["role"]}
    assert after == before, "nothing was restarted"
    assert "a channel is made anew" in own_suite.log()
