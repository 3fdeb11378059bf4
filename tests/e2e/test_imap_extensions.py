"""Extensions of IMAP over the whole suite: what depends on the storage, on TLS, on restarts. The forms of answers are tested
in tests/unit/imapd."""

import base64
import re
import zlib

import pytest
from mox import CONFIG, PASSWORD, PASSWORDS, USER, fetched, message, start_configured

pytestmark = pytest.mark.imap


def code(lines, name):
    for line in lines:
        if found := re.search(rb"\[" + name.encode() + rb" ([^\]]*)\]", line):
            return found.group(1).decode()
    return None


def esearch(lines):
    line = next(line for line in lines if line.startswith(b"* ESEARCH"))
    return line.split(b")", 1)[1].decode().strip()


def test_announced(raw):
    announced = next(line for line in raw.ok("CAPABILITY") if line.startswith(b"* CAPABILITY")).decode().split()
    for name in (
        "IMAP4rev2 UTF8=ACCEPT CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN PARTIAL UIDONLY SORT SORT=DISPLAY ESORT THREAD=REFERENCES "
        "THREAD=ORDEREDSUBJECT NOTIFY CONTEXT=SEARCH CONTEXT=SORT MULTISEARCH UIDBATCHES SAVELIMIT=1000 SEARCH=FUZZY FILTERS LANGUAGE I18NLEVEL=1 UNAUTHENTICATE BINARY MULTIAPPEND CATENATE REPLACE SAVEDATE OBJECTID PREVIEW QUOTA METADATA LIST-METADATA COMPRESS=DEFLATE ACL RIGHTS=kxte LIST-MYRIGHTS"
    ).split():
        assert name in announced, name
    assert any(name.startswith("APPENDLIMIT=") for name in announced)


def test_modseqs_over_a_restart(own_suite):
    """What is told of changes is as true after all processes were new (RFC 7162 3.2.5)."""
    with own_suite.imap_raw(login=True) as client:
        client.ok("CREATE box")
        for _ in range(6):
            client.put(message(), "box")
        client.ok("ENABLE QRESYNC")
        lines = client.ok("SELECT box")
        validity, modseq = code(lines, "UIDVALIDITY"), code(lines, "HIGHESTMODSEQ")
        mailbox_id = code(lines, "MAILBOXID")
        ids = [a["EMAILID"] for a in fetched(client.ok("FETCH 1:* (EMAILID)")).values()]
        client.ok(r"STORE 2 +FLAGS.SILENT (\Flagged)")
        client.ok(r"STORE 4,5 +FLAGS.SILENT (\Deleted)")
        later = code(client.ok("EXPUNGE"), "HIGHESTMODSEQ")
        client.ok('SETMETADATA box (/private/comment "kept")')
    assert int(later) > int(modseq)
    own_suite.terminate()
    own_suite.run()
    with own_suite.imap_raw(login=True) as client:
        client.ok("ENABLE QRESYNC")
        lines = client.ok(f"SELECT box (QRESYNC ({validity} {modseq} 1:6))")
        assert b"* VANISHED (EARLIER) 4:5" in lines
        changed = fetched(lines)
        assert [answer["UID"] for answer in changed.values()] == ["2"]
        assert code(lines, "MAILBOXID") == mailbox_id
        assert int(code(lines, "HIGHESTMODSEQ")) >= int(later)
        assert [a["EMAILID"] for a in fetched(client.ok("FETCH 1:* (EMAILID)")).values()] == ids[:3] + ids[5:]
        assert b'* METADATA box (/private/comment "kept")' in client.ok("GETMETADATA box /private/comment")
        client.ok(r"STORE 1 +FLAGS.SILENT (\Seen)")
        assert int(fetched(client.ok("FETCH 1 (MODSEQ)"))[1]["MODSEQ"][0]) > int(later)


def test_several_messages_at_once(box):
    first, second = message(subject="first"), message(subject="second", body="x" * 100000 + "\r\n")
    tag = box.tag()
    box.write(f"{tag} APPEND {box.mailbox} (\\Seen) {{{len(first)}+}}\r\n".encode() + first + f" {{{len(second)}+}}\r\n".encode() + second + b"\r\n")
    assert re.match(rb"OK \[APPENDUID \d+ 1:2\]", box.until(tag)[1])
    answers = fetched(box.ok("FETCH 1:2 (FLAGS BODY.PEEK[])"))
    assert answers[1]["BODY[]"] == first and answers[2]["BODY[]"] == second


