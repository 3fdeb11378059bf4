"""Real clients, as a person would use them: swaks, curl, mbsync, offlineimap, imapfilter, mutt, smtp-source; and that
bytes stay bytes."""

import os
import re
import shutil
import subprocess
import threading

import mox
import pytest
from mox import PASSWORD, USER, message, strip_trace, unique_id, wait_for

pytestmark = pytest.mark.clients


def run(*command, stdin=None, env=None, seconds=60, check=True, cwd=None):
    done = subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=seconds * mox.SLOW,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        check=False,
        cwd=cwd,
    )
    if check:
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done


# ---------------------------------------------------------------------------------------------------- swaks


def swaks(suite, need, tmp_path, port, *options):
    test_id = unique_id()
    raw = message(test_id=test_id, body=".dot\r\n..\r\nbytes: \xe9\r\n".encode("utf-8"))
    path = tmp_path / "message"
    # swaks puts a line end behind what the file holds.
    path.write_bytes(raw.removesuffix(b"\r\n").replace(b"\r\n", b"\n"))
    run(need("swaks"), "--server", mox.HOST, "--port", str(suite.ports[port]), "--from", USER, "--to", USER, "--data", f"@{path}", *options)
    assert strip_trace(suite.find_one(test_id)) == raw


def test_swaks(suite, need, tmp_path):
    swaks(suite, need, tmp_path, "smtp")


def test_swaks_starttls(suite, need, tmp_path):
    swaks(suite, need, tmp_path, "smtp", "--tls")


def test_swaks_pipelined(suite, need, tmp_path):
    swaks(suite, need, tmp_path, "smtp", "--pipeline")


@pytest.mark.parametrize("how", ["PLAIN", "LOGIN"])
def test_swaks_submission(suite, need, tmp_path, how):
    swaks(suite, need, tmp_path, "submission", "--tls", "--auth", how, "--auth-user", USER, "--auth-password", PASSWORD)


