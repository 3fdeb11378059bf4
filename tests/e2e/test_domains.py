"""Recipients and senders by the configuration: addresses, catch-all, separators, unknown ones; no local mode."""

import mox
import pytest
from mox import PASSWORDS, message, start_configured, strip_trace, unique_id

pytestmark = pytest.mark.smtp


@pytest.fixture(scope="module")
def configured():
    suites = []

    def start(*args, **kwargs):
        suites.append(mox.Suite.start(*args, name="domains", **kwargs))
        return suites[0]

    try:
        yield start_configured(start)
    finally:
        if suites:
            suites[0].stop()


def refused(suite, to, sender="someone@sender.example", tls=False):
    """The reply that refuses a recipient, at RCPT or after DATA."""
    with suite.smtp() as client:
        assert client.command(f"MAIL FROM:<{sender}>") == 250
        reply = client.command(f"RCPT TO:<{to}>")
        return client.data(message()) if reply == 250 else reply


def holds(suite, account, test_id, mailbox="INBOX"):
    found = suite.find(test_id, mailbox, user=f"{account}@test.example", password=PASSWORDS[account])
    return len(found)


@pytest.mark.parametrize(
    "to, account",
    [
        ("alice@test.example", "alice"),
        ("ALICE@Test.Example", "alice"),
        ("alice+list@test.example", "alice"),
        ("alice@other.example", "alice"),
        ("bob@test.example", "bob"),
        ("anything@other.example", "bob"),
        ("postmaster@test.example", "admin"),
        ('"alice"@test.example', "alice"),
    ],
)
def test_delivered_to(configured, to, account):
    test_id = unique_id()
    raw = message(test_id=test_id)
    configured.deliver(raw, to=to)
    for name in PASSWORDS:
        assert holds(configured, name, test_id) == (name == account), name
    got = configured.find(test_id, user=f"{account}@test.example", password=PASSWORDS[account])[0]
    assert strip_trace(got) == raw


@pytest.mark.parametrize("to", ["nobody@test.example", "nobody+alice@test.example", "alic@test.example", "alice.@test.example"])
def test_unknown_recipient(configured, to):
    reply = refused(configured, to)
    assert reply.code in (550, 501, 553), reply
    assert reply.code != 550 or reply.enhanced == "5.1.1", reply


def test_no_relay(configured):
    reply = refused(configured, "someone@elsewhere.example")
    assert reply == 550, reply


@pytest.mark.parametrize("to", ["alice@[127.0.0.1]", "someone%elsewhere.example@test.example", "<@test.example:someone@elsewhere.example>"[1:-1]])
def test_no_relay_by_tricks(configured, to):
    assert refused(configured, to).code // 100 == 5


def test_magic_recipients_are_of_local_mode_only(configured):
    test_id = unique_id()
    configured.deliver(message(test_id=test_id), to="permerror@other.example")
    assert holds(configured, "bob", test_id) == 1


def test_good_and_bad_recipients(configured):
    test_id = unique_id()
    with configured.smtp() as client:
        assert client.command("MAIL FROM:<a@sender.example>") == 250
        assert client.command("RCPT TO:<nobody@test.example>") == 550
        assert client.command("RCPT TO:<alice@test.example>") == 250
        assert client.command("RCPT TO:<bob@test.example>").code in (250, 452)
        assert client.data(message(test_id=test_id)) == 250
    assert holds(configured, "alice", test_id) == 1


def test_login_by_every_address(configured):
    for address in ("alice@test.example", "alice@other.example"):
        configured.imap(address, PASSWORDS["alice"]).logout()


def test_accounts_do_not_see_each_other(configured):
    test_id = unique_id()
    configured.deliver(message(test_id=test_id), to="alice@test.example")
    with configured.imap_raw(port="imaps", login=True, user="bob@test.example", password=PASSWORDS["bob"]) as client:
        client.ok("SELECT INBOX")
        lines = client.ok(f'SEARCH HEADER X-Test-Id "{test_id}"')
        assert lines[0] == b"* SEARCH"


def test_sender_must_belong_to_the_account(configured):
    with configured.smtp("submissions") as client:
        assert client.auth_plain("bob@test.example", PASSWORDS["bob"]) == 235
        assert client.command("MAIL FROM:<alice@test.example>").code in (550, 553)
        assert client.command("MAIL FROM:<bob@test.example>") == 250
        assert client.command("RSET") == 250
        assert client.command("MAIL FROM:<whatever@other.example>") == 250


def test_submission_between_accounts(configured):
    test_id = unique_id()
    with configured.smtp("submissions") as client:
        assert client.auth_plain("bob@test.example", PASSWORDS["bob"]) == 235
        client.send(message(test_id=test_id, sender="bob@test.example"), to="alice@test.example", sender="bob@test.example")
    configured.find_one(test_id, user="alice@test.example", password=PASSWORDS["alice"])


def test_submission_to_unknown_local_address(configured):
    """Refused at once, or a notice later: never silence."""
    with configured.smtp("submissions") as client:
        assert client.auth_plain("bob@test.example", PASSWORDS["bob"]) == 235
        assert client.command("MAIL FROM:<bob@test.example>") == 250
        assert client.command("RCPT TO:<nobody@test.example>") == 550


def test_no_password_without_tls(configured):
    with configured.smtp("submission") as client:
        assert "PLAIN" not in client.extensions.get("AUTH", "")
        reply = client.auth_plain("alice@test.example", PASSWORDS["alice"])
        assert reply.code in (530, 538), reply
        assert client.command("MAIL FROM:<alice@test.example>") == 530
        client.starttls()
        client.ehlo()
        assert client.auth_plain("alice@test.example", PASSWORDS["alice"]) == 235
    with configured.imap_raw() as client:
        lines = client.ok("CAPABILITY")
        assert b"LOGINDISABLED" in lines[0] and b"AUTH=PLAIN" not in lines[0]
        assert b"[PRIVACYREQUIRED]" in client.no(f'LOGIN alice@test.example "{PASSWORDS["alice"]}"')
        client.ok("STARTTLS")
        client.wrap()
        client.ok(f'LOGIN alice@test.example "{PASSWORDS["alice"]}"')


def test_message_over_the_limit(configured):
    """Found out while reading: 552, nothing stored, and the server goes on."""
    test_id = unique_id()
    line = b"x" * 998 + b"\r\n"
    with configured.smtp() as client:
        assert client.extensions["SIZE"] == str(40 << 20)
        client.envelope("alice@test.example")
        assert client.command("DATA") == 354
        try:
            client.write(message(test_id=test_id) + line * (41 << 10))
            reply = client.content(b".\r\n")
            assert reply.code in (552, 451, 554), reply
        except (ConnectionError, EOFError):
            pass
    assert holds(configured, "alice", test_id) == 0
