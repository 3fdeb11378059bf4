"""URLs with authorization (RFC 4467, RFC 5524): from one account to another, over the whole suite."""

import re
import time

import pytest
from mox import message, start_configured, wait_for

pytestmark = pytest.mark.imap

ALICE, BOB = "alice@test.example", "bob@test.example"
BODY = "".join(f"line {n}\r\n" for n in range(50))


@pytest.fixture
def suite(start_suite):
    return start_configured(start_suite, extra_domains='account relay { address "relay@other.example"; submission-server }')


def session(suite, name):
    client = suite.imap_raw("imaps")
    client.ok(f'LOGIN "{name}@{"other" if name == "relay" else "test"}.example" "{name}-password"')
    return client


@pytest.fixture
def pair(suite):
    with session(suite, "alice") as alice, session(suite, "bob") as bob:
        alice.ok("CREATE box")
        alice.put(message(subject="one", body=BODY), "box")
        yield alice, bob


def rump(access="user+bob%40test.example", section="/;SECTION=TEXT", uid=1, user="alice%40test.example", expire=""):
    return f"imap://{user}@mail.test.example/box/;UID={uid}{section}{expire};URLAUTH={access}"


def authorize(client, url):
    lines = client.ok(f'GENURLAUTH "{url}" INTERNAL')
    found = re.fullmatch(rb'\* GENURLAUTH "(.*:internal:[0-9a-f]{66})"', lines[0])
    assert found and found.group(1).startswith(url.encode()), lines
    return found.group(1).decode()


def fetch(client, url, argument=None):
    """The value of one URL: bytes, or None for NIL."""
    lines = client.ok("URLFETCH " + (argument or f'"{url}"'))
    assert len(lines) == 2, lines
    begin = b"* URLFETCH "
    assert lines[0].startswith(begin), lines[0]
    # An astring: where it has no percent sign it may be an atom.
    echoed = next(form for form in (b'"' + url.encode() + b'" ', url.encode() + b" ") if lines[0][len(begin) :].startswith(form))
    value = lines[0][len(begin) + len(echoed) :]
    return None if value == b"NIL" else re.sub(rb"^\{\d+\}\r\n", b"", value)


def test_from_one_account_to_another(suite, pair):
    alice, bob = pair
    url = authorize(alice, rump())
    assert fetch(bob, url) == BODY.encode()
    assert fetch(alice, url) is None, "it is for bob alone"
    with session(suite, "admin") as admin:
        assert fetch(admin, url) is None
        for access in ("authuser", "anonymous"):
            assert fetch(admin, authorize(alice, rump(access))) == BODY.encode()
    # Nothing was selected for it, and nothing is seen by it.
    assert b"UNSEEN 1" in alice.ok("STATUS box (UNSEEN)")[0]
    bob.no("SELECT #users/alice/box")
    # In part; a URL by the name of the account; header fields.
    assert fetch(bob, authorize(alice, rump(section="/;SECTION=TEXT/;PARTIAL=6.8"))) == b"\r\nline 1"
    whole = fetch(bob, authorize(alice, rump(section="", user="alice")))
    assert whole.endswith(BODY.encode()) and b"Subject: one" in whole
    fields = authorize(alice, rump(section="/;SECTION=HEADER.FIELDS%20(Subject)"))
    assert fetch(bob, fields) == b"Subject: one\r\n\r\n"
    # A restart of everything does not void it.
    suite.control("restart", "storaged")

    def again():
        with suite.imap_raw("imaps") as client:
            return client.command(f'LOGIN "{BOB}" "bob-password"')[1].startswith(b"OK")

    wait_for(again, 10, "logins again", interval=0.1)
    with session(suite, "bob") as client:
        assert fetch(client, url) == BODY.encode()