def test_swaks_submissions(suite, need, tmp_path):
    swaks(suite, need, tmp_path, "submissions", "--tls-on-connect", "--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD)


# ----------------------------------------------------------------------------------------------------- curl


def curl(suite, need, url, *options, port="imaps"):
    url = url.replace("HOST", f"{mox.HOST}:{suite.ports[port]}")
    return run(need("curl"), "-sS", "--insecure", "--user", f"{USER}:{PASSWORD}", url, *options).stdout


def test_curl_reads(suite, need, mailbox):
    raw = message(body=b"line\r\n" * 2000)
    with suite.imap() as client:
        uid = client.put(raw, mailbox)
    assert curl(suite, need, f"imaps://HOST/{mailbox};UID={uid}") == raw
    assert mailbox.encode() in curl(suite, need, "imaps://HOST/")
    assert re.search(rb"\* SEARCH 1\b", curl(suite, need, f"imaps://HOST/{mailbox}?ALL"))


def test_curl_starttls(suite, need, mailbox):
    with suite.imap() as client:
        uid = client.put(message(subject="by-starttls"), mailbox)
    assert b"by-starttls" in curl(suite, need, f"imap://HOST/{mailbox};UID={uid}", "--ssl-reqd", port="imap")


def test_curl_appends(suite, need, mailbox, tmp_path):
    raw = message(body=b"uploaded\r\n")
    path = tmp_path / "message"
    path.write_bytes(raw)
    curl(suite, need, f"imaps://HOST/{mailbox}", "-T", str(path))
    assert suite.messages(mailbox) == [raw]


def test_curl_sends(suite, need, tmp_path):
    test_id = unique_id()
    path = tmp_path / "message"
    path.write_bytes(message(test_id=test_id))
    curl(suite, need, "smtps://HOST", "--mail-from", USER, "--mail-rcpt", USER, "-T", str(path), port="submissions")
    suite.find_one(test_id)


def test_curl_health(suite, need):
    done = run(need("curl"), "-sS", "--fail", f"http://{mox.HOST}:{suite.ports['metrics']}/healthz")
    assert done.stdout


# --------------------------------------------------------------------------------------------------- mbsync

MBSYNCRC = """
IMAPAccount mox
Host {host}
Port {port}
User {user}
Pass {password}
{ssl} IMAPS
CertificateFile {certificate}
AuthMechs LOGIN

IMAPStore far
Account mox

MaildirStore near
Path {maildir}/
Inbox {maildir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {mailbox}
Create Both
Expunge Both
Sync All
SyncState *
"""


def server_certificate(suite, path):
    import ssl

    path.write_text(ssl.get_server_certificate((mox.HOST, suite.ports["imaps"]), timeout=mox.TIMEOUT))
    return path


@pytest.fixture
def mbsync(suite, need, mailbox, tmp_path):
    maildir = tmp_path / "mail"
    maildir.mkdir()
    version = run(need("mbsync"), "--version").stdout.decode()
    new = tuple(map(int, re.search(r"(\d+)\.(\d+)", version).groups())) >= (1, 5)
    rc = tmp_path / "mbsyncrc"
    rc.write_text(
        MBSYNCRC.format(
            host="localhost",
            port=suite.ports["imaps"],
            user=USER,
            password=PASSWORD,
            ssl="TLSType" if new else "SSLType",
            certificate=server_certificate(suite, tmp_path / "cert.pem"),
            maildir=maildir,
            mailbox=mailbox,
        )
    )

    def sync():
        run(need("mbsync"), "-c", str(rc), "all", env={"HOME": str(tmp_path)})
        return maildir / mailbox

    return sync


def local_messages(folder):
    return {p: p.read_bytes() for sub in ("cur", "new") for p in sorted((folder / sub).iterdir())}


def without_tuid(data):
    return re.sub(rb"^X-TUID: .*?\r?\n", b"", data, flags=re.M)


def test_mbsync_both_ways(suite, mailbox, mbsync):
    raws = [message(subject=f"far {i}", body=b"x" * i + b"\r\n") for i in range(20)]
    with suite.imap() as client:
        for raw in raws:
            client.put(raw, mailbox)
    folder = mbsync()
    got = sorted(without_tuid(data) for data in local_messages(folder).values())  # X-TUID is mbsync's own
    assert got == sorted(raw.replace(b"\r\n", b"\n") for raw in raws), "what mbsync has is not what was sent"

    # A new message here; a flag here; a removal here.
    new = message(subject="near")
    (folder / "new" / "1700000000.1.here").write_bytes(new.replace(b"\r\n", b"\n"))
    old = sorted((folder / "cur").iterdir()) + sorted((folder / "new").iterdir())
    old = [p for p in old if "here" not in p.name]
    flagged_id = mox.test_id_of(old[0].read_bytes().replace(b"\n", b"\r\n"))
    removed_id = mox.test_id_of(old[1].read_bytes().replace(b"\n", b"\r\n"))
    base = old[0].name.split(":2,")[0]
    old[0].rename(folder / "cur" / f"{base}:2,FS")
    old[1].unlink()
    mbsync()
    with suite.imap_raw(login=True) as client:
        client.ok(f"SELECT {mailbox}")
        lines = client.ok("FETCH 1:* (FLAGS BODY.PEEK[])")
    answers = mox.fetched(lines).values()
    by_id = {mox.test_id_of(a["BODY[]"]): a for a in answers}
    assert len(by_id) == 20
    assert removed_id not in by_id
    assert {"\\Flagged", "\\Seen"} <= set(by_id[flagged_id]["FLAGS"])
    assert without_tuid(by_id[mox.test_id_of(new)]["BODY[]"]) == new

    # A flag and a removal there.
    with suite.imap_raw(login=True) as client:
        client.ok(f"SELECT {mailbox}")
        client.ok(r"STORE 3 +FLAGS.SILENT (\Answered)")
        client.ok(r"STORE 5 +FLAGS.SILENT (\Deleted)")
        client.ok("EXPUNGE")
    mbsync()
    names = [p.name for p in local_messages(folder)]
    assert len(names) == 19
    assert sum("R" in name.partition(":2,")[2] for name in names) == 1
    before = local_messages(folder)
    mbsync()
    assert local_messages(folder) == before, "a sync without changes changes something"


# ---------------------------------------------------------------------------------------------- offlineimap

OFFLINEIMAPRC = """
[general]
accounts = mox
metadata = {directory}/metadata
socktimeout = 60

[Account mox]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {directory}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
{login}
ssl = yes
sslcacertfile = {certificate}
folderfilter = lambda name: name == "{mailbox}"
"""


@pytest.fixture
def offlineimap(suite, need, mailbox, tmp_path):
    rc = tmp_path / "offlineimaprc"
    rc.write_text(
        OFFLINEIMAPRC.format(
            directory=tmp_path,
            port=suite.ports["imaps"],
            login=f"remoteuser = {USER}\nremotepass = {PASSWORD}",
            certificate=server_certificate(suite, tmp_path / "cert.pem"),
            mailbox=mailbox,
        )
    )

    def sync():
        run(need("offlineimap"), "-c", str(rc), "-o", "-u", "basic", env={"HOME": str(tmp_path)})
        return tmp_path / "mail" / mailbox

    return sync


def without_offlineimap(data):
    return re.sub(rb"^X-OfflineIMAP: .*?\r?\n", b"", data, flags=re.M)


def test_offlineimap_both_ways(suite, mailbox, offlineimap):
    raws = [message(subject=f"far {i}", body=b"x" * i + b"\r\n") for i in range(10)]
    with suite.imap() as client:
        for raw in raws:
            client.put(raw, mailbox)
    folder = offlineimap()
    got = sorted(local_messages(folder).values())
    assert got == sorted(raw.replace(b"\r\n", b"\n") for raw in raws), "what offlineimap has is not what was sent"

    # A new message here; flags here; a removal here. A flag and a removal there, of others.
    new = message(subject="near")
    (folder / "new" / "1700000000.1.here").write_bytes(new.replace(b"\r\n", b"\n"))
    ours = {mox.test_id_of(data.replace(b"\n", b"\r\n")): path for path, data in local_messages(folder).items()}
    ids = [mox.test_id_of(raw) for raw in raws]
    flagged, removed = ours[ids[0]], ours[ids[1]]
    flagged.rename(folder / "cur" / (flagged.name.partition(":2,")[0] + ":2,FS"))
    removed.unlink()
    with suite.imap_raw(login=True) as client:
        client.ok(f"SELECT {mailbox}")
        client.ok(r"STORE 3 +FLAGS.SILENT (\Answered)")
        client.ok(r"STORE 4 +FLAGS.SILENT (\Deleted)")
        client.ok("EXPUNGE")
    offlineimap()
    with suite.imap_raw(login=True) as client:
        client.ok(f"SELECT {mailbox}")
        lines = client.ok("FETCH 1:* (FLAGS BODY.PEEK[])")
    by_id = {mox.test_id_of(answer["BODY[]"]): answer for answer in mox.fetched(lines).values()}
    assert set(by_id) == set(ids) - {ids[1], ids[3]} | {mox.test_id_of(new)}
    assert {"\\Flagged", "\\Seen"} <= set(by_id[ids[0]]["FLAGS"])
    assert without_offlineimap(by_id[mox.test_id_of(new)]["BODY[]"]) == new
    here = {mox.test_id_of(data.replace(b"\n", b"\r\n")): path.name for path, data in local_messages(folder).items()}
    assert set(here) == set(by_id)
    assert "R" in here[ids[2]].partition(":2,")[2]
    before = local_messages(folder)
    offlineimap()
    assert local_messages(folder) == before, "a sync without changes changes something"


# ----------------------------------------------------------------------------------------------- imapfilter


def test_imapfilter_moves_and_flags(suite, need, mailbox, tmp_path):
    with suite.imap() as client:
        client.ok(client.create(f"{mailbox}/lists"))
        for subject in ("[list] one", "private", "[list] two", "urgent"):
            client.put(message(subject=subject), mailbox)
    certificate = server_certificate(suite, tmp_path / "cert.pem")
    script = tmp_path / "config.lua"
    script.write_text(
        f"""
options.timeout = 60
options.certificates = false
options.create = false
account = IMAP {{ server = "localhost", port = {suite.ports["imaps"]}, username = "{USER}", password = "{PASSWORD}", ssl = "auto" }}
account["{mailbox}"]:contain_subject("[list]"):move_messages(account["{mailbox}/lists"])
account["{mailbox}"]:match_subject("^urgent"):mark_flagged()
account["{mailbox}"]:contain_subject("private"):mark_seen()
"""
    )
    for _ in range(2):  # the second time finds nothing to do
        run(need("imapfilter"), "-c", str(script), "-t", str(certificate), "-v", env={"HOME": str(tmp_path)})
        with suite.imap_raw(login=True) as client:
            client.ok(f"SELECT {mailbox}")
            kept = mox.fetched(client.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")).values()
            client.ok(f"SELECT {mailbox}/lists")
            moved = mox.fetched(client.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")).values()
        texts = lambda answers: [answer["BODY[HEADER.FIELDS (SUBJECT)]"].strip() for answer in answers]  # noqa: E731
        assert texts(moved) == [b"Subject: [list] one", b"Subject: [list] two"]
        assert texts(kept) == [b"Subject: private", b"Subject: urgent"]
        assert [("\\Seen" in answer["FLAGS"], "\\Flagged" in answer["FLAGS"]) for answer in kept] == [(True, False), (False, True)]
    with suite.imap() as client:
        client.ok(client.delete(f"{mailbox}/lists"))


# ----------------------------------------------------------------------------------------------------- mutt


@pytest.fixture
def mutt(suite, need, tmp_path):
    rc = tmp_path / "muttrc"
    certificate = server_certificate(suite, tmp_path / "cert.pem")
    rc.write_text(
        f"""
set imap_user="{USER}" imap_pass="{PASSWORD}"
set smtp_url="smtps://{USER.replace("@", "%40")}@localhost:{suite.ports["submissions"]}/" smtp_pass="{PASSWORD}"
set smtp_authenticators="plain"
set certificate_file="{certificate}" ssl_verify_host=no
set from="{USER}" realname="" use_envelope_from=no use_domain=no copy=no
set folder="{tmp_path}" record="" header_cache="" message_cachedir="" tmpdir="{tmp_path}" timeout=1 sleep_time=0 wait_key=no
set quit=yes delete=no confirmappend=no confirmcreate=no auto_tag=no mark_old=no mail_check=1
"""
    )

    def start(*arguments, stdin=b"", seconds=60):
        return run(need("mutt"), "-n", "-F", str(rc), *arguments, stdin=stdin, env={"HOME": str(tmp_path), "TERM": "linux"}, seconds=seconds)

    return start


def test_mutt_sends(suite, mutt):
    subject = f"from-mutt-{unique_id()}"
    mutt("-s", subject, "-e", f"my_hdr X-Test-Id: {subject}", "--", USER, stdin=b"Sent by mutt.\n")
    raw = suite.find_one(subject)
    assert b"Sent by mutt.\r\n" in raw


def test_mutt_reads(suite, need, mailbox, mutt, tmp_path):
    """mutt opens the mailbox over IMAPS and saves its messages as a local mbox."""
    raws = [message(subject=f"for mutt {i}") for i in range(3)]
    with suite.imap() as client:
        for raw in raws:
            client.put(raw, mailbox)
    saved = tmp_path / "saved"
    url = f"imaps://{USER.replace('@', '%40')}@localhost:{suite.ports['imaps']}/{mailbox}"
    push = f'push "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{saved}<enter><quit>"'
    # mutt needs a terminal, and one that has a size: script lends it one.
    command = f"stty rows 24 columns 80; mutt -n -F '{tmp_path}/muttrc' -f '{url}' -e 'set mbox_type=mbox' -e '{push}'"
    run("timeout", "30", need("script"), "-qec", command, "/dev/null", env={"HOME": str(tmp_path), "TERM": "linux"}, stdin=b"")
    text = wait_for(lambda: saved.exists() and saved.read_bytes(), 5, "the file that mutt writes")
    for raw in raws:
        assert mox.test_id_of(raw).encode() in text
    assert text.count(b"\nSubject: for mutt ") == 3


def test_mutt_comes_back(suite, need, mailbox, mutt, tmp_path):
    """With a header cache mutt asks for what changed since it left (CONDSTORE, QRESYNC): removals, flags, new mail."""
    raws = [message(subject=f"for mutt {i}") for i in range(6)]
    with suite.imap() as client:
        for raw in raws[:5]:
            client.put(raw, mailbox)
    url = f"imaps://{USER.replace('@', '%40')}@localhost:{suite.ports['imaps']}/{mailbox}"
    settings = f'set header_cache="{tmp_path}/cache" imap_condstore=yes imap_qresync=yes mbox_type=mbox'

    def look(push):
        command = f"stty rows 24 columns 80; mutt -d 3 -n -F '{tmp_path}/muttrc' -e '{settings}' -f '{url}' -e 'push \"{push}\"'"
        run("timeout", "30", need("script"), "-qec", command, "/dev/null", env={"HOME": str(tmp_path), "TERM": "linux"}, stdin=b"")
        return (tmp_path / ".muttdebug0").read_text(errors="replace")

    (tmp_path / "cache").mkdir()
    assert "ENABLE QRESYNC" in look("<quit>")
    with suite.imap_raw(login=True) as client:
        client.ok(f"SELECT {mailbox}")
        client.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
        client.ok("EXPUNGE")
        client.ok(r"STORE 1 +FLAGS.SILENT (\Flagged)")
        client.put(raws[5], mailbox)
    all_of_it, flagged = tmp_path / "all", tmp_path / "flagged"
    copy = "<tag-pattern>{pattern}<enter><tag-prefix><copy-message><kill-line>{file}<enter><untag-pattern>~A<enter>"
    log = look(copy.format(pattern="~A", file=all_of_it) + copy.format(pattern="~F", file=flagged) + "<quit>")
    assert " VANISHED)" in log and "VANISHED (EARLIER) 2" in log
    text = wait_for(lambda: all_of_it.exists() and flagged.exists() and all_of_it.read_bytes(), 5, "the files that mutt writes")
    for i, raw in enumerate(raws):
        assert (mox.test_id_of(raw).encode() in text) == (i != 1), i
    only = flagged.read_bytes()
    assert mox.test_id_of(raws[0]).encode() in only and only.count(b"\nSubject: for mutt ") == 1


# -------------------------------------------------------------------------------------- smtp-source, smtp-sink


def test_smtp_source(suite, need):
    """Postfix's load generator: 200 messages over 10 connections, all of them there."""
    if not (shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")):
        pytest.skip("postfix is not installed: another mail server is")
    tag = unique_id()[:10]
    target = f"inet:{mox.HOST}:{suite.ports['smtp']}"
    run(need("smtp-source"), "-s", "10", "-m", "200", "-l", "2000", "-f", f"{tag}@sender.example", "-t", USER, "-S", tag, target)
    with suite.imap_raw(login=True) as client:
        client.ok("SELECT INBOX")
        lines = client.ok(f'SEARCH SUBJECT "{tag}"')
    assert sum(len(line.split()) - 2 for line in lines if line.startswith(b"* SEARCH")) == 200


def test_imap_and_smtp_at_the_same_time(suite, mailbox):
    """Clients of all kinds side by side; nothing lost, nothing twice."""
    ids = [unique_id() for _ in range(60)]
    errors = []

    def deliver(part):
        try:
            for test_id in part:
                suite.deliver(message(test_id=test_id))
        except Exception as e:
            errors.append(e)

    def read():
        try:
            with suite.imap() as client:
                for _ in range(20):
                    client.open("INBOX", readonly=True)
                    client.ok(client.fetch("1:*", "(FLAGS UID)"))
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=deliver, args=(ids[i::4],)) for i in range(4)]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    seen = [mox.test_id_of(raw) for raw in suite.messages()]
    assert all(seen.count(test_id) == 1 for test_id in ids)
