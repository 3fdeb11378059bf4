"""SEARCH out of the index of words: that it finds what reading finds, that mail of every way is in it, and reindex.

A mailbox of fewer than 32 messages is searched by reading them: copies in such mailboxes are the oracle.
"""

import base64
import http.client
import quopri
import random
import re

import mox
import pytest

PIECE = 31
WORDS = (
    "alpha beta gamma delta straße Über ÉCLAIR naïve 日本語 テキスト привет Ёлка 42 x-ray foo_bar a.b.c user@host.example "
    "supercalifragilisticexpialidocious-and-some-more-of-it It's &amp; <b>bold</b>face e=mc2 AT&T Σίγμας 100% semi;colon"
).split()


def metric(suite, name):
    connection = http.client.HTTPConnection(mox.HOST, suite.ports["metrics"], timeout=mox.TIMEOUT)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(re.search(rf"^mox_storage_{name}(?:{{.*}})? (\d+)$", text, re.MULTILINE).group(1))


def random_text(rnd, count):
    return "".join(rnd.choice(WORDS) + rnd.choice([" ", " ", "\r\n", ", ", ".", ""]) for _ in range(count))


def encoded(rnd, text):
    """A text part: headers and body."""
    charset = rnd.choice(["utf-8", "utf-8", "iso-8859-1", "windows-1251", "iso-2022-jp", "utf-16", "x-unknown"])
    body = text.encode("utf-8" if charset == "x-unknown" else charset, "replace")
    how = rnd.choice(["base64", "quoted-printable"] + ["8bit"] * (charset != "utf-16"))
    if how == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    if how == "quoted-printable":
        body = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    subtype = rnd.choice(["plain", "plain", "html"])
    return f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {how}\r\n\r\n".encode() + body + b"\r\n"


def header_word(rnd):
    word = rnd.choice(WORDS)
    if word.isascii():
        return word
    if rnd.random() < 0.5:
        return "=?utf-8?q?" + "".join(f"={byte:02X}" for byte in word.encode()) + "?="
    return "=?utf-8?b?" + base64.b64encode(word.encode()).decode() + "?="


def random_message(rnd, number):
    subject = rnd.choice([" ", "\r\n ", "-"]).join(header_word(rnd) for _ in range(rnd.randint(1, 4)))
    address = lambda: f"{header_word(rnd)} <{rnd.choice('abc')}{rnd.randint(0, 9)}@{rnd.choice(['one', 'two'])}.example>"
    head = f"From: {address()}\r\nTo: {address()},\r\n\t{address()}\r\nSubject: {subject}\r\nMessage-ID: <{number}.{rnd.randint(0, 99)}@x>\r\n"
    if rnd.random() < 0.3:
        head += f"Cc: {address()}\r\nX-Kind: {header_word(rnd)} {header_word(rnd)}\r\n"
    head = head.encode() + b"MIME-Version: 1.0\r\n"
    if rnd.random() < 0.1:
        return head + b"\r\n" + bytes(rnd.choice(b"ab \xff\xc3\xa9\xe6\x97\xa5\x00-") for _ in range(80)) + b"\r\n"
    if rnd.random() < 0.5:
        return head + encoded(rnd, random_text(rnd, rnd.choice([3, 20, 60])))
    parts = [encoded(rnd, random_text(rnd, 10)) for _ in range(rnd.randint(1, 3))]
    if rnd.random() < 0.3:
        parts.append(b"Content-Type: message/rfc822\r\n\r\nSubject: inner " + header_word(rnd).encode() + b"\r\n\r\n" + random_text(rnd, 5).encode())
    if rnd.random() < 0.3:
        parts.append(b"Content-Type: application/octet-stream\r\n\r\nalpha hidden\r\n")
    return head + b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n" + b"".join(b"--bb\r\n" + part + b"\r\n" for part in parts) + b"--bb--\r\n"


def random_query(rnd):
    def text():
        whole = random_text(rnd, rnd.randint(1, 3)).strip()
        if rnd.random() < 0.5:
            start = rnd.randrange(len(whole))
            whole = whole[start : start + rnd.randint(1, 8)]
        whole = whole.upper() if rnd.random() < 0.3 else whole
        return whole.replace("\r\n", " ") or "a"

    def key():
        literal = text().encode()
        name = rnd.choice(["TEXT", "TEXT", "BODY", "BODY", "SUBJECT", "FROM", "TO", "CC", "BCC", "HEADER Subject", "HEADER X-Kind", "HEADER Message-ID"])
        return f"{name} {{{len(literal)}+}}\r\n".encode() + literal

    kind = rnd.random()
    if kind < 0.6:
        return key()
    if kind < 0.75:
        return b"NOT " + key()
    if kind < 0.9:
        return b"OR " + key() + b" " + key()
    return key() + b" " + key()


