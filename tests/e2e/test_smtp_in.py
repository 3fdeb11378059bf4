"""Receiving mail: the SMTP of port 25's role, by raw sockets, and what is stored of it."""

import re
import socket
import ssl
import time

import mox
import pytest
from mox import USER, message, strip_trace, unique_id

pytestmark = pytest.mark.smtp


@pytest.fixture
def smtp(suite):
    with suite.smtp() as client:
        yield client


def stored(suite, test_id):
    return strip_trace(suite.find_one(test_id))


# ------------------------------------------------------------------------------------------------- greeting


def test_greeting_names_the_host(suite):
    with suite.smtp(hello=False) as client:
        assert re.match(r"\S+ E?SMTP", client.greeting.lines[0]), client.greeting


def test_ehlo_list(suite):
    with suite.smtp() as client:
        wanted = {"PIPELINING", "SIZE", "STARTTLS", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "LIMITS"}
        assert wanted <= set(client.extensions), client.extensions
        assert int(client.extensions["SIZE"]) >= 30_000_000
        assert re.search(r"\bRCPTMAX=[1-9]\d*", client.extensions["LIMITS"])
        assert "AUTH" not in client.extensions
        assert "CHUNKING" not in client.extensions or client.command("BDAT 0 LAST") != 500


def test_helo_has_no_extensions(suite):
    with suite.smtp(hello=False) as client:
        reply = client.command("HELO client.example")
        assert reply == 250 and len(reply.lines) == 1


def test_mail_before_hello(suite):
    with suite.smtp(hello=False) as client:
        assert client.command("MAIL FROM:<a@sender.example>") == 503


def test_no_auth_on_port_25(smtp):
    assert smtp.auth_plain().code in (502, 503, 504)


@pytest.mark.parametrize(
    "command, code",
    [
        ("NOOP", 250),
        ("NOOP with a word", 250),
        ("noop", 250),
        ("RSET", 250),
        ("HELP", 214),
        ("VRFY mox", 252),
        ("RCPT TO:<mox@localhost>", 503),
        ("DATA", 503),
        ("MAIL", 501),
        ("MAIL FROM", 501),
        ("MAIL FROM:", 501),
        ("MAIL FROM:a@b", 501),
        ("MAIL FROM:<a@b", 501),
        ("MAIL FROM:<a b@sender.example>", 501),
        ("MAIL FROM:<a@>", 501),
        ("MAIL FROM:<@sender.example>", 501),
        ("MAIL FROM:<a@sender.example> SIZE=x", 501),
        ("MAIL FROM:<a@sender.example> SIZE=1 SIZE=1", 501),
        ("MAIL FROM:<a@sender.example> NONSENSE=1", 555),
        ("MAIL FROM:<a@sender.example> BODY=9BIT", (501, 555)),
        ("mail from:<a@sender.example>", 250),
        ("MAIL FROM:<> BODY=8BITMIME", 250),
        ('MAIL FROM:<"a b"@sender.example>', 250),
        ("MAIL FROM:<@relay.example:a@sender.example>", 250),
        (b"MAIL FROM:<a\x00b@sender.example>", (500, 501)),
        ("XYZZY", 500),
        ("BURL x", (500, 502)),
        ("ETRN x", (500, 502)),
        ("", 500),
    ],
)
def test_command(smtp, command, code):
    reply = smtp.command(command)
    assert reply.code in (code if isinstance(code, tuple) else (code,)), reply
    if reply.code not in (214, 252, 354):
        assert reply.enhanced is not None and reply.enhanced[0] == str(reply.code)[0], f"RFC 2034 4: {reply}"
    assert smtp.command("NOOP") == 250


@pytest.mark.parametrize(
    "parameters, code",
    [("", 501), (" NOTIFY=NEVER", 555), (" ORCPT=rfc822;x", 555)],
)
def test_rcpt_errors(smtp, parameters, code):
    assert smtp.command("MAIL FROM:<a@sender.example>") == 250
    assert smtp.command("RCPT TO:<mox@localhost>" + parameters if parameters else "RCPT TO:mox@localhost") == code
    assert smtp.command("DATA").code in (503, 554)


def test_nested_mail_refused(smtp):
    assert smtp.command("MAIL FROM:<a@sender.example>") == 250
    assert smtp.command("MAIL FROM:<b@sender.example>") == 503


def test_rset_ends_the_transaction(smtp):
    smtp.envelope()
    assert smtp.command("RSET") == 250
    assert smtp.command("DATA") == 503


def test_ehlo_resets_the_transaction(smtp):
    smtp.envelope()
    smtp.ehlo()
    assert smtp.command("DATA") == 503


