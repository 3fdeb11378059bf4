"""What the processes may do, as the kernel sees it. (That forbidden calls are refused is tested from inside, in the unit
tests of common/sandbox; here it is seen that every program really is in its sandbox.)"""

import os
import stat

import mox
import pytest
from mox import proc_status

pytestmark = pytest.mark.sandbox

ROOT = os.geteuid() == 0
ROLES = {"storaged", "authd", "dnsd", "smtpd", "imapd", "httpd", "queued"}


@pytest.fixture
def children(suite):
    with suite.imap():  # so that an account worker is there, too
        yield suite.children()


def test_every_role_runs(children):
    roles = " ".join(p["role"] for p in children)
    assert all(role in roles for role in ROLES), roles


def test_table_is_the_truth(suite, children):
    """moxctl's rows and the kernel's processes are the same set."""
    rows = {p["pid"] for p in children}
    real = {pid for pid in mox.descendants(suite.process.pid) if mox.process_start_time(pid)}
    assert rows == real, (rows - real, real - rows)
    for p in children:
        assert p["uptime"] >= 0 and p["restarts"] == 0 and p["memory"] > 0, p


def test_every_child_is_exec_ed_by_itself(suite, children):
    """No two processes share an address-space layout; the program is the one of the role."""
    for p in children:
        exe = os.readlink(f"/proc/{p['pid']}/exe") if ROOT else None
        if exe:
            assert os.path.basename(exe) in p["role"] or p["role"].startswith(os.path.basename(exe)), (exe, p)


def test_seccomp_and_no_new_privs(children):
    for p in children:
        status = proc_status(p["pid"])
        assert status["Seccomp"] == "2", p
        assert status["NoNewPrivs"] == "1", p


def test_no_capabilities(children):
    for p in children:
        status = proc_status(p["pid"])
        for field in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[field], 16) == 0, (field, p)


def test_not_dumpable(children):
    """PR_SET_DUMPABLE 0 makes /proc/PID belong to root: a sibling of the same user can neither read nor ptrace it."""
    for p in children:
        assert os.stat(f"/proc/{p['pid']}/mem").st_uid == 0 or ROOT, p


@pytest.mark.skipif(not ROOT, reason="own users are for root")
def test_own_users(children):
    users = {}
    for p in children:
        status = proc_status(p["pid"])
        uids, gids = set(status["Uid"].split()), set(status["Gid"].split())
        assert len(uids) == 1 and "0" not in uids, p
        assert len(gids) == 1 and "0" not in gids, p
        assert set(status["Groups"].split()) <= gids, p
        program = next(role for role in ROLES if p["role"].startswith(role))
        users.setdefault(program, set()).update(uids)
    assert all(len(uids) == 1 for uids in users.values()), users
    everyone = [next(iter(uids)) for uids in users.values()]
    assert len(set(everyone)) == len(everyone), f"programs share a user: {users}"


@pytest.mark.skipif(not ROOT, reason="chroot is for root")
def test_root_directory(suite, children):
    for p in children:
        root = f"/proc/{p['pid']}/root"
        inside = os.listdir(root + "/.")
        if p["role"] == "storaged":
            assert os.path.samefile(root + "/.", suite_data(suite, inside)) or "etc" not in inside, inside
            continue
        assert inside == [], (p, inside)
        mode = os.stat(root + "/.")
        assert mode.st_uid == 0 and stat.S_IMODE(mode.st_mode) & 0o022 == 0, f"{p['role']} may write in its root"


def suite_data(suite, inside):
    return next((d for d in (os.path.join(suite.data, "data"), suite.data) if sorted(os.listdir(d)) == sorted(inside)), "/")


def test_working_directory_is_not_outside(suite, children):
    for p in children:
        if not ROOT:
            continue
        cwd = os.readlink(f"/proc/{p['pid']}/cwd")
        assert os.stat(f"/proc/{p['pid']}/cwd/.").st_ino == os.stat(f"/proc/{p['pid']}/root/.").st_ino, (p, cwd)


ALLOWED_LISTENERS = {
    "smtpd": {"smtp", "submission", "submissions"},
    "imapd": {"imap", "imaps"},
    "httpd": {"http", "https", "metrics"},
}


