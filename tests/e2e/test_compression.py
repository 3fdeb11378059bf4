"""Compression at rest: readers, exports, backups and restores see the messages as they came."""

import glob
import mailbox
import os

import mox
import pytest


def files(top):
    return {p: os.stat(p).st_size for p in glob.glob(f"{top}/accounts/mox/msg/*/*")}


def letter(subject, lines):
    body = "".join(f"line {i} of a long letter\r\n" for i in range(lines))
    return mox.message(subject=subject, body=body)


def wait_compressed(suite, size):
    """Until the files of the account take less than that."""
    data = os.path.join(suite.data, "data")
    mox.wait_for(lambda: sum(files(data).values()) < size, 30, "large messages to be compressed")


def test_large_message_through_its_life(start_suite, tmp_path):
    suite = start_suite()
    raws = [letter("large", 12000), letter("small", 20)]
    for raw in raws:
        suite.deliver(raw)
    wait_compressed(suite, 200_000)
    stored = [mox.strip_trace(raw) for raw in suite.messages()]
    assert stored == [mox.strip_trace(raw) for raw in raws]
    with suite.imap() as imap:
        imap.open()
        whole = imap.ok(imap.fetch("1", "(BODY.PEEK[])"))[0][1]
        at = 100
        for start, size in ((0, 100), (at, 5000), (131_000, 1000), (len(whole) - 10, 100)):
            part = imap.ok(imap.fetch("1", f"(BODY.PEEK[]<{start}.{size}>)"))[0][1]
            assert part == whole[start:start + size]
        assert b"11999" in imap.ok(imap.fetch("1", "(BODY.PEEK[TEXT])"))[0][1]
        assert imap.ok(imap.search(None, "BODY", '"line 11999 of"')) == [b"1"]
        imap.ok(imap.copy("1", "Archive"))

    out = str(tmp_path / "out")
    suite.control("export", "maildir", "mox", out)
    exported = [m.as_bytes() for m in mailbox.Maildir(os.path.join(out, "INBOX"), create=False)]
    assert any(b"line 11999 of" in m for m in exported)

    backup = str(tmp_path / "backup")
    assert suite.control_json("backup", backup)["lost"] == 0
    assert suite.control_json("verify", "-b", backup)["problems"] == 0
    with suite.imap() as imap:
        imap.open()
        imap.ok(imap.store("1", "+FLAGS", "\\Deleted"))
        imap.ok(imap.expunge())
    suite.control("restore", "messages", backup, "mox", "INBOX", "1")
    assert suite.control_json("verify")["problems"] == 0
    found = [raw for raw in suite.messages() if b"Subject: large" in raw]
    assert [mox.strip_trace(raw) for raw in found] == [mox.strip_trace(raws[0])]
    suite.control("restore", "account", backup, "mox")
    assert [mox.strip_trace(raw) for raw in suite.messages()] == [mox.strip_trace(raw) for raw in raws]
    assert suite.messages("Archive")[0] == whole
    assert suite.control_json("verify")["problems"] == 0


def test_damage(start_suite):
    """One message that is damaged on disk keeps nobody from the others, and ends no connection."""
    suite = start_suite()
    for raw in (letter("first", 20), letter("damaged", 12000), letter("last", 20)):
        suite.deliver(raw)
    wait_compressed(suite, 200_000)
    path = max(files(os.path.join(suite.data, "data")).items(), key=lambda item: item[1])[0]
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        f.seek(size - 300)  # in the last frame
        f.write(b"damaged")
    with suite.imap() as imap:
        imap.open()
        kind, data = imap.fetch("1:*", "(BODY[])")
        assert kind == "NO" and b"[CORRUPTION]" in data[0]
        for text, kind in (("(BODY.PEEK[])", "NO"), ("(BODY.PEEK[HEADER.FIELDS (SUBJECT)])", "OK"),
                           ("(BODY.PEEK[]<0.1000>)", "OK"), ("(BINARY.PEEK[1])", "NO"), ("(FLAGS ENVELOPE)", "OK")):
            assert imap.fetch("2", text)[0] == kind, text
        assert b"\\Seen" in imap.ok(imap.fetch("2", "(FLAGS)"))[0]
        assert b"Subject: last" in imap.ok(imap.fetch("3", "(BODY.PEEK[])"))[0][1]
        assert imap.search(None, "BODY", '"no such word"') == ("OK", [b""])
    with pytest.raises(mox.ControlError, match="message . in file . is damaged"):
        suite.control("verify")
    with pytest.raises(mox.ControlError, match='"lost": 1'):
        suite.control_json("reindex", "mox")


def test_turned_off_and_on(start_suite):
    alice = "alice@test.example"
    suite = mox.start_configured(start_suite, extra="storage { compress no }")
    pattern = os.path.join(suite.data, "data", "accounts", "alice", "msg", "*", "*")

    def stored():
        return sum(os.path.getsize(path) for path in glob.glob(pattern))

    raw = letter("small", 1000)
    suite.deliver(raw, alice)
    before = stored()
    assert before > len(raw)
    path = os.path.join(suite.data, "mox.conf")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace("compress no", "compress yes"))
    suite.control("reload")
    suite.deliver(raw, alice)
    assert stored() - before < len(raw) / 4
    both = suite.messages(user=alice, password=mox.PASSWORDS["alice"])
    assert [mox.strip_trace(message) for message in both] == [mox.strip_trace(raw)] * 2