def test_quit(smtp):
    assert smtp.command("QUIT") == 221
    assert smtp.closed()


# ----------------------------------------------------------------------------------------------- delivering


def test_bytes_in_are_bytes_out(suite, smtp):
    test_id = unique_id()
    body = b"".join(bytes([33 + i % 90]) * (i % 70) + b" \t\r\n" for i in range(300))
    raw = message(body=body, test_id=test_id, headers=["X-Folded: one", "\ttwo", "  three", "subject: again"])
    smtp.send(raw)
    assert stored(suite, test_id) == raw


def test_trace_headers(suite, smtp):
    test_id = unique_id()
    smtp.send(message(test_id=test_id), sender="bounce+1@sender.example")
    raw = suite.find_one(test_id)
    assert raw.startswith(b"Return-Path: <bounce+1@sender.example>\r\n"), raw[:300]
    received = re.search(rb"^Received: (.*?\r\n(?:[ \t].*?\r\n)*)", raw, re.M).group(1)
    assert received.startswith(b"from client.example"), received
    assert b"[127.0.0.1]" in received
    assert re.search(rb"\bwith ESMTP\b", received), received
    assert re.search(rb"\bid \S+", received), received
    assert b"<mox@localhost>" in received
    assert re.search(rb";\s+\w{3}, +\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", received), received
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


def test_received_says_tls(suite):
    test_id = unique_id()
    with suite.smtp() as client:
        client.starttls()
        client.ehlo()
        client.send(message(test_id=test_id))
    assert re.search(rb"\bwith ESMTPS\b", suite.find_one(test_id))


def test_null_sender(suite, smtp):
    test_id = unique_id()
    smtp.send(message(test_id=test_id), sender="")
    assert suite.find_one(test_id).startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize("to", ["mox@localhost", "MOX@LOCALHOST", "mox+tag@localhost", "whoever@localhost", "Postmaster"])
def test_recipients_of_local_mode(suite, smtp, to):
    test_id = unique_id()
    smtp.send(message(test_id=test_id), to=to)
    suite.find_one(test_id)


def test_several_messages_on_one_connection(suite, smtp):
    ids = [unique_id() for _ in range(5)]
    for test_id in ids:
        smtp.send(message(test_id=test_id))
    for test_id in ids:
        suite.find_one(test_id)


def test_dot_stuffing(suite, smtp):
    test_id = unique_id()
    raw = message(body=b".\r\n..\r\n...\r\n.x\r\n.\tx\r\n. \r\nx.\r\n.", test_id=test_id) + b"\r\n"
    smtp.send(raw)
    assert stored(suite, test_id) == raw


def test_dot_stuffing_across_writes(suite, smtp):
    test_id = unique_id()
    raw = message(body=b"one\r\n.\r\n..two\r\n", test_id=test_id)
    smtp.envelope()
    assert smtp.command("DATA") == 354
    for byte in mox.stuffed(raw):
        smtp.write(bytes([byte]))
    assert smtp.reply() == 250
    assert stored(suite, test_id) == raw


@pytest.mark.parametrize("body", [b"", b"\r\n", b"no line", b"\r\n\r\n\r\n"], ids=["none", "crlf", "word", "blank"])
def test_small_bodies(suite, smtp, body):
    test_id = unique_id()
    raw = message(body=body, test_id=test_id)
    smtp.send(raw)
    assert stored(suite, test_id) == (raw if raw.endswith(b"\r\n") else raw + b"\r\n")


def test_header_only(suite, smtp):
    """No empty line after the header: RFC 5322 allows a message without a body."""
    test_id = unique_id()
    raw = f"From: <a@sender.example>\r\nX-Test-Id: {test_id}\r\n".encode()
    smtp.send(raw)
    assert stored(suite, test_id) == raw


def test_eight_bit(suite, smtp):
    test_id = unique_id()
    raw = message(body=bytes(range(128, 256)) + b"\r\n\xc3\xa9t\xc3\xa9\r\n", test_id=test_id)
    smtp.send(raw, parameters=" BODY=8BITMIME")
    assert stored(suite, test_id) == raw


def test_long_lines(suite, smtp):
    test_id = unique_id()
    raw = message(body=b"x" * 998 + b"\r\n" + b"y" * 70_000 + b"\r\n", test_id=test_id)
    smtp.envelope()
    reply = smtp.data(raw)
    if reply == 250:
        assert stored(suite, test_id) == raw
    else:
        assert reply.code // 100 == 5
        assert suite.find(test_id) == []


