"""Sending mail: AUTH, what an account may send, the queue, and the notice when delivery fails."""

import base64
import email
import email.policy
import re
import smtplib
import ssl
import time

import mox
import pytest
from mox import PASSWORD, USER, Scram, message, strip_trace, unique_id, wait_for

pytestmark = pytest.mark.submission

PORTS = ["submission", "submissions"]


def connect(suite, port):
    client = suite.smtp(port)
    if port == "submission":
        client.starttls()
        client.ehlo()
    return client


@pytest.fixture(params=PORTS)
def client(suite, request):
    with connect(suite, request.param) as c:
        yield c


@pytest.fixture
def logged_in(suite):
    with connect(suite, "submissions") as c:
        assert c.auth_plain() == 235
        yield c


# ----------------------------------------------------------------------------------------------------- AUTH


def test_mechanisms_announced(client):
    assert {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1"} <= set(client.extensions["AUTH"].split()), client.extensions


def test_auth_plain(client):
    assert client.auth_plain() == 235


def test_auth_plain_with_a_challenge(client):
    assert client.command("AUTH PLAIN") == 334
    assert client.command(base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())) == 235


def test_auth_plain_with_identity(client):
    assert client.auth_plain(identity=USER) == 235


def test_auth_login(client):
    assert client.auth_login() == 235


def test_auth_login_with_initial_response(client):
    assert client.command(b"AUTH LOGIN " + base64.b64encode(USER.encode())) == 334
    assert client.command(base64.b64encode(PASSWORD.encode())) == 235


def test_auth_scram(client):
    assert client.auth_scram() == 235


def test_auth_scram_sha1(client):
    assert client.auth_scram(mechanism="SCRAM-SHA-1", algorithm="sha1") == 235


def test_lowercase_mechanism(client):
    assert client.command("auth plain " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()) == 235


@pytest.mark.parametrize("how", ["auth_plain", "auth_login", "auth_scram"])
@pytest.mark.parametrize("user, password", [(USER, "wrong-password"), ("nobody@elsewhere.example", PASSWORD)])
def test_wrong_credentials(suite, how, user, password):
    """Wrong password and unknown user: the same code and the same text."""
    with connect(suite, "submissions") as c:
        reply = getattr(c, how)(user, password)
        assert reply == 535 and reply.enhanced == "5.7.8", reply
        assert "user" not in reply.text.lower() or "unknown" not in reply.text.lower()
        assert c.auth_plain() == 235, "a second try has to be possible"


def test_unknown_user_takes_as_long_as_a_wrong_password(suite):
    def seconds(user):
        with connect(suite, "submissions") as c:
            begin = time.monotonic()
            assert c.auth_plain(user, "wrong-password") == 535
            return time.monotonic() - begin

    with connect(suite, "submissions") as c:
        assert c.auth_plain() == 235  # forgets the failures of tests before
    known, unknown = seconds(USER), seconds("nobody@localhost.example")
    with connect(suite, "submissions") as c:
        assert c.auth_plain() == 235
    assert unknown > known / 3 and known > unknown / 4, (known, unknown)


def test_other_identity_refused(client):
    assert client.auth_plain(identity="other@localhost").code in (535, 501)


@pytest.mark.parametrize(
    "command, code",
    [
        ("AUTH", 501),
        ("AUTH NONSENSE", 504),
        ("AUTH PLAIN !!!", 501),
        ("AUTH PLAIN =", (501, 535)),
        ("AUTH PLAIN " + base64.b64encode(b"only-one-part").decode(), (501, 535)),
        ("AUTH PLAIN " + base64.b64encode(b"\0a\0b\0c").decode(), (501, 535)),
        ("AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,nonsense").decode(), (501, 535)),
        ("AUTH SCRAM-SHA-256 " + base64.b64encode(b"p=tls-unique,,n=a,r=b").decode(), (501, 535)),
    ],
)
def test_malformed_auth(client, command, code):
    reply = client.command(command)
    assert reply.code in (code if isinstance(code, tuple) else (code,)), reply
    assert client.command("NOOP") == 250


def test_auth_abort(client):
    assert client.command("AUTH PLAIN") == 334
    assert client.command("*") == 501
    assert client.auth_plain() == 235


def test_auth_only_once(client):
    assert client.auth_plain() == 235
    assert client.auth_plain() == 503


def test_scram_nonce_replaced(client):
    """The server's nonce must begin with the client's, and come back in the last message (RFC 5802 5.1)."""
    scram = Scram(USER, PASSWORD)
    reply = client.command(b"AUTH SCRAM-SHA-256 " + base64.b64encode(scram.first()))
    assert reply == 334
    final = scram.final(base64.b64decode(reply.lines[0]))
    wrong = re.sub(rb"r=[^,]*", b"r=" + scram.nonce.encode(), final)
    assert client.command(base64.b64encode(wrong)).code in (535, 501)


def test_mail_needs_auth(client):
    assert client.command(f"MAIL FROM:<{USER}>") == 530


def test_python_smtplib(suite):
    test_id = unique_id()
    with smtplib.SMTP(mox.HOST, suite.ports["submission"], timeout=mox.TIMEOUT) as s:
        s.starttls(context=mox.tls_context())
        s.login(USER, PASSWORD)
        s.sendmail(USER, [USER], message(test_id=test_id))
    suite.find_one(test_id)


# ------------------------------------------------------------------------------------------ what may be sent


def test_submitted_message_arrives(suite, client):
    test_id = unique_id()
    raw = message(test_id=test_id)
    assert client.auth_plain() == 235
    client.send(raw, sender=USER)
    got = strip_trace(suite.find_one(test_id))
    assert got == raw or got.endswith(raw), got


