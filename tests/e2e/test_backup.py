"""moxctl backup, verify, restore, undelete: on a suite that is in use."""

import glob
import os
import threading

import mox
import pytest


def fill(suite, count, start=0):
    with suite.smtp() as smtp:
        for i in range(start, start + count):
            smtp.send(mox.message(subject=f"message {i}", body="x\r\n" * (10 + 40000 * (i % 5 == 0))), mox.USER)


def subjects(suite, mailbox="INBOX"):
    return sorted(raw.split(b"Subject: ")[1].split(b"\r")[0].decode() for raw in suite.messages(mailbox))


def message_files(top):
    return {os.path.relpath(p, top): os.stat(p) for p in glob.glob(f"{top}/accounts/mox/msg/*/*")}


def test_backup_twice_and_verify(start_suite, tmp_path):
    suite = start_suite()
    fill(suite, 10)
    backup = str(tmp_path / "backup")
    first = suite.control_json("backup", backup)
    # Two large ones, and a file for all the small ones.
    assert first == {"messages": 10, "added": 3, "removed": 0, "lost": 0}
    # The same file system: hard links.
    live = message_files(os.path.join(suite.data, "data"))
    assert {k: v.st_size for k, v in live.items()} == {k: v.st_size for k, v in message_files(backup).items()}
    if os.stat(backup).st_dev == os.stat(suite.data).st_dev:
        assert all(v.st_nlink == 2 for v in message_files(backup).values())
    assert suite.control_json("verify", "-b", backup)["problems"] == 0
    assert suite.control_json("verify") == {"messages": 10, "problems": 0, "moved_aside": 0, "repaired": 0}
    with suite.imap() as imap:
        imap.open()
        imap.ok(imap.store("1:3", "+FLAGS", "\\Deleted"))
        imap.ok(imap.expunge())
    fill(suite, 2, 10)
    second = suite.control_json("backup", backup)
    # What is linked is not added to: the small one went to a new file, and is where the first backup cannot see it.
    assert second == {"messages": 9, "added": 2, "removed": 1, "lost": 0}
    assert suite.control_json("verify", "-b", backup) == {"messages": 9, "problems": 0, "moved_aside": 0, "repaired": 0}


def test_backup_under_load(start_suite, tmp_path):
    suite = start_suite()
    fill(suite, 20)
    stop = threading.Event()

    def load():
        number = 100
        while not stop.is_set():
            fill(suite, 5, number)
            with suite.imap() as imap:
                imap.open()
                imap.ok(imap.store("1:2", "+FLAGS", "\\Deleted"))
                imap.ok(imap.expunge())
            number += 5

    worker = threading.Thread(target=load)
    worker.start()
    try:
        backup = str(tmp_path / "backup")
        for _ in range(4):
            assert suite.control_json("backup", backup)["lost"] == 0
            assert suite.control_json("verify", "-b", backup)["problems"] == 0
    finally:
        stop.set()
        worker.join()
    assert suite.control_json("verify")["problems"] == 0


def test_damage_is_found(start_suite, tmp_path):
    suite = start_suite()
    fill(suite, 3)
    backup = str(tmp_path / "backup")
    suite.control("backup", backup)
    victim = sorted(glob.glob(f"{backup}/accounts/mox/msg/*/*"))[0]
    os.unlink(victim)
    with open(f"{backup}/accounts/mox/msg/0/4711", "w") as f:
        f.write("stray")
    with pytest.raises(mox.ControlError, match="(?s)missing.*4711 belongs to no message"):
        suite.control("verify", "-b", backup)
    with pytest.raises(mox.ControlError, match="missing in the backup"):
        suite.control("restore", "account", backup, "mox")
    with pytest.raises(mox.ControlError, match="is not a backup"):
        suite.control("verify", "-b", str(tmp_path))
    live = os.path.join(suite.data, "data", "accounts", "mox")
    pack = sorted(glob.glob(f"{live}/msg/*/*"))[1]
    place = 100  # in its first record
    with open(pack, "r+b") as f:
        f.seek(place)
        byte = f.read(1)
        f.seek(place)
        f.write(bytes([byte[0] ^ 1]))
    with pytest.raises(mox.ControlError, match="in pack 3 is damaged"):
        suite.control("verify")
    with pytest.raises(mox.ControlError, match="message file 3 is damaged at byte"):
        suite.control("verify", "-b", backup)
    with open(pack, "r+b") as f:
        f.seek(place)
        f.write(byte)
    with open(f"{live}/msg/0/4711", "w") as f:
        f.write("stray")
    with pytest.raises(mox.ControlError, match="4711 belongs to no message"):
        suite.control("verify")
    assert suite.control_json("verify", "--fix")["moved_aside"] == 1
    assert suite.control_json("verify")["problems"] == 0
    assert len(os.listdir(f"{live}/stray")) == 1
    # A second backup mends the first.
    suite.control("backup", backup)
    assert suite.control_json("verify", "-b", backup)["problems"] == 0