def test_what_does_not_open(suite, pair):
    alice, bob = pair
    url = authorize(alice, rump())
    token = url.rpartition(":")[2]
    for other in (
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url[:-2],
        url + "00",
        rump(section="/;SECTION=HEADER") + ":internal:" + token,
        rump(access="authuser") + ":internal:" + token,
        rump(uid=2) + ":internal:" + token,
        rump(user="bob%40test.example") + ":internal:" + token,
        rump(user="nobody%40test.example") + ":internal:" + token,
        url.replace("/box/", "/INBOX/"),
        url.replace("/box/", "/nowhere/"),
        url.replace("mail.test.example", "other.example"),
        url.replace(":internal:", ":xsample:"),
        rump(),
        "imap://nonsense",
    ):
        start = time.monotonic()
        assert fetch(bob, other) is None, other
        assert time.monotonic() - start < 5
    assert fetch(bob, authorize(alice, rump(expire=";EXPIRE=2020-01-01T00:00:00Z"))) is None
    assert fetch(bob, authorize(alice, rump(expire=";EXPIRE=2999-01-01T00:00:00Z"))) == BODY.encode()
    assert fetch(bob, url) == BODY.encode()
    # RFC 4467 7: what cannot be authorized is BAD, and names of accounts are not found out by it.
    refused = bob.bad(f'GENURLAUTH "{rump()}" INTERNAL')
    assert refused == bob.bad(f'GENURLAUTH "{rump(user="nobody")}" INTERNAL')
    assert refused == bob.bad(f'GENURLAUTH "{rump(user="bob").replace("/box/", "/nowhere/")}" INTERNAL')
    alice.ok(f'GENURLAUTH "{rump(access="user+nobody")}" INTERNAL')


def test_keys_are_reset(suite, pair):
    alice, bob = pair
    url = authorize(alice, rump())
    assert alice.ok("RESETKEY INBOX")[-1] == b"OK [URLMECH INTERNAL] done"
    assert fetch(bob, url) == BODY.encode()
    alice.ok("RESETKEY box")
    assert fetch(bob, url) is None
    url = authorize(alice, rump())
    assert fetch(bob, url) == BODY.encode()
    alice.ok("RESETKEY")
    assert fetch(bob, url) is None
    # A mailbox made anew is another one.
    url = authorize(alice, rump())
    alice.ok("DELETE box")
    assert fetch(bob, url) is None
    alice.ok("CREATE box")
    alice.put(message(subject="two"), "box")
    assert fetch(bob, url) is None
    # So is an account made anew; and there is none.
    url = authorize(alice, rump("authuser"))
    assert fetch(bob, url) is not None
    suite.control("account", "remove", "alice")
    assert fetch(bob, url) is None


def test_a_restored_account_is_another_one(suite, pair, tmp_path):
    alice, bob = pair
    url = authorize(alice, rump())
    suite.control("backup", str(tmp_path / "backup"))
    suite.control("restore", "account", str(tmp_path / "backup"), "alice")
    assert fetch(bob, url) is None
    with session(suite, "alice") as again:
        assert fetch(bob, authorize(again, rump())) == BODY.encode()


def test_submission_server(suite, pair):
    suite.control("password", "relay", stdin="relay-password\n")
    alice, bob = pair
    url = authorize(alice, rump("submit+alice%40test.example"))
    assert fetch(bob, url) is None
    assert fetch(alice, url) is None
    with session(suite, "relay") as relay:
        assert fetch(relay, url) == BODY.encode()


def test_large_and_binary(suite, pair):
    alice, bob = pair
    raw = message(
        subject="large",
        body="QUJD" * 18 + "\r\n" + ("QUJD" * 19 + "\r\n") * 40000,
        headers=("Content-Transfer-Encoding: base64",),
    )
    uid = alice.put(raw, "box")
    url = authorize(alice, rump(section="/;SECTION=1", uid=uid))
    assert fetch(bob, url) == raw.partition(b"\r\n\r\n")[2]
    decoded = fetch(bob, url, f'("{url}" BODYPARTSTRUCTURE BINARY)')
    assert decoded.startswith(b'(BODYPARTSTRUCTURE ("text" "plain"'), decoded[:100]
    assert decoded.endswith(b"ABC" * 1000 + b")")
    assert len(decoded) > 54 + 57 * 40000


def test_urlmech_is_told_over_tls_alone(own_suite):
    with own_suite.imap_raw(login=True) as plain, own_suite.imap_raw("imaps", login=True) as private:
        assert b"URLAUTH URLAUTH=BINARY" in plain.ok("CAPABILITY")[0]
        assert b"* OK [URLMECH INTERNAL]" in b"\n".join(private.ok("SELECT INBOX"))
        assert b"URLMECH" not in b"\n".join(plain.ok("SELECT INBOX"))
        # Who has the mailbox selected hears that its keys are new.
        private.write("i IDLE\r\n")
        assert private.line() == b"+ idling"
        assert plain.ok("RESETKEY INBOX")[-1] == b"OK done"
        assert private.next_with(b"URLMECH") == b"* OK [URLMECH INTERNAL] URLs can be authorized"
        private.write("DONE\r\n")
        private.until("i")
        assert private.ok("RESETKEY INBOX")[-1] == b"OK [URLMECH INTERNAL] done"
