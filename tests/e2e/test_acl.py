"""Mailboxes shared between accounts (RFC 4314), over the whole suite: two accounts of a domain, several sessions."""

import imaplib
import re

import pytest
from mox import PASSWORD, ControlError, fetched, message, wait_for

pytestmark = pytest.mark.imap

ALICE, BOB, EVE = "alice@team.example", "bob@team.example", "eve@other.example"


@pytest.fixture
def team(own_suite):
    own_suite.control("domain", "add", "team.example")
    own_suite.control("domain", "add", "other.example")
    for name, address in (("alice", ALICE), ("bob", BOB), ("eve", EVE)):
        own_suite.control("account", "add", name, address, stdin=PASSWORD + "\n")
    return own_suite


def session(suite, user):
    return suite.imap_raw(login=True, user=user)


def text(lines):
    return b"\n".join(lines).decode()


def test_sharing(team):
    with session(team, ALICE) as alice, session(team, BOB) as bob, session(team, EVE) as eve:
        assert b'* NAMESPACE (("" "/")) (("#users/" "/")) NIL' in alice.ok("NAMESPACE")
        alice.ok("CREATE project")
        alice.put(message(subject="first"), "project")
        # Nobody sees anything, and cannot tell it from what is not there.
        for client in (bob, eve):
            assert "#users" not in text(client.ok('LIST "" *'))
            hidden = client.no("SELECT #users/alice/project")
            assert hidden.startswith(b"NO [NONEXISTENT]")
            assert client.no("SELECT #users/alice/none") == hidden
        alice.ok(f"SETACL project {BOB} lr")
        assert b"* ACL project alice lrswipkxtecda bob lr" in alice.ok("GETACL project")
        assert alice.no("SETACL project eve lr").startswith(b"NO [CANNOT]")
        assert "#users/alice/project" in text(bob.ok('LIST "" * RETURN (MYRIGHTS STATUS (MESSAGES))'))
        assert b"* MYRIGHTS #users/alice/project lr" in bob.ok("MYRIGHTS #users/alice/project")
        assert "#users" not in text(eve.ok('LIST "" *'))
        lines = bob.ok("SELECT #users/alice/project")
        assert b"[READ-ONLY]" in lines[-1]
        assert b"Subject: first" in b"\n".join(bob.ok("FETCH 1 (BODY[])"))
        for refused in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "COPY 1 #users/alice/project", "GETACL #users/alice/project"):
            assert bob.no(refused).startswith(b"NO [NOPERM]"), refused
        assert bob.no("STATUS #users/alice/INBOX (MESSAGES)").startswith(b"NO [NONEXISTENT]")


def test_rights_change_while_selected(team):
    with session(team, ALICE) as alice, session(team, BOB) as bob:
        alice.ok("CREATE project")
        alice.put(message(), "project")
        alice.ok("SETACL project bob lr")
        bob.ok("SELECT #users/alice/project")
        alice.ok("SETACL project bob +swite")
        wait_for(lambda: b"\\Flagged" in b"\n".join(bob.ok("NOOP")), 5, "other PERMANENTFLAGS")
        bob.ok(r"STORE 1 +FLAGS.SILENT (\Flagged \Seen $Project)")
        bob.put(message(subject="from bob"), "#users/alice/project")
        # Flags are shared, and both hear of each other at once.
        assert b"* 2 EXISTS" in alice.ok("SELECT project")
        assert r"\Flagged" in fetched(alice.ok("FETCH 1 (FLAGS)"))[1]["FLAGS"]
        alice.ok(r"STORE 1 +FLAGS (\Answered)")
        wait_for(lambda: b"\\Answered" in b"\n".join(bob.ok("NOOP")), 5, "flags")
        alice.ok("DELETEACL project bob")
        wait_for(lambda: b"EXPUNGE" in b"\n".join(bob.ok("NOOP")), 5, "the end of what can be read")
        assert not fetched(bob.command("UID FETCH 1 (BODY.PEEK[])")[0])
        bob.no("SELECT #users/alice/project")


def test_copies_between_accounts(team):
    with session(team, ALICE) as alice, session(team, BOB) as bob:
        alice.ok("CREATE project")
        alice.ok("SETACL project bob lrswit")
        bob.put(message(subject="small"), "INBOX")
        bob.put(message(subject="large", body="x" * 70 + "\r\n" + "line\r\n" * 20000), "INBOX")
        bob.ok("SELECT INBOX")
        assert b"[COPYUID " in bob.ok("COPY 1:2 #users/alice/project")[-1]
        assert b"* 1 EXPUNGE" in bob.ok("MOVE 1 #users/alice/project")
        bob.ok("SELECT #users/alice/project")
        sizes = [answer["RFC822.SIZE"] for answer in fetched(bob.ok("FETCH 1:* (RFC822.SIZE)")).values()]
        assert len(sizes) == 3 and int(sizes[1]) > 100000 and sizes[0] == sizes[2]
        bob.ok("COPY 2 INBOX")
        assert bob.no("MOVE 1 INBOX").startswith(b"NO [NOPERM]")  # without "e"
        bob.ok("SELECT INBOX")
        assert len(fetched(bob.ok("FETCH 1:* (FLAGS)"))) == 2


def test_imaplib_and_moxctl(team):
    """What an administrator can list and undo, and what Python's own client makes of it."""
    with session(team, ALICE) as raw:
        raw.ok("CREATE project")
    team.control("acl", "set", "alice", "project", BOB, "lrs")
    team.control("acl", "set", "alice", "INBOX", "anyone", "l")
    listed = team.control_json("acl", "list", "alice")["entries"]
    assert listed == [
        {"mailbox": "INBOX", "identifier": "anyone", "rights": "l"},
        {"mailbox": "project", "identifier": "bob", "rights": "lrs"},
    ]
    with imaplib.IMAP4("127.0.0.1", team.ports["imap"]) as client:
        client.login(BOB, PASSWORD)
        kind, answer = client.myrights("#users/alice/project")
        assert kind == "OK" and answer == [b"#users/alice/project lrs"]
        assert client.select("#users/alice/project")[0] == "OK"
    team.control("acl", "remove", "alice", "project", "bob")
    assert [e["mailbox"] for e in team.control_json("acl", "list", "alice")["entries"]] == ["INBOX"]
    for wrong in (("acl", "set", "alice", "project", "eve", "l"), ("acl", "set", "alice", "none", "bob", "l"),
                  ("acl", "list", "nobody")):
        with pytest.raises(ControlError):
            team.control(*wrong)
    # A removed account leaves no rights to the next of its name.
    team.control("acl", "set", "alice", "project", "bob", "lr")
    team.control("account", "remove", "bob")
    assert all(e["identifier"] != "bob" for e in team.control_json("acl", "list", "alice")["entries"])


def test_over_restart_and_restore(team, tmp_path):
    with session(team, ALICE) as alice:
        alice.ok("CREATE project")
        alice.ok("SETACL project bob lr")
    team.control("backup", str(tmp_path / "backup"))
    team.kill()
    team.run()
    with session(team, BOB) as bob:
        assert "#users/alice/project" in text(bob.ok('LIST "" *'))
    team.control("acl", "remove", "alice", "project", "bob")
    team.control("restore", "account", str(tmp_path / "backup"), "alice")
    with session(team, BOB) as bob:
        assert re.search("#users/alice/project", text(bob.ok('LIST "" *')))