def test_replaced(box):
    uid = box.put(message(), box.mailbox)
    new = message(subject="better")
    tag = box.tag()
    box.write(f"{tag} UID REPLACE {uid} {box.mailbox} (\\Draft) {{{len(new)}+}}\r\n".encode() + new + b"\r\n")
    lines, last = box.until(tag)
    assert last.startswith(b"OK") and b"* 1 EXPUNGE" in lines
    assert fetched(box.ok("FETCH 1:* (BODY.PEEK[])"))[1]["BODY[]"] == new


def test_put_together(box):
    old = message(subject="old", body="kept\r\n")
    uid = box.put(old, box.mailbox)
    validity = code(box.ok(f"SELECT {box.mailbox}"), "UIDVALIDITY")
    tag = box.tag()
    url = f"/{box.mailbox};UIDVALIDITY={validity}/;UID={uid}/;SECTION=TEXT"
    box.write(f'{tag} APPEND {box.mailbox} CATENATE (TEXT {{16+}}\r\nSubject: new\r\n\r\n URL "{url}")\r\n')
    assert box.until(tag)[1].startswith(b"OK [APPENDUID")
    assert fetched(box.ok("FETCH 2 (BODY.PEEK[])"))[2]["BODY[]"] == b"Subject: new\r\n\r\nkept\r\n"
    lines, last = box.command(f'APPEND {box.mailbox} CATENATE (URL "/{box.mailbox}/;UID=99")')
    assert last.startswith(b"NO [BADURL ")


def test_searching_and_sorting(box):
    for subject, sender in (("Beta", "b@x.example"), ("Re: alpha", "a@x.example"), ("Alpha", "c@x.example")):
        box.put(message(subject=subject, sender=sender), box.mailbox)
    assert esearch(box.ok("UID SEARCH RETURN (MIN MAX COUNT) SUBJECT alpha")) == "UID MIN 2 MAX 3 COUNT 2"
    box.ok("SEARCH RETURN (SAVE) SUBJECT alpha")
    assert set(fetched(box.ok("FETCH $ (UID)"))) == {2, 3}
    assert b"* SORT 2 1 3" in box.ok("SORT (FROM) UTF-8 ALL")
    assert b"* THREAD (1)(3 2)" in box.ok("THREAD REFERENCES UTF-8 ALL") or b"* THREAD (3 2)(1)" in box.ok("THREAD REFERENCES UTF-8 ALL")
    assert re.search(rb'SAVEDATE "[ \d]\d-', b"".join(box.ok("FETCH 1 (SAVEDATE)")))
    assert b"* SEARCH 1 2 3" in box.ok("SEARCH YOUNGER 86400 SAVEDATESUPPORTED")
    assert fetched(box.ok("FETCH 1 (PREVIEW)"))[1]["PREVIEW"] == b"Hello."


def test_text_is_compared_in_all_scripts(box):
    """By i;unicode-casemap (RFC 5255 4.2), over the index and over what is read."""
    encoded = lambda text: "=?utf-8?b?" + base64.b64encode(text.encode()).decode() + "?="  # noqa: E731
    for subject in ("Żółw", "Re: z\u0307o\u0301łw", "ὈΔΥΣΣΕΎΣ", "Հայերեն"):
        box.put(message(subject=encoded(subject)), box.mailbox)
    for text, found in (("ŻÓŁW", "1 2"), ("żółw", "1 2"), ("οδυσσευς", ""), ("ὀδυσσεύς", "3"), ("ՀԱՅԵՐԵՆ", "4")):
        for key in ("SUBJECT", "TEXT"):
            size = len(text.encode())
            lines = box.ok(f"SEARCH CHARSET UTF-8 {key} {{{size}+}}\r\n{text}")
            assert f"* SEARCH {found}".strip().encode() in lines, (text, key)
    assert b"* THREAD (1 2)(3)(4)" in box.ok("THREAD ORDEREDSUBJECT UTF-8 ALL")
    assert b"* SORT 1 2 3 4" in box.ok("SORT (SUBJECT) UTF-8 ALL")


def test_copies_share_their_identifier(box):
    box.put(message(), box.mailbox)
    box.ok(f"COPY 1 {box.mailbox}")
    answers = fetched(box.ok("FETCH 1:2 (EMAILID)"))
    assert answers[1]["EMAILID"] == answers[2]["EMAILID"]


def test_rev2(suite, mailbox):
    with suite.imap_raw(login=True, port="imaps") as client:
        client.ok("ENABLE IMAP4rev2")
        client.ok(f'CREATE "{mailbox}/été"')
        client.put(message(), f"{mailbox}/été")
        lines = client.ok(f'SELECT "{mailbox}/été"')
        assert f'* LIST () "/" "{mailbox}/été"'.encode() in lines
        assert not any(b"RECENT" in line for line in lines)
        assert esearch(client.ok("SEARCH ALL")) == "ALL 1"
        client.ok("UNSELECT")
        client.ok(f'DELETE "{mailbox}/été"')


