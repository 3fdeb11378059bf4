"""Logins by TLS client certificates: EXTERNAL in IMAP and submission, PREAUTH, and moxctl certificate."""

import base64
import imaplib
import json
import os
import re
import signal
import ssl
import subprocess
import time

import pytest
from mox import (
    HOST,
    PASSWORDS,
    ControlError,
    ImapRaw,
    Smtp,
    message,
    start_configured,
    tls_context,
    unique_id,
    wait_for,
)

pytestmark = [pytest.mark.imap, pytest.mark.submission]

ALICE = "alice@test.example"


def encoded(text):
    return base64.b64encode(text.encode()).decode() or "="


class Identity:
    """A client's certificate and key, and connections with it."""

    def __init__(self, suite, certificate, key):
        self.suite, self.certificate, self.key = suite, certificate, key

    def context(self, **options):
        context = tls_context(**options)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def imap(self, port="imaps", **options):
        client = ImapRaw(self.suite.ports[port], greeting=False)
        if port == "imap":
            client.line()
            client.ok("STARTTLS")
        client.socket = self.context(**options).wrap_socket(client.socket, server_hostname="localhost")
        if port == "imaps":
            client.greeting = client.line()
        return client

    def smtp(self, port):
        client = Smtp(self.suite.ports[port], greeting=port == "submission")
        if port == "submission":
            client.ehlo()
            client.starttls(self.context())
        else:
            client.wrap(self.context())
            assert client.reply() == 220
        client.ehlo()
        return client


def identity(suite, name="client", kind=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), days=2):
    directory = os.path.join(suite.directory, name + unique_id()[:8])
    os.mkdir(directory)
    certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", str(days), "-subj", f"/CN={name}"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return Identity(suite, certificate, key)


def fingerprint_of(certificate):
    """As the manual page says."""
    command = f"openssl x509 -in {certificate} -noout -pubkey | openssl pkey -pubin -outform der | sha256sum"
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout.split()[0]


@pytest.fixture
def suite(start_suite):
    return start_configured(start_suite)


def add(suite, who, account="alice", *options):
    return suite.control_json("certificate", "add", *options, account, who.certificate)