# --------------------------------------------------------------------------------------------- PIPELINING


def test_pipelining_in_one_write(suite, smtp):
    smtp.write(b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<mox@localhost>\r\nRCPT TO:<rcpttopermerror@localhost>\r\nDATA\r\n")
    assert [smtp.reply().code for _ in range(4)] == [250, 250, 550, 354]
    first, second = unique_id(), unique_id()
    smtp.write(
        mox.stuffed(message(test_id=first))
        + b"MAIL FROM:<b@sender.example>\r\nRCPT TO:<mox@localhost>\r\nDATA\r\n"
    )
    assert [smtp.reply().code for _ in range(4)] == [250, 250, 250, 354]
    smtp.write(mox.stuffed(message(test_id=second)) + b"NOOP\r\nQUIT\r\n")
    assert [smtp.reply().code for _ in range(3)] == [250, 250, 221]
    suite.find_one(first)
    suite.find_one(second)


def test_pipelining_after_all_recipients_failed(smtp):
    smtp.write(b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<rcpttopermerror@localhost>\r\nDATA\r\nRSET\r\n")
    codes = [smtp.reply().code for _ in range(3)]
    assert codes[:2] == [250, 550] and codes[2] in (503, 554)
    assert smtp.reply() == 250


def test_many_commands_in_one_write(smtp):
    """More than any buffer: replies and commands must not deadlock."""
    smtp.write(b"NOOP\r\n" * 5000)
    for _ in range(5000):
        assert smtp.reply() == 250


# ----------------------------------------------------------------------------------------------------- SIZE


def test_declared_size_too_big(smtp):
    limit = int(smtp.extensions["SIZE"])
    assert smtp.command(f"MAIL FROM:<a@sender.example> SIZE={limit + 1}") == 552
    assert smtp.command(f"MAIL FROM:<a@sender.example> SIZE={limit}") == 250


def test_huge_declared_size(smtp):
    assert smtp.command("MAIL FROM:<a@sender.example> SIZE=99999999999999999999").code in (501, 552)


@pytest.mark.slow
def test_large_message_costs_no_memory(suite):
    test_id = unique_id()
    line = bytes(33 + i % 90 for i in range(76)) + b"\r\n"
    raw = message(body=line * (30_000_000 // len(line)), test_id=test_id)
    data = mox.stuffed(raw)
    suite.deliver(message())  # so that what is loaded once is loaded
    pids = suite.pids("smtpd")
    assert pids
    before = sum(mox.proc_memory(pid) for pid in pids)
    peak = before
    with suite.smtp() as client:
        client.envelope()
        assert client.command("DATA") == 354
        for offset in range(0, len(data), 1 << 20):
            client.write(data[offset : offset + (1 << 20)])
            peak = max(peak, sum(mox.proc_memory(pid) for pid in pids))
        assert client.reply() == 250
    after = sum(mox.proc_memory(pid) for pid in pids)
    assert stored(suite, test_id) == raw
    if not mox.SANITIZED:
        assert peak - before < 4096, f"smtpd grew by {peak - before} KiB while receiving 30 MB"
        assert after - before < 4096, f"smtpd kept {after - before} KiB of a 30 MB message"


# ------------------------------------------------------------------------------------------------- SMTPUTF8


def test_smtputf8(suite, smtp):
    test_id = unique_id()
    sender = "δοκιμή@παράδειγμα.example"
    smtp.send(message(subject="Θέμα", test_id=test_id), to="χρήστης@localhost", sender=sender, parameters=" SMTPUTF8")
    raw = suite.find_one(test_id)
    assert "Subject: Θέμα\r\n".encode() in raw
    assert f"Return-Path: <{sender}>\r\n".encode() in raw
    assert re.search(rb"\bwith UTF8SMTP\b", raw)


@pytest.mark.parametrize("command", ["MAIL FROM:<é@sender.example>", "MAIL FROM:<a@é.example>"])
def test_utf8_needs_the_parameter(smtp, command):
    assert smtp.command(command).code in (550, 553, 501)


def test_utf8_recipient_needs_the_parameter(smtp):
    assert smtp.command("MAIL FROM:<a@sender.example>") == 250
    assert smtp.command("RCPT TO:<é@localhost>").code in (553, 550, 501)


@pytest.mark.parametrize("path", [b"\xff\xfe@sender.example", b"\xc3@sender.example", b"\xed\xa0\x80@sender.example"])
def test_bad_utf8(smtp, path):
    assert smtp.command(b"MAIL FROM:<" + path + b"> SMTPUTF8").code // 100 == 5


# ------------------------------------------------------------------------------------------------- STARTTLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_starttls_resets_the_session(suite, version):
    with suite.smtp() as client:
        client.envelope()
        client.starttls(mox.tls_context(minimum_version=version, maximum_version=version))
        assert client.command("MAIL FROM:<a@sender.example>") == 503
        client.ehlo()
        assert "STARTTLS" not in client.extensions
        assert client.command("RCPT TO:<mox@localhost>") == 503
        assert client.command("STARTTLS") == 503
        client.send(message())


def test_starttls_takes_no_argument(smtp):
    assert smtp.command("STARTTLS now") == 501


def test_old_tls_refused(smtp):
    assert smtp.command("STARTTLS") == 220
    context = mox.tls_context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        smtp.wrap(context)


def test_commands_before_the_handshake_are_not_taken_into_tls(suite):
    """The injection of CVE-2011-0411: plaintext pipelined behind STARTTLS must not be executed under TLS."""
    with suite.smtp() as client:
        client.write(b"STARTTLS\r\nNOOP\r\n")
        if client.reply() != 220:
            return
        if client.buffer:
            pytest.fail(f"plaintext answered before the handshake: {client.buffer}")
        try:
            client.wrap()
        except (ssl.SSLError, OSError):
            return
        assert len(client.command("EHLO client.example").lines) > 1, "the injected NOOP was answered"


def test_garbage_instead_of_a_handshake(suite, smtp):
    assert smtp.command("STARTTLS") == 220
    smtp.write(b"EHLO client.example\r\n" * 10)
    assert smtp.closed()
    suite.deliver(message())


# ---------------------------------------------------------------------------------- lines and the end of DATA


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\n\r"], ids=repr)
def test_bare_ends_do_not_end_a_command(smtp, end):
    """`NOOP<end>RSET` is one line: one reply, and that an error."""
    smtp.write(b"NOOP" + end + b"RSET\r\n")
    assert smtp.reply().code // 100 == 5
    assert smtp.command("VRFY mox") == 252, "more than one reply"


BAD_ENDS = [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n", b"\r\r\n.\n", b"\n.\r", b"\r\n.\r\r\n"]


@pytest.mark.parametrize("end", BAD_ENDS, ids=repr)
def test_no_smuggling(suite, smtp, end):
    """Only CRLF.CRLF ends a message (RFC 5321 4.1.1.4). What follows any other end is content, not commands."""
    outer, inner = unique_id(), unique_id()
    smtp.envelope()
    assert smtp.command("DATA") == 354
    smuggled = b"MAIL FROM:<evil@sender.example>\r\nRCPT TO:<mox@localhost>\r\nDATA\r\n" + message(test_id=inner)
    raw = message(body=b"before", test_id=outer) + end + smuggled
    smtp.write(raw)
    smtp.socket.settimeout(0.5)
    with pytest.raises((socket.timeout, TimeoutError)):
        pytest.fail(f"answered before the end: {smtp.reply()}")
    smtp.socket.settimeout(mox.TIMEOUT)
    reply = smtp.content(b"\r\n.\r\n")
    assert reply.code in (250, 500, 550, 554, 501), reply
    assert smtp.command("VRFY mox") == 252, "more than one reply to one message"
    everything = suite.messages()
    holders = [m for m in everything if outer.encode() in m or inner.encode() in m]
    if reply == 250:
        assert len(holders) == 1
        assert outer.encode() in holders[0] and inner.encode() in holders[0]
    else:
        assert holders == [], "refused, but stored"


@pytest.mark.parametrize("ending", [b"\n", b"\r"], ids=repr)
def test_bare_line_ends_in_content(suite, smtp, ending):
    """Refused, or stored; never with the bytes around it changed into something that ends a line elsewhere."""
    test_id = unique_id()
    raw = message(body=b"one" + ending + b"two" + ending + ending + b"three\r\n", test_id=test_id)
    smtp.envelope()
    reply = smtp.data(raw)
    if reply == 250:
        got = stored(suite, test_id)
        assert got in (raw, raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    else:
        assert reply.code // 100 == 5, reply
        assert suite.find(test_id) == []


def test_end_split_over_writes(suite, smtp):
    test_id = unique_id()
    smtp.envelope()
    assert smtp.command("DATA") == 354
    smtp.write(message(test_id=test_id)[:-2])
    for piece in (b"\r", b"\n", b".", b"\r", b"\n"):
        time.sleep(0.02)
        smtp.write(piece)
    assert smtp.reply() == 250
    suite.find_one(test_id)


def test_connection_lost_in_data_stores_nothing(suite):
    test_id = unique_id()
    with suite.smtp() as client:
        client.envelope()
        assert client.command("DATA") == 354
        client.write(message(test_id=test_id, body="x\r\n" * 10_000))
    time.sleep(0.3)
    assert suite.find(test_id) == []


# ------------------------------------------------------------------------------------------- bounds and abuse


def test_command_line_too_long(smtp):
    smtp.write(b"NOOP " + b"x" * 20_000 + b"\r\n")
    assert smtp.reply().code in (500, 421)


def test_endless_line(suite, smtp):
    """Megabytes without a line end: an answer or an end, and no memory."""
    before = sum(mox.proc_memory(pid) for pid in suite.pids("smtpd"))
    try:
        for _ in range(20):
            smtp.write(b"x" * (1 << 20))
        smtp.write(b"\r\n")
        assert smtp.reply().code in (500, 421)
    except (ConnectionError, EOFError):
        pass
    grown = sum(mox.proc_memory(pid) for pid in suite.pids("smtpd")) - before
    assert mox.SANITIZED or grown < 4096, f"smtpd grew by {grown} KiB"


def test_too_many_errors_end_the_connection(smtp):
    smtp.socket.settimeout(60)
    codes = []
    try:
        for _ in range(300):
            codes.append(smtp.command("XYZZY").code)
    except (EOFError, ConnectionError):
        pass
    assert 3 <= len(codes) < 300, f"{len(codes)} errors in a row were put up with"


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nQUIT\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n",
        b"a1 CAPABILITY\r\n",
    ],
    ids=["get", "post", "tls", "imap"],
)
def test_another_protocol_first(suite, first):
    with suite.smtp(hello=False) as client:
        client.write(first)
        reply = client.reply()
        assert reply.code in (500, 502, 421, 501, 554), reply
        assert client.closed(), "stays open after another protocol's first line"


def test_too_many_recipients(smtp):
    most = int(re.search(r"RCPTMAX=(\d+)", smtp.extensions["LIMITS"]).group(1))
    assert most <= 10_000
    assert smtp.command("MAIL FROM:<a@sender.example>") == 250
    smtp.write(b"".join(b"RCPT TO:<r%d@localhost>\r\n" % i for i in range(most + 1)))
    codes = [smtp.reply().code for _ in range(most + 1)]
    assert codes[:most] == [250] * most
    assert codes[most] == 452


def test_many_connections(suite):
    clients = []
    try:
        for _ in range(25):
            clients.append(suite.smtp())
        for client in clients:
            client.send(message())
    finally:
        for client in clients:
            client.close()


# ------------------------------------------------------------------------------------------ magic recipients


@pytest.mark.parametrize(
    "to, code",
    [
        ("temperror@localhost", 451),
        ("permerror@localhost", 550),
        ("xtemperror@localhost", 451),
        ("x450@localhost", 450),
        ("x552@localhost", 552),
    ],
)
def test_magic_recipient_fails_at_data(suite, smtp, to, code):
    test_id = unique_id()
    smtp.envelope(to)
    reply = smtp.command("DATA")
    if reply == 354:
        reply = smtp.content(mox.stuffed(message(test_id=test_id)))
    assert reply == code
    assert suite.find(test_id) == []


@pytest.mark.parametrize(
    "localpart, code",
    [("mailfromtemperror", 451), ("mailfrompermerror", 550), ("mailfrom452", 452)],
)
def test_magic_sender_fails_at_mail(smtp, localpart, code):
    assert smtp.command(f"MAIL FROM:<{localpart}@localhost>") == code


@pytest.mark.parametrize("localpart, code", [("rcpttotemperror", 451), ("rcpttopermerror", 550), ("rcptto553", 553)])
def test_magic_recipient_fails_at_rcpt(smtp, localpart, code):
    assert smtp.command("MAIL FROM:<a@sender.example>") == 250
    assert smtp.command(f"RCPT TO:<{localpart}@localhost>") == code
    assert smtp.command(f"RCPT TO:<{USER}>") == 250


# --------------------------------------------------------------------------------------------- other domains


def test_two_accounts_get_one_copy_each(own_suite):
    own_suite.control("account", "add", "other", "other@localhost", stdin="otherother\n")
    test_id = unique_id()
    raw = message(test_id=test_id)
    own_suite.deliver(raw, to=["mox@localhost", "other@localhost"])
    assert strip_trace(own_suite.find_one(test_id)) == raw
    assert strip_trace(own_suite.find_one(test_id, user="other@localhost", password="otherother")) == raw
