"""Reading mail: IMAP4rev1 by imaplib and by raw sockets. Messages are put in with APPEND, so the file also runs against
another IMAP server (MOX_E2E_EXTERNAL)."""

import base64
import hashlib
import imaplib
import re
import socket
import ssl
import time

import mox
import pytest
from mox import PASSWORD, USER, Scram, fetched, message, parse_imap, unique_id, wait_for

pytestmark = pytest.mark.imap


@pytest.fixture
def other(suite, mailbox):
    """A second session on the same mailbox."""
    with suite.imap_raw(login=True, port="imaps") as client:
        client.ok(f"SELECT {mailbox}")
        yield client


def code(lines, name):
    """The argument of a response code among lines, e.g. code(lines, "UIDNEXT")."""
    for line in lines:
        found = re.search(rb"\[" + name.encode() + rb"(?: ([^\]]*))?\]", line)
        if found:
            return (found.group(1) or b"").decode()
    return None


def one(client, items, number="1", command="FETCH"):
    answers = fetched(client.ok(f"{command} {number} {items}"))
    assert len(answers) == 1, answers
    return next(iter(answers.values()))


def flags(client, number=1):
    return {f.lower() for f in one(client, "(FLAGS)", number)["FLAGS"]} - {"\\recent"}


def search(client, keys, command="SEARCH"):
    lines = client.ok(f"{command} {keys}")
    found = [line for line in lines if re.match(rb"\* SEARCH\b", line, re.I)]
    assert found, lines
    return sorted(int(n) for line in found for n in line.split()[2:] if n.isdigit())


def capabilities(client):
    lines = client.ok("CAPABILITY")
    return set(next(line for line in lines if line.startswith(b"* CAPABILITY")).decode().upper().split()[2:])


