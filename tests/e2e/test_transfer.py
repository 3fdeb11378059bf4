"""moxctl import and export: from a live suite's point of view."""

import mailbox
import os
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile

import mox
import pytest


def text(number, body="Hello.", lines=1):
    return (
        f"From: a@b.example\nTo: c@d.example\nSubject: message {number}\nMessage-ID: <{number}@b.example>\n"
        f"Date: Thu, 01 Jan 2015 00:00:00 +0000\n\n" + f"{body}\n" * lines
    )


def put(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(content)


@pytest.fixture
def maildir(tmp_path):
    top = str(tmp_path / "Maildir")
    put(f"{top}/cur/1400000000.M1.host:2,FSa", text(1))
    put(f"{top}/new/1400000001.M2.host", text(2, lines=20000))
    put(f"{top}/dovecot-keywords", "0 urgent\n")
    put(f"{top}/.Sent.2024/cur/1400000002.M3.host:2,RS", text(3))
    put(f"{top}/.Entw&APw-rfe/new/1400000003.M4.host", text(4))
    return top


def subjects(suite, name):
    with suite.imap() as imap:
        imap.open(name, readonly=True)
        return sorted(
            line.split("Subject: ")[1].split("\r")[0]
            for line in (part[1].decode() for part in imap.ok(imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER])")) if isinstance(part, tuple))
        )


def flags(suite, name):
    with suite.imap() as imap:
        imap.open(name, readonly=True)
        return imap.ok(imap.uid("FETCH", "1:*", "(FLAGS INTERNALDATE)"))


def test_maildir_twice(start_suite, maildir):
    suite = start_suite()
    first = suite.control_json("import", "maildir", "mox", maildir)
    assert (first["imported"], first["known"], first["not_taken"]) == (4, 0, 0)
    assert subjects(suite, "INBOX") == ["message 1", "message 2"]
    assert subjects(suite, "Sent/2024") == ["message 3"]
    assert subjects(suite, "Entw&APw-rfe") == ["message 4"]
    got = flags(suite, "INBOX")[0].decode()
    assert "\\Seen" in got and "\\Flagged" in got and "urgent" in got and "13-May-2014" in got
    put(f"{maildir}/cur/1400000009.M9.host:2,", text(9))
    again = suite.control_json("import", "maildir", "mox", maildir)
    assert (again["imported"], again["known"]) == (1, 4)
    forced = suite.control_json("import", "-m", "Forced", "--again", "maildir", "mox", maildir)
    assert forced["imported"] == 5


def test_what_is_not_taken_is_named(start_suite, maildir):
    suite = start_suite()
    put(f"{maildir}/notes.txt", "no mail")
    put(f"{maildir}/cur/1400000005.M5.host:2,", "")
    os.symlink("/etc/passwd", f"{maildir}/cur/1400000006.M6.host:2,")
    with pytest.raises(mox.ControlError) as failed:
        suite.control("import", "maildir", "mox", maildir)
    for name in ("notes.txt", "1400000005.M5", "1400000006.M6"):
        assert name in str(failed.value)
    assert len(subjects(suite, "INBOX")) == 2


def test_archives_and_mbox(start_suite, maildir, tmp_path):
    suite = start_suite()
    tgz = str(tmp_path / "mail.tgz")
    os.makedirs(f"{maildir}/.Void/cur")
    with tarfile.open(tgz, "w:gz") as archive:
        archive.add(maildir, "home/alice/Maildir")
    assert suite.control_json("import", "-m", "Tar", "tgz", "mox", tgz)["imported"] == 4
    assert subjects(suite, "Tar") == ["message 1", "message 2"]
    assert subjects(suite, "Tar/Sent/2024") == ["message 3"]
    with suite.imap() as imap:
        assert imap.open("Tar/Void") == 0
    archive = str(tmp_path / "mail.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("Takeout/Inbox.mbox", "From a@b Thu Jan  1 00:00:10 1970\n" + text(5))
        z.writestr("Takeout/Letters/one.eml", text(6))
    assert suite.control_json("import", "-m", "Zip", "zip", "mox", archive)["imported"] == 2
    assert subjects(suite, "Zip/Inbox") == ["message 5"]
    assert subjects(suite, "Zip/Letters") == ["message 6"]
    # An archive that is cut off fails, and what it had before is there.
    with open(tgz, "rb") as f:
        whole = f.read()
    with open(tgz, "wb") as f:
        f.write(whole[: len(whole) // 2])
    with pytest.raises(mox.ControlError, match="archive"):
        suite.control("import", "-m", "Cut", "tgz", "mox", tgz)


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_round_trip(start_suite, maildir, tmp_path, kind):
    suite = start_suite()
    suite.control("import", "maildir", "mox", maildir)
    suite.deliver(mox.message(subject="delivered"))
    with suite.imap() as imap:
        imap.ok(imap.create("Empty"))
    out = str(tmp_path / "out")
    exported = suite.control_json("export", kind, "mox", out)
    assert exported["exported"] == 5 and exported["not_taken"] == 0
    if kind == "maildir":
        assert len(mailbox.Maildir(f"{out}/INBOX", create=False)) == 3
        assert suite.control_json("export", kind, "mox", out)["there"] == 5
    else:
        assert len(mailbox.mbox(f"{out}/INBOX.mbox", create=False)) == 3
    back = suite.control_json("import", "-m", "Back", kind, "mox", out)
    assert back["imported"] == 5
    assert subjects(suite, "Back/INBOX") == subjects(suite, "INBOX")
    with suite.imap() as imap:
        assert imap.open("Back/Empty") == 0

    def plain(name):
        return [line.split(b"(", 1)[1].split(b"UID")[0] for line in flags(suite, name)]

    assert [sorted(line.split()) for line in plain("INBOX")] == [sorted(line.split()) for line in plain("Back/INBOX")]
    only = suite.control_json("export", "-m", "Back/Sent", kind, "mox", str(tmp_path / "only"))
    assert only["exported"] == 1


def test_an_open_session_sees_it(start_suite, maildir):
    suite = start_suite()
    with suite.imap_raw(login=True) as imap:
        imap.ok("SELECT INBOX")
        imap.write(b"i IDLE\r\n")
        imap.next_with(b"+")
        suite.control("import", "maildir", "mox", maildir)
        imap.next_with(b"2 EXISTS")


def test_killed_anywhere_it_goes_on(start_suite, tmp_path):
    """moxctl or storaged is killed in the middle; the next import adds what is missing, nothing twice."""
    suite = start_suite()
    top = str(tmp_path / "md")
    for i in range(3000):
        put(f"{top}/cur/{1400000000 + i}.M{i}.host:2,S", text(i, lines=20))
    command = [os.path.join(mox.BUILD, "moxctl", "moxctl"), "-d", suite.data, "import", "maildir", "mox", top]
    for victim in ("moxctl", "storaged", "moxctl"):
        importer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.25 * mox.SLOW)
        if victim == "moxctl":
            importer.kill()
        else:
            os.kill(suite.pids("storaged")[0], signal.SIGKILL)
        importer.wait(30)
        suite.wait_ready()

    def finish():
        try:
            return suite.control_json("import", "maildir", "mox", top)
        except mox.ControlError:
            return None

    done = mox.wait_for(finish, 30, "an import that ends")
    assert done["imported"] + done["known"] == 3000
    assert subjects(suite, "INBOX") == sorted(f"message {i}" for i in range(3000))


def test_errors(start_suite, maildir, tmp_path):
    suite = start_suite()
    for arguments, expected in (
        (("import", "maildir", "nobody", maildir), "no account nobody"),
        (("import", "maildir", "mox", str(tmp_path / "missing")), "No such file"),
        (("import", "zip", "mox", maildir), "directory"),
        (("import", "tar", "mox", maildir), "unknown format"),
        (("export", "-m", "Nowhere", "mbox", "mox", str(tmp_path / "x")), "no such mailbox"),
    ):
        with pytest.raises(mox.ControlError, match=expected):
            suite.control(*arguments)
    shutil.rmtree(tmp_path / "x", ignore_errors=True)


def test_the_importer_is_confined(start_suite, tmp_path):
    """While it reads: no way to new privileges, a filter of system calls, no capability, one channel and its source."""
    suite = start_suite()
    fifo = str(tmp_path / "mbox")
    os.mkfifo(fifo)
    command = [os.path.join(mox.BUILD, "moxctl", "moxctl"), "-d", suite.data, "import", "mbox", "mox", fifo]
    importer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with open(fifo, "w") as writer:
        writer.write("From a@b Thu Jan  1 00:00:10 1970\n" + text(1))
        writer.flush()
        status = mox.wait_for(
            lambda: (s := mox.proc_status(importer.pid)).get("Seccomp") == "2" and s, 10, "the filter of system calls"
        )
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
        links = [os.readlink(f"/proc/{importer.pid}/fd/{n}") for n in os.listdir(f"/proc/{importer.pid}/fd")]
        assert len([link for link in links if link.startswith("socket:")]) == 1
        assert [link for link in links if link == fifo] == [fifo]
    out, errors = importer.communicate(timeout=20)
    assert importer.returncode == 0, errors
    assert "1 messages imported" in out
