"""What an account learns of senders and of junk, as moxctl shows it; sessions in a browser, which nothing begins yet."""

import sqlite3
import time

import mox
import pytest

ALICE = "alice@test.example"
RIGHT = mox.PASSWORDS["alice"]
SPAM = ("Subject: cheap watches\r\n", "Buy watches, genuine watches, today only.\r\n")
HAM = ("Subject: lunch tomorrow\r\n", "Shall we meet at noon in the usual place?\r\n")


def deliver(suite, sender, what, count=1):
    for i in range(count):
        suite.deliver(f"From: Someone <{sender}>\r\n{what[0]}\r\n{what[1]}{i}\r\n".encode(), to=ALICE, sender=sender)


def senders(suite):
    found = suite.control_json("senders", "list", "alice")["senders"]
    return {s["address"]: (s["messages"], s["junk"], s["not_junk"]) for s in found}


def junk(suite):
    return suite.control_json("junk", "status", "alice")


def wait_learned(suite, junk_count, not_junk_count):
    def done():
        status = junk(suite)
        return (status["junk"], status["not_junk"], status["waiting"]) == (junk_count, not_junk_count, 0)

    mox.wait_for(done, 10, "learning")


def test_senders(start_suite):
    suite = mox.start_configured(start_suite)
    assert suite.control("senders", "list", "alice") == "no senders\n"
    deliver(suite, "Spammer@Bad.example", SPAM, 2)
    deliver(suite, "friend@good.example", HAM)
    assert senders(suite) == {"spammer@bad.example": (2, 0, 0), "friend@good.example": (1, 0, 0)}
    with suite.imap(ALICE, RIGHT) as imap:
        imap.open()
        imap.ok(imap.store("1:2", "+FLAGS", "(\\Seen)"))
        imap.ok(imap.uid("MOVE", "1", "Junk"))
        imap.ok(imap.store("2", "+FLAGS", "($NotJunk)"))
    known = {"spammer@bad.example": (2, 1, 0), "friend@good.example": (1, 0, 1)}
    assert senders(suite) == known
    # Over the loss of the mail, and of the process.
    with suite.imap(ALICE, RIGHT) as imap:
        for mailbox in ("INBOX", "Junk"):
            imap.open(mailbox)
            imap.ok(imap.store("1:*", "+FLAGS", "(\\Deleted)"))
            imap.ok(imap.expunge())
    suite.control("restart", "storaged")
    mox.wait_for(lambda: suite.control("senders", "list", "alice", check=False), 10, "storaged")
    assert senders(suite) == known
    facets = suite.control_json("senders", "list", "alice", "bad.example")["facets"]
    assert {f["facet"]: (f["messages"], f["junk"]) for f in facets} == {"from-domain": (2, 1), "envelope-domain": (2, 1)}
    assert facets[0]["latest"][0]["from"] == "spammer@bad.example"
    facets = suite.control_json("senders", "list", "alice", mox.HOST)["facets"]
    assert {f["facet"] for f in facets} == {"address", "network", "wide-network"}
    assert "from-domain" in suite.control("senders", "list", "alice", "bad.example")
    assert suite.control("senders", "list", "alice", "other.example") == "not known\n"
    assert suite.control_json("senders", "forget", "alice", "bad.example")["messages"] == 2
    assert senders(suite) == {"friend@good.example": (1, 0, 1)}
    suite.control("senders", "forget", "alice", "all")
    assert senders(suite) == {}
    suite.control("verify")


def test_junk_is_learned(start_suite):
    """By flags, once, behind the answer; it survives deletion, restarts and a worker's death."""
    suite = mox.start_configured(start_suite)
    deliver(suite, "spammer@bad.example", SPAM, 3)
    deliver(suite, "friend@good.example", HAM, 2)
    assert junk(suite) == {"junk": 0, "not_junk": 0, "words": 0, "waiting": 0}
    with suite.imap(ALICE, RIGHT) as imap:
        imap.open()
        imap.ok(imap.store("1:3", "+FLAGS", "($Junk)"))
        imap.ok(imap.store("4:5", "+FLAGS", "($NotJunk)"))
        wait_learned(suite, 3, 2)
        words = junk(suite)["words"]
        assert words > 10
        imap.ok(imap.store("3", "FLAGS", "($NotJunk)"))
        wait_learned(suite, 2, 3)
        imap.ok(imap.store("3", "FLAGS", "()"))
        wait_learned(suite, 2, 2)
        imap.ok(imap.store("1", "+FLAGS", "(\\Deleted)"))
        imap.ok(imap.expunge())
        wait_learned(suite, 2, 2)
    suite.control("junk", "forget", "alice")
    assert junk(suite) == {"junk": 0, "not_junk": 0, "words": 0, "waiting": 0}
    with suite.imap(ALICE, RIGHT) as imap:
        imap.open()
        suite.control("junk", "relearn", "alice")  # a worker is there
        wait_learned(suite, 1, 2)
    suite.control("junk", "relearn", "alice")
    with suite.imap(ALICE, RIGHT) as imap:
        imap.open()
        wait_learned(suite, 1, 2)
    assert "learned 1 messages as junk and 2 as not junk" in suite.control("junk", "status", "alice")
    suite.control("verify")


def test_sessions(start_suite):
    """Nothing begins one yet, so they are written where storaged keeps them."""
    suite = mox.start_configured(start_suite)
    assert suite.control("sessions", "list", "alice") == "no sessions\n"
    suite.terminate()
    now = int(time.time())
    database = sqlite3.connect(f"{suite.data}/data/accounts/alice/index.db")
    for i in range(3):
        row = (bytes([i] * 32), bytes(32), 0, now - 60, now - i * 90_000, "192.0.2.1", f"Browser {i}")
        database.execute("INSERT INTO web_session (token, csrf, kind, created, last_used, remote_address, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    database.execute("UPDATE web_session SET created = last_used")
    database.commit()
    database.close()
    suite.run()
    sessions = suite.control_json("sessions", "list", "alice")["sessions"]
    assert [s["user_agent"] for s in sessions] == ["Browser 0"]  # the others have rested for too long
    assert sessions[0]["kind"] == "webmail" and sessions[0]["last_used"] == now
    assert "Browser 0" in suite.control("sessions", "list", "alice")
    for wrong in ("0", "x", ""):
        with pytest.raises(mox.ControlError) as refused:
            suite.control("sessions", "end", "alice", wrong)
        assert refused.value.code == 2
    number = str(sessions[0]["id"])
    suite.control("sessions", "end", "alice", number)
    with pytest.raises(mox.ControlError):
        suite.control("sessions", "end", "alice", number)
    suite.control("sessions", "end", "alice", "all")
    assert suite.control("sessions", "list", "alice") == "no sessions\n"
    suite.control("verify")