def test_quota(raw):
    lines = raw.ok("GETQUOTAROOT INBOX")
    assert b'* QUOTAROOT INBOX ""' in lines
    assert any(line.startswith(b'* QUOTA "" (') for line in lines)


def test_compressed(suite, mailbox):
    """Under TLS, with a message that is larger than all buffers."""
    large = message(body="The same line again and again.\r\n" * 20000)
    with suite.imap_raw(login=True, port="imaps") as client:
        client.put(large, mailbox)
        client.ok("COMPRESS DEFLATE")
        out, into = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        received = 0
        plain_write, plain_fill = client.write, client.socket.recv

        def write(data):
            data = data if isinstance(data, bytes) else data.encode()
            plain_write(out.compress(data) + out.flush(zlib.Z_SYNC_FLUSH))

        def fill():
            nonlocal received
            data = plain_fill(65536)
            assert data
            received += len(data)
            client.buffer += into.decompress(data)

        client.write, client.fill = write, fill
        client.ok(f"SELECT {mailbox}")
        assert fetched(client.ok("FETCH 1 (BODY.PEEK[])"))[1]["BODY[]"] == large
        assert received < len(large) / 10
        client.ok("LOGOUT")


def test_told_unasked(own_suite):
    """Deliveries by SMTP and what other sessions do, between commands (RFC 5465)."""
    with own_suite.imap_raw(login=True) as client, own_suite.imap_raw(login=True) as other:
        client.ok("SELECT INBOX")
        client.ok("NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge MailboxName SubscriptionChange MailboxMetadataChange))")
        own_suite.deliver(message(subject="told"))
        assert client.line() == b"* 1 EXISTS"
        assert b"Subject: told" in client.line()
        other.ok("SELECT INBOX")
        other.ok(r"STORE 1 +FLAGS (\Flagged)")
        assert client.line() == rb"* 1 FETCH (UID 1 FLAGS (\Flagged))"
        other.ok("CREATE made")
        assert client.line() == rb'* LIST (\Subscribed \HasNoChildren) "/" made'
        other.ok("COPY 1 made")
        assert client.line().startswith(b"* STATUS made (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ")
        other.ok('SETMETADATA made (/private/comment "x")')
        assert client.line() == b"* METADATA made /private/comment"
        other.ok("RENAME made renamed")
        # storaged subscribes the new name and keeps the old one
        assert client.line() == rb'* LIST (\Subscribed \HasNoChildren) "/" renamed ("OLDNAME" (made))'
        other.ok("MOVE 1 renamed")
        lines = [client.line(), client.line()]
        assert b"* 1 EXPUNGE" in lines
        assert any(line.startswith(b"* STATUS renamed (MESSAGES 2 UIDNEXT 3 ") for line in lines)
        other.ok("DELETE renamed")
        assert client.line() == rb'* LIST (\NonExistent \Subscribed \HasNoChildren) "/" renamed'
        client.ok("CREATE own")
        assert client.ok("NOOP")[:-1] == []


def test_kept_up_to_date(own_suite):
    """A search in one session, changes in another and by SMTP (RFC 5267)."""
    with own_suite.imap_raw(login=True) as client, own_suite.imap_raw(login=True) as other:
        client.ok("SELECT INBOX")
        other.ok("SELECT INBOX")
        client.write("s UID SORT RETURN (UPDATE COUNT) (SUBJECT) UTF-8 UNSEEN\r\n")
        assert client.until("s")[0] == [b'* ESEARCH (TAG "s") UID COUNT 0']
        client.write("i IDLE\r\n")
        assert client.line().startswith(b"+")
        for subject, told in (("b", b"1 1"), ("a", b"1 2"), ("c", b"3 3")):
            own_suite.deliver(message(subject=subject))
            assert client.line().endswith(b" EXISTS")
            assert client.line() == b'* ESEARCH (TAG "s") UID ADDTO (' + told + b")"
        other.ok("NOOP")
        other.ok(r"UID STORE 1 +FLAGS (\Seen)")
        assert b"FETCH" in client.line()
        assert client.line() == b'* ESEARCH (TAG "s") UID REMOVEFROM (2 1)'
        other.ok(r"UID STORE 3 +FLAGS (\Deleted)")
        assert b"FETCH" in client.line()
        other.ok("EXPUNGE")
        assert client.line() == b'* ESEARCH (TAG "s") UID REMOVEFROM (2 3)'
        assert client.line() == b"* 3 EXPUNGE"
        client.write("DONE\r\n")
        client.until("i")
        client.ok('CANCELUPDATE "s"')


