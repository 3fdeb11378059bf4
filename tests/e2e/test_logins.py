"""The history of logins, and whom an account has written to, as moxctl shows them."""

import base64
import imaplib
import smtplib

import mox
import pytest

ALICE, BOB = "alice@test.example", "bob@test.example"
RIGHT = mox.PASSWORDS["alice"]


def logins(suite, *arguments):
    return suite.control_json("logins", *arguments)["logins"]


def outcomes(found):
    return {(a["account"], a["login"], a["protocol"], a["mechanism"], a["result"]): a["count"] for a in found}


def wait_for_logins(suite, count, *arguments):
    mox.wait_for(lambda: sum(a["count"] for a in logins(suite, *arguments)) >= count, 20, "logins")
    return logins(suite, *arguments)


def fail_imap(suite, user, password):
    with pytest.raises(imaplib.IMAP4.error):
        suite.imap(user, password)


def test_history(start_suite):
    """Every front, every outcome; all that is known of each; nothing of a password."""
    suite = mox.start_configured(start_suite, extra_domains='account off { address "off@test.example"; login-disabled "on leave" }')
    suite.control("password", "off", stdin="off-password\n")
    with suite.imap_raw(port="imaps") as raw:
        raw.ok('ID ("name" "Some Client" "VERSION" "1.2")')
        raw.ok(f"LOGIN {ALICE} {RIGHT}")
    for _ in range(2):
        fail_imap(suite, ALICE, "wrong-password")
    fail_imap(suite, "nobody@test.example", "secret-of-nobody")
    fail_imap(suite, "secret-in-the-wrong-place", "x-password")
    fail_imap(suite, "off@test.example", "off-password")
    with suite.smtp("submissions") as smtp:
        assert smtp.auth_scram(ALICE, RIGHT) == 235
    with suite.smtp("submissions") as smtp:
        assert smtp.auth_scram(ALICE, "wrong-password") == 535
        assert smtp.auth_login(ALICE, RIGHT) == 235
    found = wait_for_logins(suite, 9)
    assert outcomes(found) == {
        ("alice", ALICE, "imap", "LOGIN", "ok"): 1,
        ("alice", ALICE, "imap", "LOGIN", "wrong password"): 2,
        ("", "nobody@test.example", "imap", "LOGIN", "unknown user"): 1,
        ("", "", "imap", "LOGIN", "unknown user"): 1,
        ("off", "off@test.example", "imap", "LOGIN", "login disabled"): 1,
        ("alice", ALICE, "submission", "SCRAM-SHA-256", "ok"): 1,
        ("alice", ALICE, "submission", "SCRAM-SHA-256", "wrong password"): 1,
        ("alice", ALICE, "submission", "LOGIN", "ok"): 1,
    }
    assert [a["last"] for a in found] == sorted((a["last"] for a in found), reverse=True)
    assert {a["remote_address"] for a in found} == {mox.HOST}
    assert {a["tls"] for a in found} == {"1.3"}
    clients = {a["protocol"]: a["client"] for a in found if a["result"] == "ok"}
    assert clients == {"imap": "Some Client 1.2", "submission": "client.example"}
    text = suite.control("logins")
    for secret in (RIGHT, "wrong-password", "secret", "x-password", "off-password"):
        assert secret not in text and secret not in str(found)
    assert len(text.splitlines()) == 9 and "wrong password" in text
    assert sum(a["count"] for a in logins(suite, "alice")) == 6
    assert {a["account"] for a in logins(suite, "-")} == {""}
    assert "ok" not in {a["result"] for a in logins(suite, "--failed")}
    assert len(logins(suite, "--limit", "2")) == 2
    for wrong in (["--limit", "0"], ["--limit", "x"], ["--limit"], ["--nonsense"], [""]):
        with pytest.raises(mox.ControlError) as refused:
            suite.control("logins", *wrong)
        assert refused.value.code == 2
    assert suite.control("logins", "carol") == "no logins\n"
    # Over an end and a new start; then it goes with the account.
    suite.terminate()
    suite.run()
    assert outcomes(logins(suite)) == outcomes(found)
    suite.control("account", "remove", "off")
    assert "off" not in {a["account"] for a in logins(suite)}
    suite.control("verify")


def test_aborted(start_suite):
    """SCRAM that the client gives up: noted when its front is gone, or after a minute."""
    suite = mox.start_configured(start_suite)
    with suite.smtp("submissions") as smtp:
        scram = mox.Scram(ALICE, RIGHT)
        assert smtp.command(b"AUTH SCRAM-SHA-256 " + base64.b64encode(scram.first())) == 334
        assert smtp.command("*") == 501
    suite.control("restart", "smtpd")
    found = wait_for_logins(suite, 1, "alice")
    assert outcomes(found) == {("alice", ALICE, "submission", "SCRAM-SHA-256", "aborted"): 1}


def test_history_while_storaged_is_away(start_suite):
    """authd keeps what it could not tell."""
    suite = mox.start_configured(start_suite, extra="storage { keep-logins 7d; max-failed-logins 100 }")
    fail_imap(suite, ALICE, "wrong-password")
    suite.control("restart", "storaged")
    fail_imap(suite, ALICE, "wrong-password")
    assert sum(a["count"] for a in wait_for_logins(suite, 2, "--failed")) >= 1


def test_recipients(start_suite):
    suite = mox.start_configured(start_suite)
    with smtplib.SMTP_SSL(mox.HOST, suite.ports["submissions"], context=mox.tls_context()) as smtp:
        smtp.login(ALICE, RIGHT)
        smtp.sendmail(ALICE, [BOB, "admin@test.example"], mox.message(sender=ALICE, to=BOB))
    with suite.imap(ALICE, RIGHT) as imap:
        imap.put(b"From: a@b\r\nTo: Carol <Carol@Elsewhere.example>, undisclosed:;\r\nCc: dave@elsewhere.example\r\n\r\n", "Sent")
        imap.put(b"From: a@b\r\nTo: eve@elsewhere.example\r\n\r\n", "INBOX")

    def known():
        return {r["address"]: r["count"] for r in suite.control_json("recipients", "alice")["recipients"]}

    wanted = {BOB: 1, "admin@test.example": 1, "carol@elsewhere.example": 1, "dave@elsewhere.example": 1}
    mox.wait_for(lambda: known() == wanted, 10, "recipients")
    assert "carol@elsewhere.example" in suite.control("recipients", "alice")
    assert suite.control("recipients", "bob") == "no recipients\n"