@pytest.mark.parametrize("kind", [("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), ("ed25519",)])
def test_external(suite, kind):
    who = identity(suite, kind=kind)
    added = add(suite, who, "alice", "-n", "phone", "--no-preauth")
    assert added["fingerprint"] == fingerprint_of(who.certificate)
    for port in ("imap", "imaps"):
        with who.imap(port) as client:
            if port == "imaps":
                assert client.greeting.startswith(b"* OK"), client.greeting
            assert b" AUTH=EXTERNAL " in client.ok("CAPABILITY")[0]
            lines = client.ok("AUTHENTICATE EXTERNAL =")
            assert b" AUTH=" not in lines[-1]
            client.ok("SELECT INBOX")
    # Step by step; and as an address of the account.
    with who.imap() as client:
        client.write("x AUTHENTICATE EXTERNAL\r\n")
        assert client.line() == b"+ "
        client.write("\r\n")
        assert client.until("x")[1].startswith(b"OK")
    with who.imap() as client:
        client.ok("AUTHENTICATE EXTERNAL " + encoded("alice@other.example"))
    # What a password does goes on working.
    with who.imap() as client:
        client.ok(f'LOGIN "{ALICE}" "{PASSWORDS["alice"]}"')


def test_submission(suite):
    who = identity(suite)
    add(suite, who)
    for port in ("submission", "submissions"):
        with who.smtp(port) as client:
            assert client.extensions["AUTH"].split()[0] == "EXTERNAL"
            # Only after AUTH is anybody logged in.
            assert client.command(f"MAIL FROM:<{ALICE}>").code >= 500
            assert client.command("AUTH EXTERNAL =") == 235
            client.send(message(sender=ALICE, to="bob@test.example"), to="bob@test.example", sender=ALICE)
            assert client.command("MAIL FROM:<bob@test.example>").code >= 500
    with who.smtp("submission") as client:
        assert client.command("AUTH EXTERNAL") == 334
        assert client.command("") == 235
    with who.smtp("submission") as client:
        assert client.command("AUTH EXTERNAL " + encoded(ALICE)) == 235
    with who.smtp("submission") as client:
        assert client.command("AUTH EXTERNAL " + encoded("bob@test.example")) == 535
        assert client.command("AUTH EXTERNAL " + encoded("a\0b")) == 501
    # Without a certificate there is no such mechanism.
    with Smtp(suite.ports["submission"]) as client:
        client.ehlo()
        client.starttls()
        client.ehlo()
        assert "EXTERNAL" not in client.extensions["AUTH"]
        assert client.command("AUTH EXTERNAL =") == 504


def test_preauth(suite):
    who = identity(suite)
    with who.imap() as client:
        assert client.greeting.startswith(b"* OK"), "unknown: simply not logged in"
    add(suite, who)
    with who.imap() as client:
        assert client.greeting.startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 "), client.greeting
        assert b" AUTH=" not in client.greeting
        client.put(message(subject="mine"))
        assert b"* 1 EXISTS" in client.ok("SELECT INBOX")
        client.ok("LOGOUT")
    # A browser that was made to come here, with the certificate, has no second line.
    with who.imap() as client:
        assert client.greeting.startswith(b"* PREAUTH")
        client.write("POST /;x HTTP/1.1\r\nHost: x\r\n\r\na CREATE by-a-browser\r\n")
        assert client.until("POST")[1].startswith(b"BAD")
        assert client.line().startswith(b"* BYE")
        assert client.closed()
    with who.imap() as client:
        client.ok("NOOP")
        client.bad("NONSENSE")
        assert b"by-a-browser" not in b"\n".join(client.ok('LIST "" *'))
    # imaplib knows what to do with it.
    with imaplib.IMAP4_SSL(HOST, suite.ports["imaps"], ssl_context=who.context()) as mail:
        assert mail.state == "AUTH"
        assert mail.select() == ("OK", [b"1"])
    # After STARTTLS the greeting is over.
    with who.imap("imap") as client:
        assert client.no("SELECT INBOX") == b"NO log in first"
        client.ok("AUTHENTICATE EXTERNAL =")
    # An account whose logins are disabled is greeted as anybody.
    text = open(os.path.join(suite.data, "domains.conf")).read()
    text = text.replace("account alice {", 'account alice {\n    login-disabled "not now"')
    with open(os.path.join(suite.data, "domains.conf"), "w") as file:
        file.write(text)
    suite.control("reload")
    with who.imap() as client:
        assert client.greeting.startswith(b"* OK")
        client.no("AUTHENTICATE EXTERNAL =")


def test_preauth_keeps_no_client_waiting(suite):
    """Whose key cannot be looked for within 3 seconds is greeted as anybody is."""
    who = identity(suite)
    add(suite, who)
    [storaged] = suite.pids("storaged")
    os.kill(storaged, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with who.imap() as client:
            assert client.greeting.startswith(b"* OK"), client.greeting
            assert 2 < time.monotonic() - begun < 8
    finally:
        os.kill(storaged, signal.SIGCONT)
    with who.imap() as client:
        assert client.greeting.startswith(b"* PREAUTH"), client.greeting


def test_a_connection_is_who_it_proves_to_be(suite):
    who, other = identity(suite, "who"), identity(suite, "other")
    add(suite, who, "alice", "--no-preauth")
    with ImapRaw(suite.ports["imaps"], tls=True) as client:
        assert b"AUTH=EXTERNAL" not in client.greeting
        assert client.no("AUTHENTICATE EXTERNAL =").startswith(b"NO [CANNOT]")
    with other.imap() as client:
        assert b"AUTH=EXTERNAL" in client.greeting
        wrong = client.no("AUTHENTICATE EXTERNAL =")
        assert wrong == client.no("LOGIN nobody@test.example wrong-password")
        assert wrong == client.no("AUTHENTICATE EXTERNAL " + encoded(ALICE))
    with who.imap() as client:
        assert client.no("AUTHENTICATE EXTERNAL " + encoded("bob@test.example")) == wrong
        assert client.no("AUTHENTICATE EXTERNAL " + encoded("nobody@test.example")) == wrong
        client.bad("AUTHENTICATE EXTERNAL " + base64.b64encode(b"a\0b").decode())
        client.bad("AUTHENTICATE EXTERNAL !")
        client.ok("AUTHENTICATE EXTERNAL " + encoded(ALICE.upper()))
    # No session is resumed: neither does who comes back lose what the certificate says, nor does it outlive the handshake.
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with_key = who.context(maximum_version=version)
        first = ImapRaw(suite.ports["imaps"], greeting=False)
        first.socket = with_key.wrap_socket(first.socket, server_hostname="localhost")
        assert b"AUTH=EXTERNAL" in first.line()
        session = first.socket.session
        for context, offered in ((with_key, True), (tls_context(maximum_version=version), False)):
            again = ImapRaw(suite.ports["imaps"], greeting=False)
            resumed = session if context is with_key else None
            again.socket = context.wrap_socket(again.socket, server_hostname="localhost", session=resumed)
            assert not again.socket.session_reused
            assert (b"AUTH=EXTERNAL" in again.line()) == offered


def test_only_the_key_counts(suite):
    who = identity(suite)
    add(suite, who, "alice", "--no-preauth")
    # Another certificate, with the same key: of another name, expired, signed by nobody who is known.
    renewed = os.path.join(suite.directory, "renewed.pem")
    request = ["openssl", "req", "-new", "-key", who.key, "-subj", "/CN=somebody else"]
    csr = subprocess.run(request, check=True, capture_output=True).stdout
    sign = ["openssl", "x509", "-req", "-signkey", who.key, "-days", "0", "-out", renewed]
    subprocess.run(sign, input=csr, check=True, capture_output=True)
    with Identity(suite, renewed, who.key).imap() as client:
        client.ok("AUTHENTICATE EXTERNAL =")
    # The same names, with another key, are nobody.
    with identity(suite).imap() as client:
        client.no("AUTHENTICATE EXTERNAL =")
    with pytest.raises(ControlError, match="belongs to account alice"):
        suite.control("certificate", "add", "bob", renewed)


def test_moxctl_certificate(suite):
    phone, key = identity(suite, "phone"), identity(suite, "key", kind=("ed25519",))
    public = os.path.join(suite.directory, "public.pem")
    subprocess.run(["openssl", "pkey", "-in", key.key, "-pubout", "-out", public], check=True, capture_output=True)
    added = add(suite, phone, "alice", "-n", "my phone")
    suite.control("certificate", "add", "--no-preauth", "bob", public)
    listed = suite.control_json("certificate", "list")["certificates"]
    assert [(c["account"], c["name"], c["type"], c["preauth"]) for c in listed] == [
        ("alice", "my phone", "ecdsa-p256", True),
        ("bob", "", "ed25519", False),
    ]
    assert listed[0] == added
    assert abs(listed[0]["added"] - os.path.getmtime(phone.certificate)) < 600
    assert suite.control_json("certificate", "list", "bob")["certificates"] == listed[1:]
    assert re.search(r"alice +my phone +ecdsa-p256 .* yes +[0-9a-f]{64}", suite.control("certificate", "list"))
    with key.imap() as client:
        client.ok("AUTHENTICATE EXTERNAL " + encoded("bob@test.example"))
    # They are kept, with what restarts.
    suite.control("restart", "storaged")
    suite.control("restart", "authd")

    def kept():
        done = suite.control("--json", "certificate", "list", check=False, raw_output=True)
        return done.returncode == 0 and json.loads(done.stdout)["certificates"] == listed

    wait_for(kept, 10, "both again", interval=0.1)
    for name, problem in ((key.key, "neither a certificate"), ("/nonexistent", "cannot read")):
        with pytest.raises(ControlError, match=problem):
            suite.control("certificate", "add", "alice", name)
    small = identity(suite, "small", kind=("rsa:1024",))
    with pytest.raises(ControlError, match="2048 bits"):
        suite.control("certificate", "add", "alice", small.certificate)
    with pytest.raises(ControlError, match="no account nobody"):
        suite.control("certificate", "add", "nobody", phone.certificate)
    for account in ("alice", "bob"):
        assert len(suite.control_json("certificate", "list", account)["certificates"]) == 1
    suite.control("certificate", "remove", added["fingerprint"].upper())
    with pytest.raises(ControlError, match="no account has"):
        suite.control("certificate", "remove", added["fingerprint"])
    with phone.imap() as client:
        assert client.greeting.startswith(b"* OK")
        client.no("AUTHENTICATE EXTERNAL =")
    # Gone with their account.
    suite.control("account", "remove", "bob")
    with key.imap() as client:
        client.no("AUTHENTICATE EXTERNAL =")
    assert suite.control_json("certificate", "list")["certificates"] == []


def test_a_restored_account_has_its_certificates_again(suite):
    who = identity(suite)
    added = add(suite, who)
    backup = os.path.join(suite.directory, "backup")
    suite.control("backup", backup)
    suite.control("certificate", "remove", added["fingerprint"])
    suite.control("certificate", "add", "bob", who.certificate)
    suite.control("restore", "account", backup, "alice")
    # By now it is bob's as well: it opens neither, until that is settled.
    with who.imap() as client:
        assert client.greeting.startswith(b"* OK")
        client.no("AUTHENTICATE EXTERNAL =")
        client.no("AUTHENTICATE EXTERNAL " + encoded(ALICE))
    assert [c["account"] for c in suite.control_json("certificate", "list")["certificates"]] == ["alice", "bob"]
    suite.control("certificate", "remove", added["fingerprint"])
    assert suite.control_json("certificate", "list")["certificates"] == []
    suite.control("restore", "account", backup, "alice")
    with who.imap() as client:
        assert client.greeting.startswith(b"* PREAUTH")
        client.ok("SELECT INBOX")


def test_port_25_asks_for_none(suite):
    who = identity(suite)
    add(suite, who)
    with Smtp(suite.ports["smtp"]) as client:
        client.ehlo()
        client.starttls(who.context())
        client.ehlo()
        assert "AUTH" not in client.extensions