def test_submission_is_marked_authenticated(suite, logged_in):
    test_id = unique_id()
    logged_in.send(message(test_id=test_id), sender=USER)
    assert re.search(rb"\bwith (ESMTPSA|ESMTP)\b", suite.find_one(test_id))


def test_missing_date_and_message_id_are_added(suite, logged_in):
    test_id = unique_id()
    raw = f"From: <{USER}>\r\nX-Test-Id: {test_id}\r\n\r\nbody\r\n".encode()
    logged_in.send(raw, sender=USER)
    got = email.message_from_bytes(suite.find_one(test_id), policy=email.policy.default)
    assert got["Message-ID"] and got["Date"]
    assert got.get_payload() == "body\r\n"


def test_sender_of_another(logged_in):
    reply = logged_in.command("MAIL FROM:<stranger@elsewhere.example>")
    assert reply.code in (550, 553), reply


def test_null_sender_refused(logged_in):
    assert logged_in.command("MAIL FROM:<>").code in (550, 553)


def test_sender_with_separator(suite, logged_in):
    test_id = unique_id()
    logged_in.send(message(test_id=test_id, sender="mox+list@localhost"), sender="mox+list@localhost")
    suite.find_one(test_id)


def test_from_header_of_another(suite, logged_in):
    test_id = unique_id()
    logged_in.envelope(sender=USER)
    reply = logged_in.data(message(sender="stranger@elsewhere.example", test_id=test_id))
    assert reply.code in (550, 553, 554), reply
    assert suite.find(test_id) == []


def test_message_without_from(logged_in):
    logged_in.envelope(sender=USER)
    assert logged_in.data(b"Subject: x\r\n\r\nbody\r\n").code in (550, 554)


# ------------------------------------------------------------------------------------------------- the queue


def parts_of(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def failure_notice(suite, recipient, seconds=30):
    def find():
        for raw in suite.messages():
            if b"multipart/report" in raw and recipient.encode() in raw:
                return raw
        return None

    return wait_for(find, seconds, f"the notice about {recipient}", interval=0.3)


def test_failing_delivery_gives_a_notice(suite, logged_in):
    recipient = f"queuepermerror@{unique_id()[:8]}.example"
    raw = message(subject="will fail", to=recipient)
    logged_in.send(raw, to=recipient, sender=USER)
    notice = failure_notice(suite, recipient)
    assert notice.startswith(b"Return-Path: <>\r\n"), notice[:200]
    root = parts_of(notice)
    assert root.get_content_type() == "multipart/report"
    assert root.get_param("report-type") == "delivery-status"
    assert root["To"] and USER in root["To"]
    assert root["Auto-Submitted"].startswith("auto-replied")
    kinds = [part.get_content_type() for part in root.iter_parts()]
    assert kinds[:2] == ["text/plain", "message/delivery-status"]
    assert kinds[2] in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
    status = list(root.iter_parts())[1].get_payload()
    per_message, per_recipient = status[0], status[1]
    assert per_message["Reporting-MTA"].startswith("dns;")
    assert per_recipient["Final-Recipient"].replace(" ", "") == f"rfc822;{recipient}"
    assert per_recipient["Action"] == "failed"
    assert per_recipient["Status"].startswith("5.")
    assert test_id_in_original(root) == mox.test_id_of(raw)


def test_id_in_original(root):
    return mox.test_id_of(list(root.iter_parts())[2].as_bytes(policy=email.policy.SMTP))


test_id_in_original.__test__ = False


def test_temporary_failure_stays_in_the_queue(own_suite):
    recipient = "queuetemperror@remote.example"
    with connect(own_suite, "submissions") as c:
        assert c.auth_plain() == 235
        c.send(message(to=recipient), to=recipient, sender=USER)

    def tried():
        text = own_suite.control("--json", "queue", "list")
        return recipient in text and re.search(r'"attempts":\s*[1-9]', text)

    wait_for(tried, 20, "a first attempt, and the message still queued", interval=0.2)
    assert not any(b"multipart/report" in raw for raw in own_suite.messages()), "a notice after the first attempt"


def test_queue_outlives_the_suite(own_suite):
    """Accepted is durable: the queue is there after the end, by signal 9, of everything."""
    recipient = "queuetemperror@remote.example"
    with connect(own_suite, "submissions") as c:
        assert c.auth_plain() == 235
        c.send(message(to=recipient), to=recipient, sender=USER)
    own_suite.note_processes()
    own_suite.process.kill()
    own_suite.process.wait()
    wait_for(lambda: not own_suite.left_over(), 10, f"children outlive moxd: {own_suite.left_over()}")
    own_suite.run()
    assert recipient in own_suite.control("queue", "list")


def test_local_and_remote_recipients(suite, logged_in):
    """One of two recipients fails: the other gets the message once."""
    test_id = unique_id()
    bad = f"queuepermerror@{unique_id()[:8]}.example"
    logged_in.send(message(test_id=test_id), to=[USER, bad], sender=USER)
    failure_notice(suite, bad)
    found = [raw for raw in suite.find(test_id) if b"multipart/report" not in raw]
    assert len(found) == 1


def test_submissions_is_tls_from_the_first_byte(suite):
    with pytest.raises((ssl.SSLError, EOFError, AssertionError, OSError)):
        c = mox.Smtp(suite.ports["submissions"], tls=False, timeout=3, greeting=False)
        c.write(b"EHLO client.example\r\n")
        assert c.reply() == 250
