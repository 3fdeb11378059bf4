"""Workers that stop, or lie about going to sleep (lying_worker.py): who pays is their own account, and nobody else."""

import contextlib
import os
import signal
import socket
import threading
import time

import mox
import pytest

pytestmark = [pytest.mark.imap, pytest.mark.death]

LIES = ["deaf", "awake", "stopped", "malformed", "unwoken", "oversized", "foreign", "restless", "late"]
PROGRAMS = ["storaged", "authd", "dnsd", "smtpd", "imapd", "httpd", "queued"]
PASSWORD = "a-password"
MOST_MEMORY = 40_000  # KiB that moxd may grow by, whatever it is told; four accounts' worth of states


def programs(directory):
    """A directory of programs in which imapd-worker is the liar."""
    os.mkdir(directory)
    os.chmod(directory, 0o755)

    def link(name, path):
        os.symlink(path, os.path.join(directory, name))

    for name in PROGRAMS:
        link(name, os.path.join(mox.BUILD, name, name))
    link("real-imapd-worker", os.path.join(mox.BUILD, "imapd", "imapd-worker"))
    link("imapd-worker", os.path.join(mox.ROOT, "tests", "e2e", "lying_worker.py"))
    return directory


class Lies:
    """A suite whose workers of the accounts in LIES lie, and what they noted."""

    def __init__(self, start_suite):
        accounts = "".join(f'account {lie} {{ address "{lie}@test.example" }}\n' for lie in LIES)
        self.suite = mox.start_configured(start_suite, extra="imap { sleep-after 1s }", extra_domains=accounts)
        self.suite.terminate()
        self.directory = programs(os.path.join(self.suite.directory, "programs"))
        self.suite.run([*self.suite.arguments, "-x", self.directory])
        for lie in LIES:
            self.suite.control("password", lie, stdin=PASSWORD + "\n")

    def log_in(self, account, password=PASSWORD):
        client = self.suite.imap_raw(port="imaps")
        client.ok(f'LOGIN "{account}@test.example" "{password}"')
        return client

    def noted(self, account, word):
        with contextlib.suppress(OSError), open(os.path.join(self.directory, f"{account}.{word}")) as f:
            return f.read() or True
        return None

    def wait_noted(self, account, word, seconds=20):
        return mox.wait_for(lambda: self.noted(account, word), seconds, f"{account}: {word}")


class Bystanders:
    """Bob commands and Alice idles, over and over; how long each of it took."""

    def __init__(self, lies):
        self.suite = lies.suite
        self.commanding, self.idling = lies.log_in("bob", mox.PASSWORDS["bob"]), lies.log_in("alice", mox.PASSWORDS["alice"])
        for client in (self.commanding, self.idling):
            client.ok("SELECT INBOX")
        self.idling.write("i IDLE\r\n")
        assert self.idling.line() == b"+ idling"
        self.took, self.failure, self.over = [], None, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, traceback):
        self.over.set()
        self.thread.join(30 * mox.SLOW)
        self.commanding.socket.close()
        self.idling.socket.close()
        if kind is None:
            assert self.failure is None, self.failure
            assert len(self.took) > 3 and max(self.took) < 2 * mox.SLOW, self.took

    def run(self):
        try:
            count = 0
            while not self.over.wait(0.2):
                begin = time.monotonic()
                self.commanding.ok("NOOP")
                self.suite.deliver(mox.message(), "alice@test.example")
                count += 1
                assert self.idling.line() == f"* {count} EXISTS".encode()
                self.took.append(time.monotonic() - begin)
        except Exception as e:  # the test shows it
            self.failure = repr(e)


@pytest.fixture
def lies(start_suite):
    return Lies(start_suite)


def bye(client, seconds=25):
    """Reads up to the BYE that ends the connection."""
    line = client.next_with(b"* BYE", seconds)
    assert client.closed(), "BYE, and not closed"
    return line


def works_again(lies, account):
    """Whether a login gets to a worker: the liar's next one."""

    def log_in():
        with contextlib.suppress(AssertionError, OSError, EOFError):
            lies.log_in(account).socket.close()
            return True
        return False

    mox.wait_for(log_in, 20, f"a login of {account} after that", interval=0.5)


@pytest.mark.parametrize("lie", ["awake", "stopped"])
def test_one_that_does_not_end(lies, lie):
    """It said that all rest, was told to end, and goes on or stops: killed, and its clients are told."""
    with Bystanders(lies):
        client = lies.log_in(lie)
        lies.wait_noted(lie, "granted")
        begin = time.monotonic()
        # A login at this time waits for its end.
        login = threading.Thread(target=lambda: works_again(lies, lie))
        login.start()
        assert b"[UNAVAILABLE]" in bye(client)
        assert time.monotonic() - begin < 8 * mox.SLOW
        login.join()


