"""Workers whose sessions all rest end, and others go on with them: clients notice nothing."""

import os
import signal
import time
import zlib

import pytest

import mox

ALICE = "alice@test.example"
PASSWORD = mox.PASSWORDS["alice"]


@pytest.fixture
def suite(start_suite):
    return mox.start_configured(start_suite, extra="imap { sleep-after 1s }")


def log_in(suite, select=True):
    client = suite.imap_raw(login=True, port="imaps", user=ALICE, password=PASSWORD)
    if select:
        client.ok("SELECT INBOX")
    return client


def asleep(suite, sessions):
    """Waits until so many sessions sleep, and no process serves their account."""

    def check():
        status = suite.control_json("status")
        workers = [p for p in status["processes"] if p["role"] == "imapd-worker"]
        return status["sessions_asleep"] == sessions and len(workers) == 1  # the blank one
    mox.wait_for(check, 10, f"{sessions} sessions asleep")


def idle(client):
    tag = client.tag()
    client.write(f"{tag} IDLE\r\n")
    assert client.line() == b"+ idling"
    return tag.encode()


def test_a_sleeping_account_hears_of_mail_and_of_its_clients(suite):
    with log_in(suite) as idling, log_in(suite) as other, log_in(suite, select=False) as third:
        tag = idle(idling)
        asleep(suite, 3)
        assert "3, of 1 account" in suite.control("status")
        suite.deliver(mox.message(), ALICE)
        assert idling.line() == b"* 1 EXISTS"
        asleep(suite, 3)
        assert b"* 1 EXISTS" in other.ok("NOOP")
        asleep(suite, 3)
        other.ok("STORE 1 +FLAGS (\\Flagged)")
        assert idling.line() == b"* 1 FETCH (UID 1 FLAGS (\\Flagged))"
        asleep(suite, 3)
        idling.write("DONE\r\n")
        assert idling.line() == tag + b" OK idled"
        asleep(suite, 3)
        third.ok("LOGOUT")
        asleep(suite, 2)
        assert third.socket.recv(100) == b""


def test_a_login_wakes_the_account(suite):
    with log_in(suite) as first:
        asleep(suite, 1)
        with log_in(suite) as second:
            second.ok("APPEND INBOX {5+}\r\nhello")
            assert b"* 1 EXISTS" in first.ok("NOOP")
            asleep(suite, 2)
    # Clients that leave need no process.
    asleep(suite, 0)


def test_commands_at_the_moment_of_falling_asleep(suite):
    """Whatever the moment, they are answered."""
    with log_in(suite) as client:
        for turn in range(24):
            time.sleep(0.95 + 0.02 * turn)
            client.ok("NOOP")


def test_the_next_worker_is_dead(suite):
    """The one that waits is killed at the moment in which it is wanted: another takes its place, and no client is lost."""
    with log_in(suite) as client:
        for _ in range(3):
            asleep(suite, 1)
            for pid in suite.pids("imapd-worker"):
                os.kill(pid, signal.SIGKILL)
            client.ok("NOOP")


def stays_awake(suite, seconds=3):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert suite.control_json("status")["sessions_asleep"] == 0
        time.sleep(0.1)


@pytest.mark.parametrize("keeps", ["NOTIFY", "CONTEXT"])
def test_what_is_not_kept_keeps_the_worker_awake(suite, keeps):
    """imapd(8): such a session keeps all of its account awake, and none of another."""
    with log_in(suite) as client, log_in(suite) as other:
        if keeps == "NOTIFY":
            client.ok("NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName))")
        else:
            client.ok("SEARCH RETURN (UPDATE COUNT) UNSEEN")
        with suite.imap_raw(login=True, port="imaps", user="bob@test.example", password=mox.PASSWORDS["bob"]) as bob:
            mox.wait_for(lambda: suite.control_json("status")["sessions_asleep"] == 1, 10, "bob asleep")
            bob.ok("NOOP")
            bob.ok("LOGOUT")
        stays_awake(suite)
        if keeps == "NOTIFY":
            client.ok("NOTIFY NONE")
            stays_awake(suite, 1.5)
        client.socket.close()
        # Bob's worker is there for a while yet.
        mox.wait_for(lambda: suite.control_json("status")["sessions_asleep"] == 1, 10, "the other one asleep")
        other.ok("NOOP")


class Deflated:
    """Takes the place of a client's socket after COMPRESS."""

    def __init__(self, sock):
        self.sock = sock
        self.out, self.into = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)

    def sendall(self, data):
        self.sock.sendall(self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size):
        while data := self.sock.recv(size):
            if text := self.into.decompress(data):
                return text
        return b""

    def close(self):
        self.sock.close()


def test_a_compressed_session_sleeps(suite):
    with log_in(suite) as client:
        client.ok("COMPRESS DEFLATE")
        client.socket = Deflated(client.socket)
        asleep(suite, 1)
        for _ in range(2):
            client.ok("UID FETCH 1:* (UID FLAGS ENVELOPE)")
            asleep(suite, 1)
        tag = idle(client)
        asleep(suite, 1)
        suite.deliver(mox.message(), ALICE)
        assert client.line() == b"* 1 EXISTS"
        client.write("DONE\r\n")
        assert client.line() == tag + b" OK idled"
        asleep(suite, 1)
        suite.control("restart", "storaged")
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")


def test_own_changes_are_not_told_again(suite):
    suite.deliver(mox.message(), ALICE)
    with log_in(suite) as client:
        client.ok("STORE 1 +FLAGS.SILENT (\\Seen word)")
        asleep(suite, 1)
        assert len(client.ok("NOOP")) == 1
        client.ok("STORE 1 -FLAGS (\\Seen)")
        asleep(suite, 1)
        tag = idle(client)
        asleep(suite, 1)
        client.write("DONE\r\n")
        assert client.line() == tag + b" OK idled"


def test_two_leave_of_three_while_they_sleep(suite):
    with log_in(suite) as kept, log_in(suite) as first, log_in(suite) as second:
        asleep(suite, 3)
        first.socket.close()
        second.socket.close()
        asleep(suite, 1)
        suite.deliver(mox.message(), ALICE)
        assert b"* 1 EXISTS" in kept.ok("NOOP")


def test_storage_restarts_while_all_sleep(suite):
    with log_in(suite) as client:
        asleep(suite, 1)
        suite.control("restart", "storaged")
        assert client.line().startswith(b"* BYE [UNAVAILABLE]")
        asleep(suite, 0)
    mox.wait_for(lambda: log_in(suite).ok("NOOP"), 10, "a login after that")


def test_stop_says_bye(suite):
    with log_in(suite) as client:
        asleep(suite, 1)
        suite.terminate()
        assert client.line() == b"* BYE server is shutting down"


def test_account_removed_while_it_sleeps(suite):
    with log_in(suite) as client:
        asleep(suite, 1)
        suite.control("account", "remove", "alice")
        assert client.line().startswith(b"* BYE")
        asleep(suite, 0)