def test_several_mailboxes_searched(own_suite):
    with own_suite.imap_raw(login=True) as client:
        for name in ("a", "a/b", "a/b/c", "d"):
            client.ok(f"CREATE {name}")
            client.put(message(subject=f"in {name}"), name)
        lines = client.ok('ESEARCH IN (subtree a mailboxes d) SUBJECT "in a"')
        assert [line.split(b" MAILBOX ")[1].split(b" ")[0] for line in lines[:-1]] == [b"a", b"a/b", b"a/b/c"]
        assert all(line.endswith(b" UID ALL 1") for line in lines[:-1])
        assert len(client.ok("ESEARCH IN (subtree-one a) RETURN (COUNT) ALL")) == 3


@pytest.mark.parametrize("port", ["imap", "imaps"])
def test_logged_in_again(suite, port):
    """One connection, several logins, pipelined and not; TLS stays, everything else is forgotten (RFC 8437)."""
    login = f'LOGIN "{USER}" "{PASSWORD}"'
    with suite.imap_raw(login=True, port=port) as client:
        assert b"UNAUTHENTICATE" in client.ok("CAPABILITY")[0]
        client.ok("ENABLE CONDSTORE")
        client.ok("SELECT INBOX")
        client.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))")
        client.ok("UNAUTHENTICATE")
        assert client.no("SELECT INBOX")
        assert b"AUTH=PLAIN" in client.ok("CAPABILITY")[0]
        client.ok(login)
        client.bad("FETCH 1 (UID)")
        # all in one packet, for many rounds
        client.write("".join(f"u{i} UNAUTHENTICATE\r\nl{i} {login}\r\ns{i} SELECT INBOX\r\nn{i} NOOP\r\n" for i in range(20)))
        for i in range(20):
            for command in "ulsn":
                assert client.until(f"{command}{i}")[1].startswith(b"OK"), (command, i)
        client.bad("UNAUTHENTICATE x")
        large = message(body="x" * 300000 + "\r\n")
        client.write(f"u UNAUTHENTICATE\r\nl {login}\r\na APPEND INBOX {{{len(large)}+}}\r\n".encode() + large + b"\r\n")
        for command in "ula":
            assert client.until(command)[1].startswith(b"OK"), command
        client.ok("LOGOUT")


def test_compression_ends_with_the_login(suite):
    with suite.imap_raw(login=True, port="imaps") as client:
        client.ok("COMPRESS DEFLATE")
        out, into = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        client.write(out.compress(b"u UNAUTHENTICATE\r\n") + out.flush(zlib.Z_SYNC_FLUSH))
        answer = b""
        while b"\r\n" not in answer:
            answer += into.decompress(client.socket.recv(1000))
        assert answer.startswith(b"u OK")
        client.ok("NOOP")
        client.ok(f'LOGIN "{USER}" "{PASSWORD}"')
        client.ok("COMPRESS DEFLATE")


def test_searches_kept_under_a_name(own_suite):
    """They outlive sessions and processes (RFC 5466)."""
    with own_suite.imap_raw(login=True) as client:
        client.ok('SETMETADATA "" (/private/filters/values/mine "OR FUZZY SUBJECT \\"two words\\" FLAGGED")')
        client.no('SETMETADATA "" (/private/filters/values/broken "OR SEEN")')
        client.put(message(subject="words, two of them"))
        client.put(message(subject="other"))
        client.put(message(subject="third"), flags="(\\Flagged)")
    own_suite.terminate()
    own_suite.run()
    with own_suite.imap_raw(login=True) as client:
        client.ok("SELECT INBOX")
        assert b"* SEARCH 1 3" in client.ok("SEARCH FILTER mine")
        assert client.no("SEARCH FILTER broken").startswith(b"NO [UNDEFINED-FILTER broken]")
        assert b"* LANGUAGE (EN)" in client.ok("LANGUAGE en-GB")
        assert client.ok("UIDBATCHES 500")[0].endswith(b" 3:1")


def thread_of(client, selected):
    client.ok(f"SELECT {selected}")
    return [a["THREADID"][0] for a in fetched(client.ok("FETCH 1:* (THREADID)")).values()]