def test_a_state_that_is_none(lies):
    with Bystanders(lies):
        client = lies.log_in("malformed")
        lies.wait_noted("malformed", "granted")
        mox.wait_for(lambda: lies.suite.control_json("status")["sessions_asleep"] >= 1, 5, "asleep")
        client.write("a NOOP\r\n")
        assert b"[SERVERBUG]" in bye(client)
        works_again(lies, "malformed")


@pytest.mark.slow
def test_one_that_does_not_take_what_slept(lies):
    with Bystanders(lies):
        client = lies.log_in("unwoken")
        lies.wait_noted("unwoken", "granted")
        client.write("a NOOP\r\n")
        assert b"[UNAVAILABLE]" in bye(client)


@pytest.mark.slow
def test_one_that_does_not_take_its_account(lies):
    with Bystanders(lies):
        for _ in range(2):
            with lies.suite.imap_raw(port="imaps") as client:
                assert client.no(f'LOGIN "deaf@test.example" "{PASSWORD}"').startswith(b"NO [UNAVAILABLE]")
    assert lies.suite.log().count("account worker ended") >= 2


@pytest.mark.slow
def test_the_front_ends_while_a_worker_does_not_start(lies):
    """Nobody waits for that worker any more; the account is not without one for ever."""
    client = lies.suite.imap_raw(port="imaps")
    client.write(f'a LOGIN "late@test.example" "{PASSWORD}"\r\n')
    lies.wait_noted("late", "asked")
    os.kill(lies.suite.pids("imapd")[0], signal.SIGKILL)
    assert client.closed()
    works_again(lies, "late")


def test_states_without_measure(lies):
    """What is more than a worker may leave is dropped while it is told, and it is not let to sleep."""
    moxd = lies.suite.process.pid
    with Bystanders(lies):
        before = mox.proc_memory(moxd, "Rss")
        client = lies.log_in("oversized")
        lies.wait_noted("oversized", "refused")
        most = 0
        while not lies.noted("oversized", "told"):
            most = max(most, mox.proc_memory(moxd, "Rss"))
            time.sleep(0.02)
        assert most - before < MOST_MEMORY * mox.SLOW, (before, most)
        assert not lies.noted("oversized", "granted")
        client.socket.close()


def test_a_stream_that_is_no_fronts(lies):
    with Bystanders(lies):
        client = lies.log_in("foreign")
        lies.wait_noted("foreign", "refused")
        client.socket.close()


def test_one_that_cannot_decide(lies):
    """It is granted again and again, but not more often than an honest one would ask."""
    with Bystanders(lies):
        client = lies.log_in("restless")
        assert 1 <= int(lies.wait_noted("restless", "grants")) <= 6 / 0.2 + 1
        client.socket.close()


def blank_worker(suite, others):
    """The one that waits for an account, beside so many others: it was started last."""

    def find():
        workers = [p for p in suite.status() if p["role"] == "imapd-worker"]
        return workers if len(workers) == others + 1 else None

    workers = mox.wait_for(find, 10, "a worker that waits")
    return max(workers, key=lambda p: int(p["name"].rpartition("/")[2]))["pid"]


@pytest.mark.slow
def test_an_honest_one_is_stopped_while_awake(lies):
    """Its clients wait, and what they send is not piled up; a login finds out and ends it."""
    suite = lies.suite
    suite.control("password", "admin", stdin=PASSWORD + "\n")
    with Bystanders(lies):
        worker = blank_worker(suite, 2)
        client = lies.log_in("admin")
        client.write("a SELECT INBOX\r\nb IDLE\r\n")
        client.next_with(b"+ idling")
        os.kill(worker, signal.SIGSTOP)
        front = suite.pids("imapd")[0]
        before = mox.proc_memory(front, "Rss")
        client.socket.settimeout(0.2)
        sent = 0
        with contextlib.suppress(socket.timeout):
            for _ in range(1000):
                sent += client.socket.send(b"x" * 65536)
        assert sent < 40_000_000 and mox.proc_memory(front, "Rss") - before < 4000 * mox.SLOW
        with suite.imap_raw(port="imaps") as second:
            second.socket.settimeout(40 * mox.SLOW)
            assert second.no(f'LOGIN "admin@test.example" "{PASSWORD}"').startswith(b"NO [UNAVAILABLE]")
        assert client.closed(30)
        works_again(lies, "admin")