def test_restore_account_and_messages(start_suite, tmp_path):
    suite = start_suite()
    fill(suite, 4)
    backup = str(tmp_path / "backup")
    suite.control("backup", backup)
    with suite.imap() as imap:
        imap.open()
        before = int(imap.response("UIDVALIDITY")[1][0])
        imap.ok(imap.store("1:*", "+FLAGS", "\\Deleted"))
        imap.ok(imap.expunge())
    fill(suite, 1, 50)
    one = suite.control_json("restore", "messages", backup, "mox", "INBOX", "2")
    assert one == {"restored": 1, "known": 0, "not_taken": 0}
    assert subjects(suite) == ["message 1", "message 50"]
    rest = suite.control_json("restore", "messages", "-m", "Back", backup, "mox", "INBOX")
    assert rest["restored"] == 4
    assert subjects(suite, "Back") == [f"message {i}" for i in range(4)]
    assert suite.control_json("restore", "messages", "-m", "Back", backup, "mox", "INBOX")["known"] == 4
    with pytest.raises(mox.ControlError, match="no message 99"):
        suite.control("restore", "messages", backup, "mox", "INBOX", "99")
    suite.control("restore", "account", backup, "mox")
    assert subjects(suite) == [f"message {i}" for i in range(4)]
    with suite.imap() as imap:
        imap.open()
        assert int(imap.response("UIDVALIDITY")[1][0]) > before
    assert suite.control_json("restore", "all", backup) == {"messages": 4, "left_out": 0}
    assert suite.control_json("verify")["problems"] == 0
    fill(suite, 1, 60)
    assert len(subjects(suite)) == 5


def test_backup_of_an_account_that_is_another_one_now(start_suite, tmp_path):
    suite = start_suite()
    address = "bob@localhost"
    backup = str(tmp_path / "backup")

    def make_bob(first):
        suite.control("account", "add", "bob", address, stdin="password of bob\n")
        for i in range(first, first + 3):
            suite.deliver(mox.message(subject=f"message {i}", to=address), address)

    make_bob(0)
    suite.control("backup", backup)
    suite.control("account", "remove", "bob")
    make_bob(10)
    # Its numbers are those of the first one.
    said = suite.control("backup", backup, raw_output=True).stderr
    assert f"account bob was removed and made anew, or restored, since the last backup: that one was moved to {backup}/replaced/1" in said
    assert suite.control_json("verify", "-b", backup)["problems"] == 0
    assert suite.control_json("verify", "-b", f"{backup}/replaced/1") == {
        "messages": 3, "problems": 0, "moved_aside": 0, "repaired": 0}
    bob = {"user": address, "password": "password of bob"}
    suite.control("restore", "account", f"{backup}/replaced/1", "bob")
    assert [raw.split(b"Subject: ")[1].split(b"\r")[0] for raw in suite.messages(**bob)] == [b"message 0", b"message 1", b"message 2"]
    # A restored one is another one as well; without a change the same backup goes on.
    assert "replaced/2" in suite.control("backup", backup, raw_output=True).stderr
    assert suite.control_json("backup", backup)["added"] == 0
    assert sorted(os.listdir(f"{backup}/replaced")) == ["1", "2"]
    assert suite.control_json("verify", "-b", backup)["problems"] == 0
    # What was interrupted goes on.
    os.makedirs(f"{backup}/replaced/account.bob.part/accounts")
    os.rename(f"{backup}/accounts/bob", f"{backup}/replaced/account.bob.part/accounts/bob")
    assert "replaced/3" in suite.control("backup", backup, raw_output=True).stderr
    assert suite.control_json("verify", "-b", f"{backup}/replaced/3")["problems"] == 0
    assert suite.control_json("verify", "-b", backup)["problems"] == 0
    suite.control("restore", "account", f"{backup}/replaced/2", "bob")
    assert len(suite.messages(**bob)) == 3


def test_undelete(start_suite):
    suite = start_suite()
    address, password = "bob@localhost", "password of bob"
    suite.control("account", "add", "bob", address, stdin=f"{password}\n")
    for i in range(3):
        suite.deliver(mox.message(subject=f"message {i}", to=address), address)
    suite.control("account", "remove", "bob")
    removed = suite.control_json("account", "removed")["removed"]
    assert len(removed) == 1 and removed[0].startswith("bob.")
    suite.control("account", "add", "bob", address, stdin="another password\n")
    assert suite.messages(user=address, password="another password") == []
    suite.control("account", "undelete", "bob", removed[0])
    assert len(suite.messages(user=address, password=password)) == 3
    assert suite.control_json("verify")["problems"] == 0
    with pytest.raises(mox.ControlError, match="no such account"):
        suite.control("account", "undelete", "mox", "bob.1")