def test_threads(own_suite):
    """Over mailboxes, moves, restarts, a backup and a restored account (RFC 8474 5.2)."""

    def mail(own, subject, references=""):
        field = f"References: {references}\r\n" if references else ""
        return f"Message-ID: <{own}@x>\r\nSubject: {subject}\r\n{field}\r\ntext\r\n".encode()

    with own_suite.imap_raw(login=True) as client:
        client.put(mail("a", "Lunch"))
        client.put(mail("b", "Re: Lunch", "<a@x>"), "Sent")
        client.put(mail("c", "Dinner", "<a@x>"))
        own_suite.deliver(mail("d", "RE: lunch", "<a@x> <b@x>"))
        first, other, last = thread_of(client, "INBOX")
        assert first == last != other
        assert thread_of(client, "Sent") == [first]
        name = first
        client.ok("SELECT INBOX")
        assert client.ok(f"SEARCH THREADID {name}")[0] == b"* SEARCH 1 3"
        assert client.ok(f"UID SEARCH NOT THREADID {name}")[0] == b"* SEARCH 2"
        client.ok("MOVE 3 Archive")
        client.ok("COPY 1 Archive")
        assert thread_of(client, "Archive") == [first, first]
        lines = client.ok("ESEARCH IN (mailboxes (INBOX Archive Sent)) RETURN (COUNT) THREADID " + name)
        assert sorted(line.split(b"COUNT ")[1] for line in lines if line.startswith(b"* ESEARCH")) == [b"1", b"1", b"2"]
        client.put(mail("e", "Re: Lunch"))  # refers to nothing
    own_suite.kill()
    own_suite.run()
    with own_suite.imap_raw(login=True) as client:
        assert thread_of(client, "INBOX") == [first, other, first]
    backup = own_suite.directory + "/backup"
    own_suite.control("backup", backup)
    account = own_suite.control_json("account", "list")["accounts"][0]["name"]
    own_suite.control("restore", "account", backup, account)
    own_suite.control("verify")
    with own_suite.imap_raw(login=True) as client:
        assert thread_of(client, "INBOX") == [first, other, first]
        client.put(mail("f", "Re: Lunch", "<d@x>"))
        assert thread_of(client, "INBOX") == [first, other, first, first]
        client.ok("DELETE Sent")
        assert thread_of(client, "Archive") == [first, first]


def test_message_limit(start_suite):
    """A mailbox with more messages than one command works on, as a client that knows MESSAGELIMIT goes through it (RFC
    9738 3.1)."""
    config = CONFIG.replace("max-message-size", "message-limit 1000; max-message-size")
    suite = start_configured(start_suite, config=config)
    with suite.imap_raw() as client:
        assert b" MESSAGELIMIT=1000" in b"".join(client.ok("CAPABILITY"))
    with suite.imap_raw("imaps") as client:
        client.ok(f"LOGIN alice@test.example {PASSWORDS['alice']}")
        announced = b"".join(client.ok("CAPABILITY"))
        assert b" MESSAGELIMIT=1000" in announced and b"SAVELIMIT" not in announced
        for box in ("big", "to"):
            client.ok(f"CREATE {box}")
        for count in (1000, 200):
            client.ok("APPEND big" + " {4+}\r\na: b" * count)
        assert client.no("APPEND big" + " {4+}\r\na: b" * 1001).startswith(b"NO [MESSAGELIMIT 1000]")
        client.ok("SELECT big")
        lines = client.ok("FETCH 1:* (UID FLAGS)")
        assert code(lines, "MESSAGELIMIT") == "1000 201"
        assert list(fetched(lines)) == list(range(1200, 200, -1))
        assert code(client.ok("UID FETCH 1:200 (FLAGS)"), "MESSAGELIMIT") is None
        assert code(client.ok("UID SEARCH UNDELETED"), "MESSAGELIMIT") == "1000 201"
        assert code(client.ok("UID SEARCH UIDBEFORE 201 UNDELETED"), "MESSAGELIMIT") is None
        assert code(client.ok(r"UID STORE 1:* +FLAGS.SILENT (\Deleted)"), "MESSAGELIMIT") == "1000 201"
        assert client.no("UID COPY 1:* to").startswith(b"NO [MESSAGELIMIT 1000 201]")
        assert client.no("SORT (DATE) UTF-8 ALL").startswith(b"NO [MESSAGELIMIT 1000]")
        client.ok(r"UID STORE 1:200 +FLAGS.SILENT (\Deleted)")
        assert code(client.ok("UID EXPUNGE 1:*"), "MESSAGELIMIT") == "1000 201"
        assert code(client.ok("UID MOVE 1:* to"), "MESSAGELIMIT") is None
        assert b"* STATUS to (MESSAGES 200)" in client.ok("STATUS to (MESSAGES)")