def utf7(name):
    """Modified UTF-7 of RFC 3501 5.1.3."""
    out, pending = "", ""

    def flush():
        if not pending:
            return ""
        return "&" + base64.b64encode(pending.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    for c in name:
        if " " <= c <= "~":
            out += flush() + ("&-" if c == "&" else c)
            pending = ""
        else:
            pending += c
    return out + flush()


# ---------------------------------------------------------------------------------- before and at the login


def test_greeting(suite):
    with suite.imap_raw() as client:
        assert client.greeting.startswith(b"* OK")


def test_capabilities_before_login(suite):
    with suite.imap_raw(port="imaps") as client:
        announced = capabilities(client)
        assert {"IMAP4REV1", "AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "LITERAL+", "IDLE", "ID", "ENABLE"} <= announced
        assert "STARTTLS" not in announced
    with suite.imap_raw() as client:
        assert "STARTTLS" in capabilities(client)


def test_capabilities_after_login(raw):
    wanted = {"IMAP4REV1", "LITERAL+", "IDLE", "NAMESPACE", "UNSELECT", "UIDPLUS", "MOVE", "ID", "ENABLE"}
    assert wanted <= capabilities(raw)


def test_commands_of_later_states_are_refused(suite):
    for command in ("SELECT INBOX", "FETCH 1 FLAGS", 'LIST "" *', "IDLE", "EXPUNGE"):
        with suite.imap_raw() as client:
            lines, last = client.command(command)
            assert last[:3] in (b"NO ", b"BAD"), (command, last)


def test_selected_state_is_needed(raw):
    for command in ("FETCH 1 FLAGS", "SEARCH ALL", "STORE 1 FLAGS ()", "EXPUNGE", "CLOSE", "COPY 1 INBOX", "UID FETCH 1 FLAGS", "CHECK"):
        lines, last = raw.command(command)
        assert last[:3] in (b"NO ", b"BAD"), (command, last)


@pytest.mark.parametrize("port", ["imaps", "starttls"])
def test_login(suite, port):
    with suite.imap_raw(port="imap" if port == "starttls" else port) as client:
        if port == "starttls":
            client.ok("STARTTLS")
            client.wrap()
            assert "STARTTLS" not in capabilities(client)
        client.ok(f'LOGIN "{USER}" "{PASSWORD}"')
        lines, last = client.command("LOGIN a b")
        assert last[:3] in (b"BAD", b"NO ")
        client.ok("SELECT INBOX")


def test_login_as_atoms(suite):
    with suite.imap_raw(port="imaps") as client:
        client.ok(f"LOGIN {USER} {PASSWORD}")


def test_login_with_literals(suite):
    with suite.imap_raw(port="imaps") as client:
        client.write(f"a LOGIN {{{len(USER)}}}\r\n")
        assert client.line().startswith(b"+")
        client.write(f"{USER} {{{len(PASSWORD)}}}\r\n")
        assert client.line().startswith(b"+")
        client.write(PASSWORD + "\r\n")
        assert client.until("a")[1].startswith(b"OK")


def test_login_with_non_synchronising_literals(suite):
    with suite.imap_raw(port="imaps") as client:
        client.write(f"a LOGIN {{{len(USER)}+}}\r\n{USER} {{{len(PASSWORD)}+}}\r\n{PASSWORD}\r\n")
        assert client.until("a")[1].startswith(b"OK")


@pytest.mark.parametrize("user, password", [(USER, "wrong-password"), ("nobody@elsewhere.example", PASSWORD), (USER, "")])
def test_wrong_password(suite, user, password):
    with suite.imap_raw(port="imaps") as client:
        assert b"[AUTHENTICATIONFAILED]" in client.no(f'LOGIN "{user}" "{password}"')
        client.ok(f'LOGIN "{USER}" "{PASSWORD}"')


def test_authenticate_plain(suite):
    token = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    with suite.imap_raw(port="imaps") as client:
        client.write("a AUTHENTICATE PLAIN\r\n")
        assert client.line().startswith(b"+")
        client.write(token + "\r\n")
        assert client.until("a")[1].startswith(b"OK")
    with suite.imap_raw(port="imaps") as client:
        if "SASL-IR" in capabilities(client):
            client.ok(f"AUTHENTICATE PLAIN {token}")


def test_authenticate_aborted(suite):
    with suite.imap_raw(port="imaps") as client:
        client.write("a AUTHENTICATE PLAIN\r\n")
        assert client.line().startswith(b"+")
        client.write("*\r\n")
        assert client.until("a")[1].startswith(b"BAD")
        client.ok(f'LOGIN "{USER}" "{PASSWORD}"')


def test_authenticate_unknown(suite):
    with suite.imap_raw(port="imaps") as client:
        assert client.command("AUTHENTICATE NONSENSE")[1][:3] in (b"NO ", b"BAD")


@pytest.mark.parametrize("algorithm, mechanism", [("sha256", "SCRAM-SHA-256"), ("sha1", "SCRAM-SHA-1")])
def test_scram(suite, algorithm, mechanism):
    with suite.imap_raw(port="imaps") as client:
        assert f"AUTH={mechanism}" in capabilities(client)
        assert client.scram(Scram(USER, PASSWORD, algorithm=algorithm), mechanism).startswith(b"OK")
        client.ok("SELECT INBOX")


def test_scram_sha1_wrong(suite):
    with suite.imap_raw(port="imaps") as client:
        assert client.scram(Scram(USER, "wrong-password", algorithm="sha1"), "SCRAM-SHA-1").startswith(b"NO")
        # of one hash, with the name of the other
        assert client.scram(Scram(USER, PASSWORD, algorithm="sha256"), "SCRAM-SHA-1")[:3] in (b"NO ", b"BAD")


@pytest.mark.parametrize("user, password", [(USER, "wrong-password"), ("nobody@elsewhere.example", PASSWORD)])
def test_scram_wrong(suite, user, password):
    """An unknown user gets a challenge like everybody, and fails at the end."""
    with suite.imap_raw(port="imaps") as client:
        assert client.scram(Scram(user, password)).startswith(b"NO")


def test_scram_downgrade(suite):
    """A client that believes the server has no channel binding, though it has, is warned of a man in the middle."""
    with suite.imap_raw(port="imaps") as client:
        if "AUTH=SCRAM-SHA-256-PLUS" not in capabilities(client):
            return
        assert client.scram(Scram(USER, PASSWORD, supports_binding=True))[:3] in (b"NO ", b"BAD")


def test_scram_plus(suite):
    """Bound to the certificate (RFC 5929 4): what somebody in the middle would have to show is another one."""
    with suite.imap_raw(port="imaps") as client:
        assert {"AUTH=SCRAM-SHA-256-PLUS", "AUTH=SCRAM-SHA-1-PLUS"} <= capabilities(client)
    seen = ssl.get_server_certificate((mox.HOST, suite.ports["imaps"]))
    right = hashlib.sha256(ssl.PEM_cert_to_DER_cert(seen)).digest()
    for binding, answer in ((right, b"OK"), (bytes(32), b"NO")):
        with suite.imap_raw(port="imaps") as client:
            last = client.scram(Scram(USER, PASSWORD, ("tls-server-end-point", binding)), "SCRAM-SHA-256-PLUS")
            assert last.startswith(answer), last
        with suite.imap_raw(port="imaps") as client:
            scram = Scram(USER, PASSWORD, ("tls-server-end-point", binding), algorithm="sha1")
            assert client.scram(scram, "SCRAM-SHA-1-PLUS").startswith(answer)


def test_scram_plus_wrong_type_is_refused(suite):
    with suite.imap_raw(port="imaps") as client:
        last = client.scram(Scram(USER, PASSWORD, ("tls-unique", bytes(12))), "SCRAM-SHA-256-PLUS")
        assert last.startswith((b"NO", b"BAD")), last


def test_plaintext_behind_starttls_is_not_taken_into_tls(suite):
    with suite.imap_raw() as client:
        client.write(b"a STARTTLS\r\nb NOOP\r\n")
        client.until("a")
        try:
            client.wrap()
            client.write("c CAPABILITY\r\n")
            lines, last = client.until("c")
        except (ssl.SSLError, OSError, EOFError):
            return
        assert not any(line.startswith(b"b ") for line in lines), lines


def test_logout(raw):
    lines = raw.ok("LOGOUT")
    assert lines[0].startswith(b"* BYE")
    assert raw.closed()


# ------------------------------------------------------------------------------------- id, namespace, enable


def test_id(raw):
    lines = raw.ok('ID ("name" "a test" "version" "1")')
    answer = next(line for line in lines if line.startswith(b"* ID "))
    value = parse_imap(answer)[2]
    assert value is None or isinstance(value, list)
    raw.ok("ID NIL")


def test_namespace(raw):
    lines = raw.ok("NAMESPACE")
    personal = parse_imap(next(line for line in lines if line.startswith(b"* NAMESPACE")))[2]
    assert personal[0][0] == b"" and personal[0][1] == b"/"


def test_enable(raw):
    lines = raw.ok("ENABLE X-NONSENSE")
    assert not any(b"X-NONSENSE" in line for line in lines if line.startswith(b"* ENABLED"))
    assert raw.command("ENABLE")[1].startswith(b"BAD")


def test_noop_and_check(box):
    box.ok("NOOP")
    box.ok("CHECK")


# ------------------------------------------------------------------------------------------------- mailboxes


def names(client, pattern="*", command="LIST"):
    lines = client.ok(f'{command} "" "{pattern}"')
    found = {}
    for line in lines:
        if re.match(rb"\* (LIST|LSUB) ", line):
            _, _, attributes, delimiter, name = parse_imap(line)
            assert delimiter == b"/"
            found[name.decode() if isinstance(name, bytes) else name] = [a.lower() for a in attributes]
    return found


def test_inbox_is_there(raw):
    assert "INBOX" in {name.upper() for name in names(raw)}


def test_list_delimiter(raw):
    line = next(line for line in raw.ok('LIST "" ""') if line.startswith(b"* LIST"))
    assert parse_imap(line)[3:] == [b"/", b""]


def test_create_list_delete(raw):
    name = "c-" + unique_id()[:8]
    raw.ok(f"CREATE {name}")
    raw.no(f"CREATE {name}")
    assert name in names(raw)
    raw.ok(f"DELETE {name}")
    assert name not in names(raw)
    raw.no(f"DELETE {name}")
    raw.no(f"SELECT {name}")


def test_patterns(raw, mailbox):
    raw.ok(f"CREATE {mailbox}/a/b")
    assert f"{mailbox}/a/b" in names(raw, f"{mailbox}/*")
    assert set(names(raw, f"{mailbox}/%")) == {f"{mailbox}/a"}
    assert set(names(raw, f"{mailbox}/%/b")) == {f"{mailbox}/a/b"}
    assert set(names(raw, f"{mailbox}/a")) <= {f"{mailbox}/a"}
    lines = raw.ok(f'LIST "{mailbox}/" "*"')
    assert any(f"{mailbox}/a/b".encode() in line for line in lines)
    raw.ok(f"DELETE {mailbox}/a/b")
    raw.command(f"DELETE {mailbox}/a")


def test_delete_keeps_children(raw, mailbox):
    raw.ok(f"CREATE {mailbox}/child")
    raw.command(f"DELETE {mailbox}")
    assert f"{mailbox}/child" in names(raw)
    raw.ok(f"DELETE {mailbox}/child")


def test_inbox_cannot_be_created_or_deleted(raw):
    raw.no("CREATE INBOX")
    raw.no("DELETE inbox")


def test_rename(raw, mailbox):
    raw.put(message(), mailbox)
    raw.ok(f"CREATE {mailbox}/sub")
    new = "r-" + unique_id()[:8]
    before = code(raw.ok(f"SELECT {mailbox}"), "UIDVALIDITY")
    raw.ok(f"RENAME {mailbox} {new}")
    found = names(raw)
    assert new in found and f"{new}/sub" in found and mailbox not in found
    lines = raw.ok(f"SELECT {new}")
    assert b"* 1 EXISTS" in lines and code(lines, "UIDVALIDITY") == before
    raw.no(f"RENAME {new} INBOX")
    raw.no(f"RENAME {mailbox} x-{new}")
    raw.ok(f"RENAME {new} {mailbox}")
    raw.ok(f"DELETE {mailbox}/sub")


def test_rename_inbox(own_suite):
    """RFC 3501 6.3.5: the messages move, INBOX stays, empty."""
    raw = mox.message()
    with own_suite.imap_raw(login=True) as client:
        client.put(raw)
        client.ok("CREATE INBOX/child")
        client.ok("RENAME INBOX old")
        assert b"* 1 EXISTS" in client.ok("SELECT old")
        assert b"* 0 EXISTS" in client.ok("SELECT INBOX")
        assert any("/child" in name and name.upper().startswith("INBOX") for name in names(client))


def test_subscriptions(raw, mailbox):
    raw.ok(f"SUBSCRIBE {mailbox}")
    raw.ok(f"SUBSCRIBE {mailbox}")
    assert mailbox in names(raw, "*", "LSUB")
    raw.ok(f"UNSUBSCRIBE {mailbox}")
    assert mailbox not in names(raw, "*", "LSUB")


def test_status(raw, mailbox):
    raw.put(message(), mailbox)
    raw.put(message(), mailbox, r"(\Seen)")
    line = next(x for x in raw.ok(f"STATUS {mailbox} (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)") if x.startswith(b"* STATUS"))
    items = parse_imap(line)[3]
    values = {items[i].upper(): int(items[i + 1]) for i in range(0, len(items), 2)}
    assert values["MESSAGES"] == 2 and values["UNSEEN"] == 1
    lines = raw.ok(f"SELECT {mailbox}")
    assert int(code(lines, "UIDNEXT")) == values["UIDNEXT"] and int(code(lines, "UIDVALIDITY")) == values["UIDVALIDITY"]
    raw.no("STATUS nonexistent-mailbox (MESSAGES)")


NAMES = ["été", "日本語", "a&b", "&", "Ωmega/ψ", "emoji 😀 box", "with space", 'quote"d', "back\\slash", "tilde~", "x(y)", "percent-free"]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_modified_utf7(raw, mailbox, name):
    encoded = f"{mailbox}/{utf7(name)}"
    quoted = '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'
    raw.ok(f"CREATE {quoted}")
    assert encoded in names(raw, f"{mailbox}/*")
    raw.put(message(), encoded.replace("\\", "\\\\").replace('"', '\\"'))
    assert b"* 1 EXISTS" in raw.ok(f"SELECT {quoted}")
    raw.ok("UNSELECT")
    raw.ok(f"DELETE {quoted}")
    if "/" in name:
        raw.command(f'DELETE "{mailbox}/{utf7(name.split("/")[0])}"')


@pytest.mark.parametrize("name", ["x&", "x&!!-", "x&AOk", "x&AGE-", "&AOk-&AOk-"])
def test_bad_modified_utf7(raw, name):
    """Not the one right spelling (RFC 3501 5.1.3): refused, so that no mailbox has two names."""
    assert raw.command(f'CREATE "{name}"')[1][:3] in (b"BAD", b"NO ")


@pytest.mark.parametrize("name", ["", "/", "a//b", "/a", "a/../b", "a\x01b"])
def test_bad_names(raw, name):
    assert raw.command(f'CREATE "{name}"')[1][:3] in (b"BAD", b"NO ")


# --------------------------------------------------------------------------------------------------- SELECT


def test_select_answers(raw, mailbox):
    raw.put(message(), mailbox, r"(\Seen)")
    raw.put(message(), mailbox)
    lines = raw.ok(f"SELECT {mailbox}")
    text = b"\n".join(lines)
    assert b"* 2 EXISTS" in lines
    assert re.search(rb"^\* \d+ RECENT$", text, re.M)
    assert re.search(rb"^\* FLAGS \(.*\\Answered.*\)$", text, re.M)
    assert "\\*" in code(lines, "PERMANENTFLAGS")
    assert code(lines, "UNSEEN") == "2"
    assert int(code(lines, "UIDVALIDITY")) > 0 and int(code(lines, "UIDNEXT")) == 3
    assert code(lines[-1:], "READ-WRITE") is not None


def test_examine_is_read_only(raw, mailbox):
    raw.put(message(), mailbox)
    lines = raw.ok(f"EXAMINE {mailbox}")
    assert code(lines[-1:], "READ-ONLY") is not None
    one(raw, "(BODY[])")
    assert flags(raw) == set()
    raw.no(r"STORE 1 +FLAGS (\Deleted)")
    raw.no("EXPUNGE")


def test_failed_select_leaves_the_mailbox(box):
    box.no("SELECT nonexistent-mailbox")
    assert box.command("FETCH 1 FLAGS")[1][:3] in (b"NO ", b"BAD")


def test_uidvalidity_of_a_name_used_again(raw):
    name = "v-" + unique_id()[:8]
    raw.ok(f"CREATE {name}")
    first = code(raw.ok(f"SELECT {name}"), "UIDVALIDITY")
    raw.ok("UNSELECT")
    raw.ok(f"DELETE {name}")
    raw.ok(f"CREATE {name}")
    second = code(raw.ok(f"SELECT {name}"), "UIDVALIDITY")
    raw.ok("UNSELECT")
    raw.ok(f"DELETE {name}")
    assert int(second) > int(first)


# ---------------------------------------------------------------------------------------------------- FETCH

ATTACHED = b"\r\n".join(
    [
        b"From: Inner <inner@one.example>",
        b"To: inner-to@one.example",
        b"Subject: inner subject",
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000",
        b"Message-ID: <inner@one.example>",
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/alternative; boundary="in"',
        b"",
        b"--in",
        b"Content-Type: text/plain",
        b"",
        b"inner plain",
        b"--in",
        b"Content-Type: text/html",
        b"",
        b"<p>inner html</p>",
        b"--in--",
        b"",
    ]
)
NESTED = (
    b"\r\n".join(
        [
            b'From: "A. Sender" <Sender@One.Example>',
            b"Sender: list@one.example",
            b"Reply-To: =?utf-8?q?R=C3=A9ply?= <reply@one.example>, second@two.example",
            b"To: Group: member@three.example, other@three.example;, mox@localhost",
            b"Cc: cc@four.example",
            b"Bcc: bcc@five.example",
            b"Subject: =?utf-8?q?caf=C3=A9?= and",
            b"\tfolded",
            b"Date: Tue, 02 Jan 2024 03:04:05 +0100",
            b"In-Reply-To: <parent@one.example>",
            b"Message-ID: <nested@one.example>",
            b"X-Number: one",
            b"X-Number: two",
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="out"',
            b"",
            b"preamble",
            b"--out",
            b'Content-Type: text/plain; charset="utf-8"; format=flowed',
            b"Content-Transfer-Encoding: quoted-printable",
            b"Content-ID: <part1@one.example>",
            b"Content-Description: the first",
            b"Content-Disposition: inline",
            b"Content-Language: en, fr",
            b"",
            b"caf=C3=A9",
            b"second line",
            b"--out",
            b'Content-Type: application/octet-stream; name="a.bin"',
            b"Content-Transfer-Encoding: base64",
            b'Content-Disposition: attachment; filename="a.bin"',
            b"",
            b"AAECAwQFBgc=",
            b"--out",
            b"Content-Type: message/rfc822",
            b"",
        ]
    )
    + b"\r\n"
    + ATTACHED
    + b"\r\n--out--\r\nepilogue\r\n"
)
HEADER = NESTED[: NESTED.index(b"\r\n\r\n") + 4]
TEXT = NESTED[len(HEADER) :]
PART1 = b"caf=C3=A9\r\nsecond line"
PART1_MIME = NESTED[NESTED.index(b'Content-Type: text/plain; charset="utf-8"') : NESTED.index(PART1)]
ATTACHED_HEADER = ATTACHED[: ATTACHED.index(b"\r\n\r\n") + 4]


@pytest.fixture
def nested(box):
    box.put(NESTED, box.mailbox)
    return box


SECTIONS = [
    ("BODY[]", NESTED),
    ("BODY[HEADER]", HEADER),
    ("BODY[TEXT]", TEXT),
    ("BODY[1]", PART1),
    ("BODY[1.MIME]", PART1_MIME),
    ("BODY[2]", b"AAECAwQFBgc="),
    ("BODY[3]", ATTACHED),
    ("BODY[3.HEADER]", ATTACHED_HEADER),
    ("BODY[3.TEXT]", ATTACHED[len(ATTACHED_HEADER) :]),
    ("BODY[3.MIME]", b"Content-Type: message/rfc822\r\n\r\n"),
    ("BODY[3.1]", b"inner plain"),
    ("BODY[3.2]", b"<p>inner html</p>"),
    ("BODY[3.1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
    ("BODY[HEADER.FIELDS (Cc)]", b"Cc: cc@four.example\r\n\r\n"),
    ("BODY[HEADER.FIELDS (x-number SUBJECT)]", b"Subject: =?utf-8?q?caf=C3=A9?= and\r\n\tfolded\r\nX-Number: one\r\nX-Number: two\r\n\r\n"),
    ("BODY[HEADER.FIELDS (Nonexistent)]", b"\r\n"),
    ("BODY[3.HEADER.FIELDS (Subject)]", b"Subject: inner subject\r\n\r\n"),
    ("BODY[3.HEADER.FIELDS.NOT (From To Subject Date Message-ID MIME-Version)]", b'Content-Type: multipart/alternative; boundary="in"\r\n\r\n'),
    ("RFC822", NESTED),
    ("RFC822.HEADER", HEADER),
    ("RFC822.TEXT", TEXT),
]


@pytest.mark.parametrize("item, expected", SECTIONS, ids=[s[0] for s in SECTIONS])
def test_fetch_section(nested, item, expected):
    if item.startswith("BODY"):
        item = item.replace("BODY[", "BODY.PEEK[")
    answer = one(nested, f"({item})")
    value = next(v for k, v in answer.items() if k.startswith(("BODY[", "RFC822")))
    assert value == expected


def test_fetch_absent_part(nested):
    for item in ("BODY.PEEK[4]", "BODY.PEEK[1.1]", "BODY.PEEK[2.HEADER]", "BODY.PEEK[3.3]"):
        lines, last = nested.command(f"FETCH 1 ({item})")
        if last.startswith(b"OK"):
            answers = fetched(lines)
            values = [v for k, v in answers.get(1, {}).items() if k.startswith("BODY[")]
            assert all(v in (None, b"") for v in values), (item, values)
        else:
            assert last.startswith((b"NO", b"BAD"))


@pytest.mark.parametrize("begin, count", [(0, 1), (0, 10), (5, 100), (0, 100_000), (100_000, 5), (len(NESTED) - 1, 5), (len(NESTED), 5)])
def test_fetch_partial(nested, begin, count):
    answer = one(nested, f"(BODY.PEEK[]<{begin}.{count}>)")
    assert (answer[f"BODY[]<{begin}>"] or b"") == NESTED[begin : begin + count]


def test_fetch_partial_of_a_part(nested):
    assert one(nested, "(BODY.PEEK[3.2]<3.5>)")["BODY[3.2]<3>"] == b"inner"
    assert nested.command("FETCH 1 (BODY.PEEK[]<0.0>)")[1].startswith(b"BAD")


def test_fetch_size_and_uid(nested):
    answer = one(nested, "(RFC822.SIZE UID)")
    assert int(answer["RFC822.SIZE"]) == len(NESTED)
    assert answer["UID"] == "1"


def address(name, mailbox, host):
    return [name, None, mailbox, host]


def test_fetch_envelope(nested):
    envelope = one(nested, "(ENVELOPE)")["ENVELOPE"]
    sender = [address(b"A. Sender", b"Sender", b"One.Example")]
    assert envelope[0] == b"Tue, 02 Jan 2024 03:04:05 +0100"
    assert re.sub(rb"\s+", b" ", envelope[1]) == b"=?utf-8?q?caf=C3=A9?= and folded"
    assert envelope[2] == sender
    assert envelope[3] == [address(None, b"list", b"one.example")]
    assert envelope[4] == [address(b"=?utf-8?q?R=C3=A9ply?=", b"reply", b"one.example"), address(None, b"second", b"two.example")]
    assert envelope[5] == [
        [None, None, b"Group", None],
        address(None, b"member", b"three.example"),
        address(None, b"other", b"three.example"),
        [None, None, None, None],
        address(None, b"mox", b"localhost"),
    ]
    assert envelope[6] == [address(None, b"cc", b"four.example")]
    assert envelope[7] == [address(None, b"bcc", b"five.example")]
    assert envelope[8] == b"<parent@one.example>"
    assert envelope[9] == b"<nested@one.example>"


def test_envelope_defaults(box):
    """RFC 3501 7.4.2: Sender and Reply-To default to From; what is absent is NIL."""
    box.put(b"From: a@one.example\r\n\r\nbody\r\n", box.mailbox)
    envelope = one(box, "(ENVELOPE)")["ENVELOPE"]
    sender = [address(None, b"a", b"one.example")]
    assert envelope == [None, None, sender, sender, sender, None, None, None, None, None]


def lower(value):
    if isinstance(value, list):
        return [lower(v) for v in value]
    return value.lower() if isinstance(value, (bytes, str)) else value


def as_number(value):
    return int(value)


def test_fetch_bodystructure(nested):
    structure = one(nested, "(BODYSTRUCTURE)")["BODYSTRUCTURE"]
    first, second, third, *rest = structure
    assert lower(first[:7]) == [b"text", b"plain", [b"charset", b"utf-8", b"format", b"flowed"], b"<part1@one.example>", b"the first", b"quoted-printable", str(len(PART1))]
    assert first[7] == "1"
    assert first[8] is None and lower(first[9]) == [b"inline", None] and lower(first[10]) in ([b"en", b"fr"],)
    assert lower(second[:7]) == [b"application", b"octet-stream", [b"name", b"a.bin"], None, None, b"base64", "12"]
    assert lower(second[8]) == [b"attachment", [b"filename", b"a.bin"]]
    assert lower(third[:2]) == [b"message", b"rfc822"]
    assert third[5].lower() == b"7bit" and third[6] == str(len(ATTACHED))
    assert third[7][1] == b"inner subject"
    inner = third[8]
    assert lower(inner[0][:2]) == [b"text", b"plain"] and inner[0][6] == "11" and inner[0][7] == "0"
    assert lower(inner[1][:2]) == [b"text", b"html"] and lower(inner[2]) == b"alternative"
    assert lower(inner[3]) == [b"boundary", b"in"]
    assert third[9] == str(ATTACHED.count(b"\r\n"))
    assert lower(rest[0]) == b"mixed" and lower(rest[1]) == [b"boundary", b"out"]


def test_fetch_body_has_no_extension_data(nested):
    structure = one(nested, "(BODY)")["BODY"]
    assert lower(structure[-1]) == b"mixed"
    assert len(structure[0]) == 8 and len(structure[1]) == 7


def test_bodystructure_defaults(box):
    """No MIME at all is text/plain; us-ascii (RFC 2045 5.2)."""
    box.put(b"Subject: x\r\n\r\none\r\ntwo\r\n", box.mailbox)
    assert lower(one(box, "(BODY)")["BODY"]) == [b"text", b"plain", [b"charset", b"us-ascii"], None, None, b"7bit", "10", "2"]
    assert one(box, "(BODY.PEEK[1])")["BODY[1]"] == b"one\r\ntwo\r\n"


BROKEN = [
    b"",
    b"\r\n",
    b"no header at all",
    b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n",
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\nnever there\r\n',
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n--x--',
    b"Content-Type: nonsense\r\n\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b'From: "unclosed <a@b>\r\nTo: ,,,<>;;:\r\nDate: never\r\n\r\nx',
    b"From: \xff\xfe\x01 <a@b>\r\n\r\nx",
    b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i) for i in range(500)),
    b"Content-Type: message/rfc822\r\n\r\n" * 500,
    b"X: y\r\n" * 20_000 + b"\r\nbody",
]


@pytest.mark.parametrize("raw_message", BROKEN, ids=range(len(BROKEN)))
def test_broken_messages_can_be_fetched(box, raw_message):
    if raw_message == b"":
        tag = box.tag()
        box.write(f"{tag} APPEND {box.mailbox} {{0+}}\r\n\r\n")
        assert box.until(tag)[1][:2] in (b"OK", b"NO", b"BA")
        return
    box.put(raw_message, box.mailbox)
    answer = one(box, "(FLAGS ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[] RFC822.SIZE)")
    assert answer["BODY[]"] == raw_message
    assert int(answer["RFC822.SIZE"]) == len(raw_message)
    assert isinstance(answer["BODYSTRUCTURE"], list) and len(answer["ENVELOPE"]) == 10


@pytest.mark.parametrize(
    "macro, items",
    [
        ("ALL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}),
        ("FAST", {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}),
        ("FULL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"}),
        ("FLAGS", {"FLAGS"}),
        ("(flags uid)", {"FLAGS", "UID"}),
    ],
)
def test_fetch_macros(nested, macro, items):
    assert set(one(nested, macro)) >= items
    assert set(one(nested, macro)) <= items | {"UID", "MODSEQ"}


def test_uid_fetch_has_the_uid(nested):
    assert one(nested, "(FLAGS)", "1", "UID FETCH")["UID"] == "1"
    assert fetched(nested.ok("UID FETCH 1000:2000 (FLAGS)")) == {}
    assert set(fetched(nested.ok("UID FETCH 1000:* (FLAGS)"))) == {1}


def test_internaldate(suite, box):
    when = '"05-Feb-1999 12:34:56 +0230"'
    tag = box.tag()
    raw_message = message()
    box.write(f"{tag} APPEND {box.mailbox} {when} {{{len(raw_message)}+}}\r\n".encode() + raw_message + b"\r\n")
    assert box.until(tag)[1].startswith(b"OK")
    got = one(box, "(INTERNALDATE)")["INTERNALDATE"].decode()
    assert re.fullmatch(r"[ 0-3]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}", got)
    expected = imaplib.Internaldate2tuple(f"INTERNALDATE {when}".encode())
    assert imaplib.Internaldate2tuple(f'INTERNALDATE "{got}"'.encode()) == expected


def test_seen_is_set_by_body_and_not_by_peek(nested):
    for item in ("BODY.PEEK[]", "ENVELOPE", "RFC822.HEADER", "BODYSTRUCTURE", "RFC822.SIZE"):
        one(nested, f"({item})")
        assert flags(nested) == set(), item
    for item in ("BODY[1]", "BODY[]", "RFC822", "RFC822.TEXT", "BODY[HEADER]", "BODY[]<0.1>"):
        nested.ok(r"STORE 1 -FLAGS (\Seen)")
        nested.ok(f"FETCH 1 ({item})")
        assert flags(nested) == {"\\seen"}, item


def test_fetch_sets(box):
    for _ in range(5):
        box.put(message(), box.mailbox)
    for numbers, expected in [("1", {1}), ("1,3", {1, 3}), ("2:4", {2, 3, 4}), ("4:2", {2, 3, 4}), ("*", {5}), ("4:*", {4, 5}), ("*:4", {4, 5}), ("1,1,1:2", {1, 2})]:
        assert set(fetched(box.ok(f"FETCH {numbers} (UID)"))) == expected, numbers
    for numbers in ("0", "6", "1:9", "", "1,", ",1", "1::2", "a", "-1", "4294967296", "1:"):
        assert box.command(f"FETCH {numbers} (UID)")[1][:3] in (b"BAD", b"NO ") or numbers in ("6", "1:9"), numbers


def test_exact_bytes(box):
    """Every byte value but NUL, CR and LF, long lines, no line end at the end: FETCH gives what APPEND took."""
    body = bytes(b for b in range(1, 256) if b not in (10, 13)) * 40
    raw_message = message(body=body + b"\r\nlast line without an end")
    box.put(raw_message, box.mailbox)
    answer = one(box, "(BODY.PEEK[] RFC822.SIZE)")
    assert answer["BODY[]"] == raw_message and int(answer["RFC822.SIZE"]) == len(raw_message)


# ---------------------------------------------------------------------------------------------------- STORE


def test_store(box, suite):
    box.put(message(), box.mailbox)
    for command, expected in [
        (r"FLAGS (\Seen \Flagged)", {"\\seen", "\\flagged"}),
        (r"+FLAGS (\Answered $Forwarded)", {"\\seen", "\\flagged", "\\answered", "$forwarded"}),
        (r"-FLAGS (\Seen)", {"\\flagged", "\\answered", "$forwarded"}),
        (r"FLAGS \Draft", {"\\draft"}),
        (r"+FLAGS (own-keyword)", {"\\draft", "own-keyword"}),
        (r"FLAGS ()", set()),
    ]:
        answer = fetched(box.ok(f"STORE 1 {command}"))
        assert {f.lower() for f in answer[1]["FLAGS"]} - {"\\recent"} == expected
        assert flags(box) == expected
    lines = box.ok(r"STORE 1 +FLAGS.SILENT (\Seen)")
    assert "FLAGS" not in fetched(lines).get(1, {})
    assert flags(box) == {"\\seen"}
    with suite.imap_raw(login=True, port="imaps") as again:
        again.ok(f"SELECT {box.mailbox}")
        assert flags(again) == {"\\seen"}


@pytest.mark.parametrize("command", [r"FLAGS (\Nonsense)", "FLAGS", "NONSENSE (x)", r"FLAGS (\Seen", r"+FLAGS.LOUD (\Seen)", "FLAGS (a{b)"])
def test_store_errors(box, command):
    box.put(message(), box.mailbox)
    assert box.command(f"STORE 1 {command}")[1][:3] in (b"BAD", b"NO ")
    assert flags(box) == set()


def test_store_seen_by_another_session(box, other):
    box.put(message(), box.mailbox)
    other.ok("NOOP")
    box.ok(r"STORE 1 +FLAGS (\Flagged)")
    assert "\\Flagged" in fetched(other.ok("NOOP"))[1]["FLAGS"]


# -------------------------------------------------------------------------------------- EXPUNGE, CLOSE, UNSELECT


def fill(box, count):
    return [box.put(message(subject=f"number {i + 1}"), box.mailbox) for i in range(count)]


def expunged(lines):
    return [int(line.split()[1]) for line in lines if line.endswith(b" EXPUNGE")]


def test_expunge(box):
    uids = fill(box, 5)
    box.ok(r"STORE 2,3,5 +FLAGS.SILENT (\Deleted)")
    numbers = expunged(box.ok("EXPUNGE"))
    left = [1, 2, 3, 4, 5]
    for number in numbers:
        del left[number - 1]
    assert left == [1, 4]
    assert search(box, "ALL", "UID SEARCH") == [uids[0], uids[3]]
    assert expunged(box.ok("EXPUNGE")) == []


def test_uid_expunge(box):
    uids = fill(box, 3)
    box.ok(r"STORE 1:3 +FLAGS.SILENT (\Deleted)")
    assert expunged(box.ok(f"UID EXPUNGE {uids[1]}")) == [2]
    assert search(box, "ALL", "UID SEARCH") == [uids[0], uids[2]]


def test_expunge_seen_by_another_session(box, other):
    fill(box, 3)
    other.ok("NOOP")
    box.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    box.ok("EXPUNGE")
    assert not expunged(other.ok("FETCH 2 FLAGS")), "RFC 3501 7.4.1: no EXPUNGE during FETCH, STORE, SEARCH"
    assert expunged(other.ok("NOOP")) == [1]
    assert set(fetched(other.ok("FETCH 1:* (UID)"))) == {1, 2}


def test_close_expunges(box):
    fill(box, 2)
    box.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    assert expunged(box.ok("CLOSE")) == []
    assert b"* 1 EXISTS" in box.ok(f"SELECT {box.mailbox}")


def test_unselect_does_not_expunge(box):
    fill(box, 2)
    box.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    box.ok("UNSELECT")
    assert box.command("FETCH 1 FLAGS")[1][:3] in (b"BAD", b"NO ")
    assert b"* 2 EXISTS" in box.ok(f"SELECT {box.mailbox}")


def test_uids_are_not_used_again(box):
    uids = fill(box, 2)
    box.ok(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    box.ok("EXPUNGE")
    assert fill(box, 1)[0] > uids[-1]


# ------------------------------------------------------------------------------------------------ COPY, MOVE


@pytest.fixture
def target(raw):
    name = "target-" + unique_id()[:8]
    raw.ok(f"CREATE {name}")
    yield name
    raw.command("UNSELECT")
    raw.ok(f"DELETE {name}")


def copyuid(lines):
    validity, source, destination = code(lines, "COPYUID").split()

    def expand(text):
        out = []
        for piece in text.split(","):
            first, _, last = piece.partition(":")
            out += range(int(first), int(last or first) + 1)
        return out

    return int(validity), expand(source), expand(destination)


def test_copy(box, target):
    fill(box, 3)
    box.ok(r"STORE 1 FLAGS (\Flagged keyword)")
    dates = {n: a["INTERNALDATE"] for n, a in fetched(box.ok("FETCH 1:* (INTERNALDATE)")).items()}
    validity, source, destination = copyuid(box.ok(f"COPY 1,3 {target}"))
    assert source == [1, 3] and len(destination) == 2
    lines = box.ok(f"SELECT {target}")
    assert int(code(lines, "UIDVALIDITY")) == validity
    assert search(box, "ALL", "UID SEARCH") == sorted(destination)
    assert flags(box, 1) == {"\\flagged", "keyword"}
    assert one(box, "(INTERNALDATE)")["INTERNALDATE"] == dates[1]
    assert b"number 3" in one(box, "(BODY.PEEK[HEADER])", 2)["BODY[HEADER]"]
    assert b"* 3 EXISTS" in box.ok(f"SELECT {box.mailbox}")


def test_copy_errors(box):
    fill(box, 1)
    assert b"[TRYCREATE]" in box.no("COPY 1 nonexistent-mailbox")
    assert box.command("UID COPY 999 INBOX")[1][:2] in (b"OK", b"NO")


def test_move(box, other, target):
    uids = fill(box, 3)
    other.ok("NOOP")
    lines = box.ok(f"MOVE 1,3 {target}")
    _, source, destination = copyuid(lines)
    assert source == [uids[0], uids[2]]
    at = next(i for i, line in enumerate(lines) if b"COPYUID" in line)
    assert all(not line.endswith(b" EXPUNGE") for line in lines[:at]), "RFC 6851 4.3: COPYUID before EXPUNGE"
    assert len(expunged(lines)) == 2
    assert search(box, "ALL", "UID SEARCH") == [uids[1]]
    assert len(expunged(other.ok("NOOP"))) == 2
    assert b"* 2 EXISTS" in box.ok(f"SELECT {target}")
    _, source, _ = copyuid(box.ok(f"UID MOVE {destination[0]} {box.mailbox}"))
    assert source == [destination[0]]
    assert b"* 2 EXISTS" in box.ok(f"SELECT {box.mailbox}")


# --------------------------------------------------------------------------------------------------- APPEND


def test_append_flags_and_uid(box):
    lines, _ = box.command("NOOP")
    uid = box.put(message(), box.mailbox, r"(\Seen own)")
    assert one(box, "(UID)")["UID"] == str(uid)
    assert flags(box) == {"\\seen", "own"}


def test_append_with_a_synchronising_literal(box):
    raw_message = message()
    tag = box.tag()
    box.write(f"{tag} APPEND {box.mailbox} {{{len(raw_message)}}}\r\n")
    assert box.line().startswith(b"+")
    box.write(raw_message + b"\r\n")
    lines, last = box.until(tag)
    assert last.startswith(b"OK [APPENDUID ")
    assert b"* 1 EXISTS" in lines, "RFC 3501 6.3.11: the selected mailbox is told at once"


def test_append_to_nothing(raw):
    raw_message = message()
    tag = raw.tag()
    raw.write(f"{tag} APPEND nonexistent-mailbox {{{len(raw_message)}+}}\r\n".encode() + raw_message + b"\r\n")
    assert b"[TRYCREATE]" in raw.until(tag)[1]
    raw.ok("NOOP")


def test_append_huge_literal_is_refused(raw):
    """A synchronising literal of 1 TB gets no `+'."""
    tag = raw.tag()
    raw.write(f"{tag} APPEND INBOX {{1099511627776}}\r\n")
    line = raw.line()
    assert line.startswith((f"{tag} NO".encode(), f"{tag} BAD".encode(), b"* BYE")), line


def test_huge_literal_in_a_command_is_refused(suite):
    for text in ("{1073741824}", "{1073741824+}", "{99999999999999999999}", "{4294967296+}"):
        with suite.imap_raw(port="imaps") as client:
            client.write(f"a LOGIN {text}\r\n")
            line = client.line()
            assert line.startswith((b"a BAD", b"a NO", b"* BYE", b"* BAD")), (text, line)


def test_append_aborted_stores_nothing(suite, mailbox):
    with suite.imap_raw(login=True, port="imaps") as client:
        client.write(f"a APPEND {mailbox} {{1000+}}\r\nonly a part")
    time.sleep(0.3)
    with suite.imap() as client:
        assert client.open(mailbox) == 0


def test_append_large(box):
    raw_message = message(body=b"0123456789abcdef" * 4 + b"\r\n") + b"0123456789abcdef\r\n" * 300_000
    box.put(raw_message, box.mailbox)
    assert one(box, "(BODY.PEEK[])")["BODY[]"] == raw_message


# --------------------------------------------------------------------------------------------------- SEARCH

SEARCH_MESSAGES = [  # header lines, body, flags, internal date
    (["From: alice@one.example", "To: bob@two.example", "Subject: Meeting on Monday", "Date: Mon, 01 Jan 2024 10:00:00 +0000"], "the quick brown fox\r\n", r"(\Seen)", "01-Jan-2024 10:00:00 +0000"),
    (["From: bob@two.example", "To: alice@one.example", "Cc: carol@three.example", "Subject: Re: Meeting", "Date: Tue, 02 Jan 2024 10:00:00 +0000"], "jumps over\r\n", r"(\Answered \Flagged)", "02-Jan-2024 10:00:00 +0000"),
    (["From: carol@three.example", "Bcc: hidden@four.example", "Subject: =?utf-8?q?caf=C3=A9?=", "Date: Wed, 03 Jan 2024 10:00:00 +0000", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"], base64.b64encode("the lazy dög".encode()).decode() + "\r\n", r"(\Deleted keyword)", "03-Jan-2024 10:00:00 +0000"),
    (["From: dave@five.example", "Subject: large", "X-Empty:", "Date: Sat, 01 Jun 2024 10:00:00 +0000"], "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 200, r"(\Draft)", "01-Jun-2024 10:00:00 +0000"),
    (["From: eve@six.example", "Subject: html", "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"', "Date: Sun, 02 Jun 2024 10:00:00 +0000"], "--b\r\nContent-Type: text/html\r\n\r\n<b>needle</b>\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhay=\r\nstack\r\n--b--\r\n", "", "02-Jun-2024 10:00:00 +0000"),
]

SEARCHES = [
    ("ALL", [1, 2, 3, 4, 5]),
    ("2:3", [2, 3]),
    ("*", [5]),
    ("UID 1,4", [1, 4]),
    ("SEEN", [1]),
    ("UNSEEN", [2, 3, 4, 5]),
    ("ANSWERED", [2]),
    ("UNANSWERED", [1, 3, 4, 5]),
    ("FLAGGED", [2]),
    ("UNFLAGGED", [1, 3, 4, 5]),
    ("DELETED", [3]),
    ("UNDELETED", [1, 2, 4, 5]),
    ("DRAFT", [4]),
    ("UNDRAFT", [1, 2, 3, 5]),
    ("KEYWORD keyword", [3]),
    ("KEYWORD KEYWORD", [3]),
    ("UNKEYWORD keyword", [1, 2, 4, 5]),
    ("FROM alice", [1]),
    ("FROM ALICE@ONE", [1]),
    ("TO alice", [2]),
    ("CC carol", [2]),
    ("BCC hidden", [3]),
    ("SUBJECT meeting", [1, 2]),
    ('SUBJECT "on monday"', [1]),
    ('HEADER Subject "re:"', [2]),
    ('HEADER X-Empty ""', [4]),
    ('HEADER X-None ""', []),
    ("BODY fox", [1]),
    ("BODY FOX", [1]),
    ("BODY Meeting", []),
    ("BODY lazy", [3]),
    ("BODY needle", [5]),
    ("BODY haystack", [5]),
    ("TEXT meeting", [1, 2]),
    ("TEXT jumps", [2]),
    ("BEFORE 2-Jan-2024", [1]),
    ("ON 2-Jan-2024", [2]),
    ("ON 02-Jan-2024", [2]),
    ("SINCE 3-Jan-2024", [3, 4, 5]),
    ("SENTBEFORE 2-Jan-2024", [1]),
    ("SENTON 3-Jan-2024", [3]),
    ('SENTSINCE "1-Jun-2024"', [4, 5]),
    ("LARGER 5000", [4]),
    ("SMALLER 5000", [1, 2, 3, 5]),
    ("NOT SEEN", [2, 3, 4, 5]),
    ("NOT NOT SEEN", [1]),
    ("OR SEEN FLAGGED", [1, 2]),
    ("OR (FROM bob) (FROM carol)", [2, 3]),
    ("OR OR SEEN FLAGGED DRAFT", [1, 2, 4]),
    ("(UNSEEN UNFLAGGED) UNDELETED", [4, 5]),
    ("NOT (OR SEEN FLAGGED)", [3, 4, 5]),
    ("FROM alice SUBJECT meeting", [1]),
    ("CHARSET UTF-8 ALL", [1, 2, 3, 4, 5]),
    ("CHARSET US-ASCII FROM alice", [1]),
    ("UID 100:200", []),
    ("UID 4:*", [4, 5]),
    ("1:3 NOT 2", [1, 3]),
]


@pytest.fixture(scope="module")
def search_box(shared_suite):
    """A mailbox with SEARCH_MESSAGES for the whole file."""
    name = "search-" + unique_id()[:8]
    with shared_suite.imap_raw(login=True, port="imaps") as client:
        client.ok(f"CREATE {name}")
        for headers, body, flag_list, when in SEARCH_MESSAGES:
            raw_message = "\r\n".join(headers).encode() + b"\r\n\r\n" + body.encode()
            tag = client.tag()
            client.write(f'{tag} APPEND {name} {flag_list} "{when}" {{{len(raw_message)}+}}\r\n'.replace("  ", " ").encode() + raw_message + b"\r\n")
            assert client.until(tag)[1].startswith(b"OK")
        client.ok(f"EXAMINE {name}")
        yield client
        client.ok("UNSELECT")
        client.ok(f"DELETE {name}")


@pytest.mark.parametrize("keys, expected", SEARCHES, ids=[s[0] for s in SEARCHES])
def test_search(search_box, keys, expected):
    assert search(search_box, keys) == expected
    assert search(search_box, keys, "UID SEARCH") == expected


@pytest.mark.parametrize("key, text, expected", [("SUBJECT", "café", [3]), ("BODY", "dög", [3]), ("TEXT", "CAFÉ", [3]), ("BODY", "nowhere-é", [])])
def test_search_utf8(search_box, key, text, expected):
    data = text.encode()
    for command in ("SEARCH", "UID SEARCH"):
        tag = search_box.tag()
        search_box.write(f"{tag} {command} CHARSET UTF-8 {key} {{{len(data)}+}}\r\n".encode() + data + b"\r\n")
        lines, last = search_box.until(tag)
        assert last.startswith(b"OK"), last
        assert sorted(int(n) for line in lines if line.startswith(b"* SEARCH") for n in line.split()[2:]) == expected


def test_search_bad_charset(search_box):
    assert b"[BADCHARSET" in search_box.no("SEARCH CHARSET X-NONSENSE ALL")


@pytest.mark.parametrize("keys", ["", "NONSENSE", "FROM", "OR SEEN", "NOT", "(SEEN", "BEFORE 32-Jan-2024", "ON yesterday", "LARGER x", "0", "UID x", "()"])
def test_search_errors(search_box, keys):
    search_box.bad(f"SEARCH {keys}")


def test_search_deep_nesting(search_box):
    """Bounded: answered or refused, and the process lives."""
    for keys in ("NOT " * 5000 + "SEEN", "(" * 5000 + "SEEN" + ")" * 5000):
        lines, last = search_box.command(f"SEARCH {keys}")
        assert last[:3] in (b"OK ", b"BAD", b"NO ")


# ---------------------------------------------------------------------------------------------------- IDLE


def test_idle_between_two_sessions(box, other):
    box.write("i1 IDLE\r\n")
    assert box.line().startswith(b"+")
    other.put(message(), box.mailbox)
    assert box.next_with(b"EXISTS") == b"* 1 EXISTS"
    other.ok("NOOP")
    other.ok(r"STORE 1 +FLAGS (\Flagged)")
    assert b"\\Flagged" in box.next_with(b"FETCH")
    other.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    other.ok("EXPUNGE")
    assert box.next_with(b"EXPUNGE") == b"* 1 EXPUNGE"
    box.write("DONE\r\n")
    assert box.until("i1")[1].startswith(b"OK")


def test_idle_tells_of_smtp_delivery(suite):
    with suite.imap_raw(login=True) as client:
        client.ok("SELECT INBOX")
        client.write("i IDLE\r\n")
        assert client.line().startswith(b"+")
        begin = time.monotonic()
        suite.deliver(message())
        client.next_with(b"EXISTS")
        assert time.monotonic() - begin < 5 * mox.SLOW
        client.write("DONE\r\n")
        assert client.until("i")[1].startswith(b"OK")


def test_idle_ended_by_something_else(box):
    box.write("i IDLE\r\n")
    assert box.line().startswith(b"+")
    box.write("j NOOP\r\n")
    try:
        lines, last = box.until("i")
        assert last.startswith(b"BAD")
    except EOFError:
        pass


def test_delivery_while_selected(suite):
    with suite.imap_raw(login=True) as client:
        lines = client.ok("SELECT INBOX")
        count = int(next(line for line in lines if line.endswith(b" EXISTS")).split()[1])
        suite.deliver(message())
        seen = wait_for(lambda: [line for line in client.ok("NOOP") if line.endswith(b" EXISTS")], 5, "EXISTS after a delivery")
        assert int(seen[-1].split()[1]) > count


# ---------------------------------------------------------------------------------------------- bad commands


@pytest.mark.parametrize(
    "command",
    ["NONSENSE", "", "FETCH", "FETCH 1", "FETCH 1 (", "FETCH 1 (NONSENSE)", "FETCH 1 (BODY[)", "FETCH 1 (BODY[X])", "FETCH 1 (BODY[1..2])"]
    + ["FETCH 1 (BODY[HEADER.FIELDS])", "FETCH 1 (BODY[HEADER.FIELDS ()])", "FETCH 1 (BODY[0])", "FETCH 1 (BODY[]<1>)", "FETCH 1 ()", "STORE 1"]
    + ["SELECT", "SELECT a b c", 'SELECT "unclosed', "STATUS INBOX", "STATUS INBOX (NONSENSE)", "STATUS INBOX ()", "LIST", 'LIST ""', "UID", "UID NONSENSE 1"]
    + ["UID EXPUNGE", "COPY 1", "APPEND", "RENAME a", "LOGIN", "AUTHENTICATE", "NOOP trailing", "CHECK x", "SEARCH", "ID", "ENABLE"],
)
def test_bad_command(box, command):
    box.put(message(), box.mailbox)
    lines, last = box.command(command)
    # APPEND and AUTHENTICATE in a logged-in session may be refused for their state.
    assert last.startswith(b"BAD") or (last.startswith(b"NO") and command in ("LOGIN", "AUTHENTICATE")), (command, last)
    box.ok("NOOP")


def test_bad_tags(suite):
    with suite.imap_raw() as client:
        client.ok("NOOP")
        for line in ("* NOOP", "+ NOOP", "NOOP", "a", "(a) NOOP", "a\x00b NOOP"):
            client.write(line + "\r\n")
            answer = client.line()
            assert b"BAD" in answer or b"BYE" in answer, (line, answer)
            if b"BYE" in answer:
                return


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"EHLO x\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n"], ids=["http", "smtp", "tls"])
def test_another_protocol_first(suite, first):
    with suite.imap_raw() as client:
        client.write(first)
        line = client.line()
        assert b"BYE" in line or b"BAD" in line, line


def test_endless_line(suite):
    with suite.imap_raw() as client:
        before = sum(mox.proc_memory(pid) for pid in suite.pids("imapd"))
        try:
            for _ in range(20):
                client.write(b"x" * (1 << 20))
            client.write(b"\r\n")
            line = client.line()
            assert b"BAD" in line or b"BYE" in line
        except (ConnectionError, EOFError):
            pass
        grown = sum(mox.proc_memory(pid) for pid in suite.pids("imapd")) - before
        assert mox.SANITIZED or grown < 4096, f"imapd grew by {grown} KiB"


def test_pipelined_commands(box):
    fill(box, 3)
    box.write(b"".join(b"p%d FETCH 1:3 (FLAGS UID)\r\n" % i for i in range(1000)))
    answers = 0
    for i in range(1000):
        lines, last = box.until(f"p{i}")
        assert last.startswith(b"OK"), last
        answers += len([line for line in lines if b" FETCH " in line])
    assert answers == 3000


def test_a_reader_that_stops_does_not_stop_others(box, suite):
    """A session that asks for much and reads nothing: another session of the same account goes on."""
    raw_message = message(body=b"z" * 70 + b"\r\n") + b"z" * 70 + b"\r\n"
    box.put(raw_message + (b"w" * 70 + b"\r\n") * 30_000, box.mailbox)
    with suite.imap_raw(login=True, port="imaps") as lazy:
        lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.ok(f"SELECT {box.mailbox}")
        lazy.write(b"".join(b"z%d FETCH 1 (BODY.PEEK[])\r\n" % i for i in range(50)))
        time.sleep(0.3)
        begin = time.monotonic()
        box.ok(r"STORE 1 +FLAGS (\Flagged)")
        box.put(message(), box.mailbox)
        suite.deliver(message())
        assert time.monotonic() - begin < 5 * mox.SLOW


def test_many_sessions_of_one_account(suite, mailbox):
    sessions = [suite.imap_raw(login=True, port="imaps") for _ in range(10)]
    try:
        for client in sessions:
            client.ok(f"SELECT {mailbox}")
        uids = [client.put(message(), mailbox) for client in sessions]
        assert sorted(set(uids)) == uids
        for client in sessions:
            client.ok("NOOP")
            assert search(client, "ALL", "UID SEARCH") == uids
    finally:
        for client in sessions:
            client.socket.close()


def test_message_text_is_on_disk_once(suite):
    """A copy and a move cost no second file content (hard links or references); bytes stay equal."""
    raw_message = message(body=hashlib.sha256(b"x").hexdigest() + "\r\n")
    with suite.imap_raw(login=True) as client:
        first, second = "d-" + unique_id()[:8], "d-" + unique_id()[:8]
        client.ok(f"CREATE {first}")
        client.ok(f"CREATE {second}")
        client.put(raw_message, first)
        client.ok(f"SELECT {first}")
        client.ok(f"COPY 1 {second}")
        client.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
        client.ok("EXPUNGE")
        client.ok(f"SELECT {second}")
        assert one(client, "(BODY.PEEK[])")["BODY[]"] == raw_message, "the copy died with the original"
        client.ok("UNSELECT")
        client.ok(f"DELETE {first}")
        client.ok(f"DELETE {second}")