def search(client, query):
    answer = client.ok(b"SEARCH CHARSET UTF-8 " + query)
    line = next(line for line in answer if line.startswith(b"* SEARCH"))
    return [int(n) for n in line.split()[2:]]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_index_finds_what_reading_finds(start_suite, seed):
    suite = start_suite()
    rnd = random.Random(seed)
    pieces = 10
    with suite.imap_raw(port="imap", login=True) as client:
        for name in ["Big", *(f"Small{n}" for n in range(pieces))]:
            client.ok(f"CREATE {name}")
        for number in range(pieces * PIECE):
            raw = random_message(rnd, number)
            client.ok(b"APPEND Big {%d+}\r\n" % len(raw) + raw)
        client.ok("SELECT Big")
        for n in range(pieces):
            client.ok(f"COPY {n * PIECE + 1}:{(n + 1) * PIECE} Small{n}")
        # Without a key that needs the messages, so few are searched by their parses.
        queries = [b"OR HEADER X-None zzz (" + random_query(rnd) + b")" for _ in range(150)]
        before = metric(suite, "searches_total")
        found = [search(client, query) for query in queries]
        assert metric(suite, "searches_total") == before + len(queries)
        expected = [[] for _ in queries]
        for n in range(pieces):
            client.ok(f"EXAMINE Small{n}")
            for i, query in enumerate(queries):
                expected[i] += [n * PIECE + number for number in search(client, query)]
        assert metric(suite, "searches_total") == before + len(queries)
        for query, got, want in zip(queries, found, expected):
            assert got == want, query
        assert sum(map(len, found)) > 1000, "the queries find next to nothing"


def rare(n):
    return f"rareword{n}xyz"


def body(n, size=200):
    return (f"Subject: way {n}\r\n\r\n{rare(n)}\r\n" + "filling words\r\n" * (size // 15)).encode()


def test_mail_of_every_way_is_indexed(start_suite, tmp_path):
    suite = start_suite()
    suite.deliver(body(1))
    suite.deliver(body(2, 100_000))
    with suite.smtp("submissions") as client:
        client.auth_plain()
        client.send(f"From: {mox.USER}\r\nTo: {mox.USER}\r\n".encode() + body(3), sender=mox.USER)
    source = tmp_path / "box"
    source.write_bytes(b"".join(b"From a@b Thu Jan  1 00:00:00 2015\n" + body(n).replace(b"\r", b"") + b"\n" for n in range(4, 40)))
    suite.control("import", "mbox", "mox", str(source))
    with suite.imap() as client:
        client.put(body(40))
        client.put(body(41, 100_000))
        mox.wait_for(lambda: client.open("INBOX") == 41, 10, "all messages")
        opened = metric(suite, "messages_opened_total")
        for n in range(1, 42):
            for text in (rare(n), rare(n)[1:-1]):
                assert len(client.ok(client.search(None, "TEXT", text))[0].split()) == 1, n
        assert len(client.ok(client.search(None, "TEXT", "Delivered"))[0].split()) == 3  # what this server put in front
        assert metric(suite, "messages_opened_total") == opened


def test_reindex(start_suite):
    suite = start_suite()
    with suite.imap() as client:
        for n in range(40):
            client.put(body(n))
        client.open("INBOX")
        client.ok(client.copy("1:5", "Archive"))
        assert suite.control_json("reindex", "mox") == {"indexed": 40, "lost": 0, "accounts": 1}
        opened = metric(suite, "messages_opened_total")
        assert client.ok(client.search(None, "BODY", rare(7)))[0].split() == [b"8"]
        assert metric(suite, "messages_opened_total") == opened
    assert suite.control_json("reindex", "--all")["indexed"] == 40
    suite.control("verify", "-a", "mox")
    for wrong in ([], ["mox", "--all"], ["a", "b"]):
        with pytest.raises(mox.ControlError) as failed:
            suite.control("reindex", *wrong)
        assert failed.value.code == 2
    with pytest.raises(mox.ControlError):
        suite.control("reindex", "nobody")


def test_charsets_that_are_not_known(start_suite):
    """A process that tried to load a converter would be killed."""
    suite = start_suite()
    before = suite.pids("smtpd")
    names = ["ibm037", "armscii-8", "iso-ir-103", "cp1047", "tscii", "x-no-such", "utf-8//TRANSLIT", "windows-874", "cp1252", "x-sjis"]
    for name in names * 4:
        suite.deliver(f'Subject: =?{name}?q?abc?=\r\nContent-Type: text/plain; charset="{name}"\r\n\r\nhello there\r\n'.encode())
    assert suite.pids("smtpd") == before
    with suite.imap() as client:
        client.open("INBOX")
        assert len(client.ok(client.search(None, "TEXT", "hello"))[0].split()) == len(names) * 4
        assert len(client.ok(client.search(None, "SUBJECT", "abc"))[0].split()) == len(names) * 4
        workers = suite.pids("imapd-worker")
        assert len(client.ok(client.search(None, "TEXT", '"hello the"'))[0].split()) == len(names) * 4
        assert suite.pids("imapd-worker") == workers