@pytest.mark.skipif(not ROOT, reason="reads the descriptors of other users")
def test_descriptors(suite, children):
    """Nobody but storaged has a file of the data directory open for long; who owns data has no internet socket."""
    inet = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/net/{table}") as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                inet[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    for p in children:
        program = next(role for role in ROLES if p["role"].startswith(role))
        for fd in os.listdir(f"/proc/{p['pid']}/fd"):
            try:
                target = os.readlink(f"/proc/{p['pid']}/fd/{fd}")
            except OSError:
                continue
            if target.startswith("socket:["):
                port = inet.get(target[8:-1])
                if port is not None and program in ("storaged", "authd"):
                    pytest.fail(f"{p['role']} has an internet socket, port {port}")
                names = [n for n, number in suite.ports.items() if number == port]
                if names and program in ALLOWED_LISTENERS:
                    assert names[0] in ALLOWED_LISTENERS[program], (p, names)
            elif target.startswith("/") and not target.startswith("/dev/"):
                if target == suite.log_path and fd == "2":
                    continue
                assert program == "storaged", f"{p['role']} has {target} open"


def test_keys_only_in_authd(suite):
    """The private key's bytes stand in no front's memory (law 1)."""
    if not ROOT:
        pytest.skip("reads the memory of other processes")
    secrets = private_keys(suite.data)
    if not secrets:
        pytest.skip("no PEM key in the directory of local mode")
    with suite.smtp() as client:  # a handshake, so that the key is used
        client.starttls()
    for p in suite.children():
        if p["role"] == "authd":
            continue
        memory = read_memory(p["pid"])
        for secret in secrets:
            assert secret not in memory, f"{p['role']} holds a private key"


def private_keys(directory):
    """The private scalars of the EC keys below a directory, by openssl."""
    import re
    import subprocess

    found = []
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as f:
                    if b"PRIVATE KEY-----" not in f.read(1 << 16):
                        continue
            except OSError:
                continue
            text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], capture_output=True, text=True).stdout
            match = re.search(r"priv:\s*((?:[0-9a-f]{2}:?\s*)+)pub:", text)
            if match:
                found.append(bytes.fromhex(re.sub(r"[^0-9a-f]", "", match.group(1)))[-32:])
                found.append(found[-1][::-1])  # as a little-endian bignum
    return found


def read_memory(pid):
    pieces = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, modes = line.split()[:2]
            if not modes.startswith("rw") or "[v" in line:
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            if end - begin > 256 << 20:
                continue
            try:
                memory.seek(begin)
                pieces.append(memory.read(end - begin))
            except (OSError, ValueError, OverflowError):
                continue
    return b"".join(pieces)


def test_limits(children):
    """Core files are off; the number of descriptors is bounded."""
    for p in children:
        with open(f"/proc/{p['pid']}/limits") as f:
            limits = {line[:26].strip(): line[26:].split() for line in f}
        assert limits["Max core file size"][1] == "0", p


def test_control_socket_is_private(suite):
    mode = stat.S_IMODE(os.stat(os.path.join(suite.data, "control")).st_mode)
    parent = stat.S_IMODE(os.stat(suite.data).st_mode)
    assert mode & 0o007 == 0 or parent & 0o005 == 0, oct(mode)


def test_keys_and_passwords_are_private(suite):
    for folder, _, names in os.walk(suite.data):
        for name in names:
            path = os.path.join(folder, name)
            mode = os.lstat(path)
            if not stat.S_ISREG(mode.st_mode):
                continue
            assert mode.st_mode & 0o002 == 0, f"{path} is writable for all"
            with open(path, "rb") as f:
                head = f.read(4096)
            if b"PRIVATE KEY" in head:
                assert mode.st_mode & 0o077 == 0, f"{path}: {oct(mode.st_mode)}"
            assert mox.PASSWORD.encode() not in head, f"the password stands in {path}"


def test_log_has_no_secret_and_no_content(suite):
    marker = "content-" + mox.unique_id()
    suite.deliver(mox.message(subject=marker, body=f"{marker}\r\n"))
    with suite.smtp("submissions") as client:
        assert client.auth_plain() == 235
    with suite.imap_raw(login=True) as client:
        client.ok("NOOP")
    log = suite.log()
    assert marker not in log
    import base64

    assert base64.b64encode(f"\0{mox.USER}\0{mox.PASSWORD}".encode()).decode() not in log
    # The banner of local mode tells the password on purpose; a session's lines must not.
    for line in log.splitlines():
        if mox.PASSWORD in line:
            assert "cid=" not in line and '"cid"' not in line, line
