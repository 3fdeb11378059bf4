"""Each program, inside its own sandbox, tries what it must not be able to do: every act is denied or deadly."""

import os
import pwd
import socket
import subprocess

import mox
import pytest

pytestmark = pytest.mark.sandbox

PROGRAMS = {
    "storaged": "storaged/storaged",
    "authd": "authd/authd",
    "dnsd": "dnsd/dnsd",
    "smtpd": "smtpd/smtpd",
    "imapd": "imapd/imapd",
    "imapd-worker": "imapd/imapd-worker",
    "httpd": "httpd/httpd",
    "queued": "queued/queued",
}
USERS = {
    "storaged": "_moxstore",
    "authd": "_moxauth",
    "dnsd": "_moxdns",
    "smtpd": "_moxsmtp",
    "imapd": "_moximap",
    "imapd-worker": "_moximap",
    "httpd": "_moxhttp",
    "queued": "_moxqueue",
}
#: Who may open sockets of its own: the two that talk to other hosts.
CONNECTS = {"dnsd", "queued"}
HOLE, DENIED, SIGSYS = 0, 77, -31


def probe(program, act, directory, target=""):
    here, there = socket.socketpair()
    with here, there:
        args = [os.path.join(mox.BUILD, PROGRAMS[program]), "-i", program, "-T", act, "-t", target]
        if os.geteuid() == 0:
            args += ["-u", USERS[program]]
        if program == "storaged":
            args += ["-d", str(directory)]
        elif os.geteuid() == 0:
            args += ["-d", "/var/empty"]

        def supervise():
            os.dup2(there.fileno(), 3)
            os.set_inheritable(3, True)

        done = subprocess.run(
            args, stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * mox.SLOW, preexec_fn=supervise, close_fds=False
        )
        return done.returncode, done.stderr.decode(errors="replace")


@pytest.fixture
def directory(tmp_path):
    if os.geteuid() == 0:
        os.makedirs("/var/empty", exist_ok=True)
        # Reachable for the program's user, as the data directory is.
        path = tmp_path
        while path != path.parent:
            if not os.access(path, os.X_OK) or path.stat().st_mode & 0o011 == 0:
                os.chmod(path, path.stat().st_mode | 0o011)
            path = path.parent
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = pwd.getpwnam(USERS["storaged"])
        os.chown(data, user.pw_uid, user.pw_gid)
    return data


@pytest.fixture(scope="module")
def sibling():
    """A process of the same user, as another program of the suite is when moxd is not root."""
    process = subprocess.Popen(["sleep", "120"])
    yield process.pid
    process.kill()
    process.wait()


ACTS = ["read-passwd", "open", "write", "exec", "fork", "ptrace", "read-memory", "kill", "unix-socket"]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_denied(program, act, directory, sibling):
    target = {"ptrace": str(sibling), "read-memory": str(sibling), "kill": str(sibling)}.get(act, "/tmp/mox-probe")
    status, stderr = probe(program, act, directory, target)
    assert status in (SIGSYS, DENIED), f"{program} could {act}: status {status}\n{stderr}"
    if not mox.SANITIZED and act in ("exec", "fork", "ptrace", "read-memory", "kill", "unix-socket"):
        assert status == SIGSYS, f"{program}: {act} was denied, but not deadly: status {status}\n{stderr}"
    assert not os.path.exists("/tmp/mox-probe")


@pytest.mark.parametrize("program", PROGRAMS)
def test_internet_socket(program, directory):
    status, stderr = probe(program, "socket", directory)
    if program in CONNECTS:
        assert status == HOLE, f"{program} has to connect: status {status}\n{stderr}"
    else:
        assert status in (SIGSYS, DENIED), f"{program} could open a socket: status {status}\n{stderr}"


def test_started_by_hand(tmp_path):
    """A person who starts a child is told what to do."""
    for path in PROGRAMS.values():
        done = subprocess.run(
            [os.path.join(mox.BUILD, path)], stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * mox.SLOW, close_fds=True
        )
        assert done.returncode == 1
        assert b"started by moxd" in done.stderr, done.stderr
