"""The harness: starts and stops the suite, and small clients that say exactly what a test wants said.

Suite   a running suite in a directory of its own, on ports of its own
Smtp    SMTP over a raw socket: what is sent is what the test wrote, byte for byte
Imap    imaplib with the few helpers the tests share; ImapRaw is a raw socket with a literal-aware reader
Scram   the client side of SCRAM-SHA-256, SCRAM-SHA-1 and -PLUS (RFC 5802, RFC 7677)

Everything here has a deadline: a suite that hangs fails a test, it does not hang the run.
"""

import base64
import contextlib
import fcntl
import hashlib
import hmac
import imaplib
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("MOX_BUILD", "build"))
SANITIZED = os.path.basename(BUILD) in ("build-asan", "build-tsan")
#: Sanitizers make everything slower; every deadline of the harness is multiplied by this.
SLOW = 4 if SANITIZED else 1

BASE_PORTS = {
    "smtp": 1025,
    "submission": 1587,
    "submissions": 1465,
    "imap": 1143,
    "imaps": 1993,
    "http": 1080,
    "https": 1443,
    "metrics": 1081,
}
USER = "mox@localhost"
PASSWORD = "moxmoxmox"
HOST = "127.0.0.1"
TIMEOUT = 20 * SLOW

imaplib._MAXLINE = 50_000_000


def wait_for(condition, seconds, what, interval=0.02):
    """Calls condition until it returns something true, and returns that; fails after that many seconds."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * SLOW} s in vain: {what}")
        time.sleep(interval)


def tls_context(**options):
    """A client context that takes the self-signed certificate of local mode."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    return context


def unique_id():
    return uuid.uuid4().hex


def message(subject="test", body="Hello.\r\n", sender=USER, to=USER, headers=(), test_id=None):
    """A plain message as bytes, and with an X-Test-Id to find it by."""
    lines = [
        f"From: <{sender}>",
        f"To: <{to}>",
        f"Subject: {subject}",
        "Date: Tue, 02 Jan 2024 03:04:05 +0000",
        f"Message-ID: <{unique_id()}@test.example>",
        f"X-Test-Id: {test_id or unique_id()}",
        *headers,
    ]
    if isinstance(body, str):
        body = body.encode()
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_id_of(raw):
    found = re.search(rb"^X-Test-Id: (\S+)\r$", raw, re.M)
    return found.group(1).decode() if found else None


TRACE_HEADERS = {
    b"return-path",
    b"delivered-to",
    b"received",
    b"authentication-results",
    b"received-spf",
    b"x-mox-reason",
}


def strip_trace(raw):
    """Removes the header fields that the server put on top, and only those: the rest are the sender's bytes."""
    while True:
        name, colon, _ = raw.partition(b":")
        if not colon or name.strip().lower() not in TRACE_HEADERS:
            return raw
        end = re.search(rb"\r\n(?![ \t])", raw)
        if not end:
            return raw
        raw = raw[end.end() :]


# ------------------------------------------------------------------------------------------------- the suite


class PortLease:
    """An offset whose ports are free, kept by a lock so that test runs side by side do not take the same."""

    def __init__(self, ports):
        folder = os.path.join(tempfile.gettempdir(), "mox-e2e-ports")
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
            os.chmod(folder, 0o1777)
        # Highest port 1993 + 30000: below the range that the kernel hands out to clients.
        offsets = list(range(2000, 30001, 1000))
        random.shuffle(offsets)
        for offset in offsets:
            path = os.path.join(folder, str(offset))
            try:
                self.file = open(path, "a")
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if all(self.is_free(port + offset) for port in ports):
                self.offset = offset
                return
            self.file.close()
        raise AssertionError("no offset with free ports")

    @staticmethod
    def is_free(port):
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                with socket.socket(family, socket.SOCK_STREAM) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind((address, port))
            except OSError as e:
                if e.errno in (97, 99):  # EAFNOSUPPORT, EADDRNOTAVAIL: a machine without IPv6
                    continue
                return False
        return True

    def release(self):
        self.file.close()


def process_start_time(pid):
    """Tells one process from a later one with the same pid; None when there is none (a zombie counts as none)."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def descendants(pid):
    """The pids below one process, by /proc."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                children.setdefault(int(f.read().rpartition(")")[2].split()[1]), []).append(int(name))
        except OSError:
            continue
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


class ControlError(AssertionError):
    """moxctl ended with an error; text is what it said."""

    def __init__(self, arguments, code, text):
        super().__init__(f"moxctl {' '.join(arguments)}: exit {code}: {text}")
        self.code = code
        self.text = text


class Suite:
    """One running suite. Use `with Suite() as suite` or Suite.start(...); stop() checks a clean end."""

    live = []
    #: Starts that failed in a row. After three the next ones are not waited for: a broken suite shall not cost an hour.
    failed_starts = 0

    def __init__(self, directory=None, name="suite"):
        assert os.path.exists(os.path.join(BUILD, "moxd", "moxd")), f"moxd is not built in {BUILD}"
        base = os.environ.get("MOX_E2E_TMP", os.path.join(BUILD, "e2e-tmp"))
        os.makedirs(base, exist_ok=True)
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix=f"{name[:12]}.", dir=base)
        if len(self.directory) > 85:  # DIR/control has to fit into a sockaddr_un
            shutil.rmtree(self.directory)
            self.directory = tempfile.mkdtemp(prefix="mox-e2e.", dir="/var/tmp")
        os.chmod(self.directory, 0o755)
        self.data = os.path.join(self.directory, "d")
        self.log_path = os.path.join(self.directory, "log")
        self.process = None
        self.lease = None
        self.ports = dict(BASE_PORTS)
        self.expect_ports = list(BASE_PORTS)
        self.seen = {}
        self.arguments = []

    # ---- starting

    @classmethod
    def start(cls, config=None, domains=None, name="suite", files=None, expect_ports=None, wait=True):
        """Starts a suite and waits until it answers.

        Without config: local mode. With config: `moxd -d -f DIR/mox.conf`; config and domains are texts in which
        {dir}, {port[smtp]} ... are filled in. files: more files, name to content, written into DIR first.
        """
        suite = cls(name=name)
        try:
            suite.launch(config, domains, files or {}, expect_ports, wait)
        except BaseException:
            suite.kill()
            raise
        return suite

    def launch(self, config=None, domains=None, files=None, expect_ports=None, wait=True):
        self.lease = self.lease or PortLease(BASE_PORTS.values())
        self.ports = {name: port + self.lease.offset for name, port in BASE_PORTS.items()}
        if expect_ports is not None:
            self.expect_ports = expect_ports
        if config is None:
            arguments = ["localserve", "-d", self.data, "-p", str(self.lease.offset)]
        else:
            os.makedirs(self.data, exist_ok=True)
            os.chmod(self.data, 0o755)
            os.makedirs(os.path.join(self.data, "empty"), mode=0o755, exist_ok=True)
            self.write_config(config, domains, files)
            arguments = ["-d", "-f", os.path.join(self.data, "mox.conf")]
        self.run(arguments, wait)

    def write_config(self, config=None, domains=None, files=None):
        texts = {"mox.conf": config, "domains.conf": domains, **(files or {})}
        for name, text in texts.items():
            if text is None:
                continue
            with open(os.path.join(self.data, name), "w") as f:
                f.write(self.fill_in(text))

    def fill_in(self, text):
        text = text.replace("{dir}", self.data)
        return re.sub(r"\{port\[(\w+)\]\}", lambda m: str(self.ports[m.group(1)]), text)

    def run(self, arguments=None, wait=True):
        """Starts moxd (again, when it was stopped before)."""
        self.arguments = arguments or self.arguments
        program = os.path.join(BUILD, "moxd", "moxd")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [program, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        if self not in Suite.live:
            Suite.live.append(self)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=20):
        greetings = {"smtp": b"220", "submission": b"220", "imap": b"* OK"}

        def answers(name):
            assert self.process.poll() is None, f"moxd ended with {self.process.returncode}"
            try:
                with socket.create_connection((HOST, self.ports[name]), timeout=2 * SLOW) as s:
                    wanted = greetings.get(name)
                    return wanted is None or s.recv(4).startswith(wanted)
            except OSError:
                return False

        if Suite.failed_starts >= 3:
            seconds = 2
        Suite.failed_starts += 1
        for name in self.expect_ports:
            try:
                wait_for(lambda name=name: answers(name), seconds, f"{name} on port {self.ports[name]}")
            except AssertionError as e:
                raise AssertionError(f"{e}\n{self.log_tail()}") from None
        Suite.failed_starts = 0
        self.note_processes()

    def note_processes(self):
        if self.process and self.process.poll() is None:
            for pid in [self.process.pid, *descendants(self.process.pid)]:
                self.seen[pid] = process_start_time(pid)

    # ---- ending

    def __enter__(self):
        if self.process is None:
            self.launch()
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def left_over(self):
        return [pid for pid, start in self.seen.items() if start is not None and process_start_time(pid) == start]

    def terminate(self, how=signal.SIGTERM, seconds=10):
        """Ends moxd by a signal and returns its exit status; fails if it is not gone in time."""
        self.note_processes()
        self.process.send_signal(how)
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"moxd does not end within {seconds * SLOW} s after {how!r}\n{self.log_tail()}") from None

    def stop(self, how=signal.SIGTERM, keep=False):
        """The clean end: exit status 0 within 10 s, no process left, nothing reported by a sanitizer."""
        try:
            code = self.terminate(how)
            assert code == 0, f"moxd ended with {code}\n{self.log_tail()}"
            wait_for(lambda: not self.left_over(), 5, f"processes left behind: {self.left_over()}")
            self.check_log()
        except BaseException:
            self.kill()
            raise
        if not keep:
            self.clean_up(remove=True)

    def kill(self):
        """The unclean end, for tests that failed. The directory stays, for a look at it."""
        if self.process is not None:
            if self.process.poll() is None:
                self.note_processes()
                self.process.kill()
                self.process.wait()
            for pid in self.left_over():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        self.clean_up(remove=False)

    def clean_up(self, remove):
        if self in Suite.live:
            Suite.live.remove(self)
        if self.lease:
            self.lease.release()
            self.lease = None
        if remove and self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # ---- looking at it

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def log_tail(self, lines=60):
        try:
            return "\n".join(self.log().splitlines()[-lines:])
        except OSError as e:
            return str(e)

    def check_log(self):
        text = self.log()
        signs = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:", "Assertion `")
        for sign in signs:
            assert sign not in text, f"{sign} in the log:\n{text[max(0, text.index(sign) - 500) :][:6000]}"

    def control(self, *arguments, check=True, stdin="", raw_output=False):
        """Runs moxctl; returns what it printed, or raises ControlError."""
        command = [os.path.join(BUILD, "moxctl", "moxctl"), "-d", self.data, *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=30 * SLOW, cwd=self.directory, check=False
        )
        if check and done.returncode != 0:
            raise ControlError(arguments, done.returncode, done.stderr + done.stdout)
        return done if raw_output else done.stdout

    def control_json(self, *arguments, **options):
        text = self.control("--json", *arguments, **options)
        return json.loads(text)

    def status(self):
        """The process table: a list of {name, role, pid, user, uptime, restarts, memory}."""
        return self.control_json("status")["processes"]

    def pids(self, role):
        return [p["pid"] for p in self.status() if p["role"] == role]

    def children(self):
        """The rows of all processes but moxd itself."""
        return [p for p in self.status() if p["role"] != "moxd" and p["pid"] > 0]

    # ---- talking to it

    def smtp(self, port="smtp", hello=True, tls=None):
        client = Smtp(self.ports[port], tls=port == "submissions" if tls is None else tls)
        if hello:
            client.ehlo()
        return client

    def deliver(self, raw, to=USER, sender="someone@sender.example"):
        """One message in by SMTP; to may be a list. Returns the last reply's text."""
        with self.smtp() as client:
            return client.send(raw, to, sender)

    def imap(self, user=USER, password=PASSWORD, port="imaps", login=True):
        return Imap(self.ports[port], user if login else None, password, tls=port == "imaps")

    def imap_raw(self, port="imap", login=False, user=USER, password=PASSWORD):
        client = ImapRaw(self.ports[port], tls=port == "imaps")
        if login:
            client.ok(f'LOGIN "{user}" "{password}"')
        return client

    def messages(self, mailbox="INBOX", user=USER, password=PASSWORD):
        """All messages of a mailbox as bytes, oldest first."""
        with self.imap(user, password) as client:
            return client.all(mailbox)

    def find(self, test_id, mailbox="INBOX", user=USER, password=PASSWORD):
        """The messages with that X-Test-Id."""
        with self.imap(user, password) as client:
            return client.by_test_id(test_id, mailbox)

    def find_one(self, test_id, seconds=10, **where):
        found = wait_for(lambda: self.find(test_id, **where), seconds, f"message {test_id}", interval=0.1)
        assert len(found) == 1, f"message {test_id} is there {len(found)} times"
        return found[0]


def proc_memory(pid, field="Pss"):
    """KiB of one kind from smaps_rollup."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise AssertionError(f"no {field} in smaps_rollup")


def proc_status(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status") as f:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in f)}


# ---------------------------------------------------------------------------------------------------- SMTP


class Reply:
    """An SMTP reply: code, lines without the codes."""

    def __init__(self, code, lines):
        self.code = code
        self.lines = lines

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        found = re.match(r"([245]\.\d{1,3}\.\d{1,3}) ", self.lines[0] + " ")
        return found.group(1) if found else None

    def __repr__(self):
        return f"{self.code} {self.text!r}"

    def __eq__(self, other):
        return self.code == other if isinstance(other, int) else NotImplemented


class Smtp:
    """A raw SMTP client. Nothing is quoted, stuffed or ended unless a method says so."""

    def __init__(self, port, tls=False, timeout=TIMEOUT, greeting=True):
        self.socket = socket.create_connection((HOST, port), timeout=timeout)
        self.buffer = b""
        if tls:
            self.wrap()
        if greeting:
            self.greeting = self.reply()
            assert self.greeting == 220, self.greeting

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def wrap(self, context=None):
        self.socket = (context or tls_context()).wrap_socket(self.socket, server_hostname="localhost")

    def write(self, data):
        self.socket.sendall(data)

    def read_line(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"connection closed; unread: {self.buffer!r}")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), f"reply line without CR: {line!r}"
        assert len(line) <= 511, f"reply line too long (RFC 5321 4.5.3.1.5): {line!r}"
        return line[:-1].decode("utf-8")

    def reply(self):
        lines, code = [], None
        while True:
            line = self.read_line()
            assert re.match(r"[2-5]\d\d([ -]|$)", line), f"not a reply: {line!r}"
            assert code in (None, int(line[:3])), f"code changes within a reply: {line!r}"
            code = int(line[:3])
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(code, lines)

    def command(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.write(data + b"\r\n")
        return self.reply()

    def ehlo(self, name="client.example"):
        reply = self.command(f"EHLO {name}")
        assert reply == 250, reply
        self.extensions = {line.split(" ")[0].upper(): line.partition(" ")[2] for line in reply.lines[1:]}
        return reply

    def starttls(self, context=None):
        reply = self.command("STARTTLS")
        assert reply == 220, reply
        assert self.buffer == b"", "bytes behind the reply to STARTTLS"
        self.wrap(context)

    def envelope(self, to=USER, sender="someone@sender.example", parameters=""):
        reply = self.command(f"MAIL FROM:<{sender}>{parameters}")
        assert reply == 250, reply
        for one in [to] if isinstance(to, str) else to:
            reply = self.command(f"RCPT TO:<{one}>")
            assert reply == 250, reply

    def data(self, raw):
        """DATA with a message: dots doubled, the end mark added."""
        reply = self.command("DATA")
        assert reply == 354, reply
        return self.content(stuffed(raw))

    def content(self, data):
        """Exactly these bytes, and the reply after them."""
        self.write(data)
        return self.reply()

    def send(self, raw, to=USER, sender="someone@sender.example", parameters=""):
        self.envelope(to, sender, parameters)
        reply = self.data(raw)
        assert reply == 250, reply
        return reply

    def auth_plain(self, user=USER, password=PASSWORD, identity=""):
        token = base64.b64encode(f"{identity}\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {token}")

    def auth_login(self, user=USER, password=PASSWORD):
        reply = self.command("AUTH LOGIN")
        for answer in (user, password):
            if reply != 334:
                return reply
            reply = self.command(base64.b64encode(answer.encode()))
        return reply

    def auth_scram(self, user=USER, password=PASSWORD, mechanism="SCRAM-SHA-256", algorithm="sha256"):
        scram = Scram(user, password, algorithm=algorithm)
        reply = self.command(f"AUTH {mechanism} ".encode() + base64.b64encode(scram.first()))
        if reply != 334:
            return reply
        reply = self.command(base64.b64encode(scram.final(base64.b64decode(reply.lines[0]))))
        if reply != 334:
            return reply
        scram.check(base64.b64decode(reply.lines[0]))
        return self.command("")

    def closed(self, seconds=10):
        """Whether the server closes the connection soon (unread replies are skipped)."""
        self.socket.settimeout(seconds * SLOW)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False


def stuffed(raw):
    """A message as DATA wants it (RFC 5321 4.5.2), with the end mark."""
    if raw and not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    return re.sub(rb"\A\.|(?<=\r\n)\.", b"..", raw) + b".\r\n"


# ---------------------------------------------------------------------------------------------------- SCRAM


class Scram:
    """SCRAM of a client. binding: (name, bytes) for -PLUS; None for none."""

    def __init__(self, user, password, binding=None, supports_binding=False, algorithm="sha256"):
        self.algorithm = algorithm
        self.password = password.encode()
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        self.header = f"p={binding[0]},," if binding else ("y,," if supports_binding else "n,,")
        self.binding = binding[1] if binding else b""
        self.signature = None

    def first(self):
        return (self.header + self.bare).encode()

    def final(self, server_first):
        parts = dict(part.split("=", 1) for part in server_first.decode().split(","))
        assert parts["r"].startswith(self.nonce) and len(parts["r"]) > len(self.nonce), server_first
        iterations = int(parts["i"])
        assert iterations >= 4096, f"RFC 7677 4: at least 4096 iterations, not {iterations}"
        salted = hashlib.pbkdf2_hmac(self.algorithm, self.password, base64.b64decode(parts["s"]), iterations)
        client_key = hmac.digest(salted, b"Client Key", self.algorithm)
        channel = base64.b64encode(self.header.encode() + self.binding).decode()
        without_proof = f"c={channel},r={parts['r']}"
        signed = ",".join([self.bare, server_first.decode(), without_proof]).encode()
        mask = hmac.digest(hashlib.new(self.algorithm, client_key).digest(), signed, self.algorithm)
        proof = bytes(a ^ b for a, b in zip(client_key, mask))
        self.signature = hmac.digest(hmac.digest(salted, b"Server Key", self.algorithm), signed, self.algorithm)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final):
        """The server has to know the password too."""
        assert server_final == b"v=" + base64.b64encode(self.signature), server_final


# ----------------------------------------------------------------------------------------------------- IMAP


class Imap:
    """imaplib, with errors as exceptions and context management."""

    def __init__(self, port, user=USER, password=PASSWORD, tls=True):
        if tls:
            self.m = imaplib.IMAP4_SSL(HOST, port, ssl_context=tls_context(), timeout=TIMEOUT)
        else:
            self.m = imaplib.IMAP4(HOST, port, timeout=TIMEOUT)
        if user is not None:
            self.m.login(user, password)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(Exception):
            self.m.logout()

    def __getattr__(self, name):
        return getattr(self.m, name)

    def ok(self, answer):
        kind, data = answer
        assert kind == "OK", (kind, data)
        return data

    def open(self, mailbox="INBOX", readonly=False):
        return int(self.ok(self.m.select(f'"{mailbox}"', readonly))[0])

    def fetch_all(self, items="BODY.PEEK[]"):
        """For every message of the selected mailbox the literal of its FETCH answer."""
        data = self.ok(self.m.fetch("1:*", f"({items})"))
        return [part[1] for part in data if isinstance(part, tuple)]

    def all(self, mailbox="INBOX"):
        return self.fetch_all() if self.open(mailbox, readonly=True) else []

    def by_test_id(self, test_id, mailbox="INBOX"):
        self.open(mailbox, readonly=True)
        numbers = self.ok(self.m.search(None, "HEADER", "X-Test-Id", test_id))[0].split()
        if not numbers:
            return []
        data = self.ok(self.m.fetch(b",".join(numbers).decode(), "(BODY.PEEK[])"))
        return [part[1] for part in data if isinstance(part, tuple)]

    def put(self, raw, mailbox="INBOX", flags=None, when=None):
        """APPEND; returns the new UID by APPENDUID (RFC 4315)."""
        data = self.ok(self.m.append(f'"{mailbox}"', flags, when, raw))
        found = re.search(rb"\[APPENDUID (\d+) (\d+)\]", data[0])
        assert found, data
        return int(found.group(2))


class ImapRaw:
    """IMAP over a raw socket. Answers are lists of whole lines, literals included, as bytes without the last CRLF."""

    def __init__(self, port, tls=False, greeting=True):
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        if tls:
            self.wrap()
        self.buffer = b""
        self.count = 0
        self.greeting = self.line() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def wrap(self):
        self.socket = tls_context().wrap_socket(self.socket, server_hostname="localhost")

    def write(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"connection closed; unread: {self.buffer!r}")
        self.buffer += data

    def line(self):
        """One response, with the literals in it."""
        whole = b""
        while True:
            while b"\r\n" not in self.buffer:
                self.fill()
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            whole += line
            literal = re.search(rb"\{(\d+)\}$", line)
            if not literal:
                return whole
            size = int(literal.group(1))
            while len(self.buffer) < size:
                self.fill()
            whole += b"\r\n" + self.buffer[:size]
            self.buffer = self.buffer[size:]

    def tag(self):
        self.count += 1
        return f"t{self.count}"

    def until(self, tag):
        """Untagged lines and the tagged one that ends them."""
        lines = []
        while True:
            line = self.line()
            if line.startswith(tag.encode() + b" "):
                return lines, line[len(tag) + 1 :]
            lines.append(line)

    def command(self, text):
        """Sends one command (text or bytes, without tag); returns (untagged lines, tagged line without the tag)."""
        tag = self.tag()
        self.write(tag.encode() + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.until(tag)

    def ok(self, text):
        lines, last = self.command(text)
        assert last.startswith(b"OK"), (text, last, lines)
        return lines + [last]

    def no(self, text):
        lines, last = self.command(text)
        assert last.startswith(b"NO"), (text, last, lines)
        return last

    def bad(self, text):
        lines, last = self.command(text)
        assert last.startswith(b"BAD"), (text, last, lines)
        return last

    def next_with(self, part, seconds=10):
        """Reads untagged lines until one contains part."""
        self.socket.settimeout(seconds * SLOW)
        seen = []
        try:
            while True:
                line = self.line()
                seen.append(line)
                if part in line:
                    return line
        except socket.timeout:
            raise AssertionError(f"no {part!r} within {seconds * SLOW} s; only {seen}") from None
        finally:
            self.socket.settimeout(TIMEOUT)

    def put(self, raw, mailbox="INBOX", flags=""):
        tag = self.tag()
        self.write(f'{tag} APPEND "{mailbox}" {flags}{" " if flags else ""}{{{len(raw)}+}}\r\n'.encode() + raw + b"\r\n")
        lines, last = self.until(tag)
        assert last.startswith(b"OK"), (last, lines)
        return int(re.search(rb"\[APPENDUID \d+ (\d+)\]", last).group(1))

    def scram(self, scram, mechanism="SCRAM-SHA-256"):
        """AUTHENTICATE; returns the tagged line."""
        tag = self.tag()
        self.write(f"{tag} AUTHENTICATE {mechanism}\r\n")

        def challenge():
            line = self.line()
            if line.startswith(b"+"):
                return base64.b64decode(line[1:].strip()), None
            if line.startswith(tag.encode()):
                return None, line[len(tag) + 1 :]
            return challenge()

        _, ended = challenge()
        if ended is None:
            self.write(base64.b64encode(scram.first()) + b"\r\n")
            server_first, ended = challenge()
        if ended is None:
            self.write(base64.b64encode(scram.final(server_first)) + b"\r\n")
            server_final, ended = challenge()
        if ended is None:
            scram.check(server_final)
            self.write(b"\r\n")
            ended = self.until(tag)[1]
        return ended

    def closed(self, seconds=10):
        self.socket.settimeout(seconds * SLOW)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False


def parse_imap(data):
    """The parts of a response as nested lists: NIL is None, strings and literals are bytes, atoms are str.

    An atom with a bracket runs to the closing one, so that BODY[HEADER.FIELDS (TO)]<0> is one atom.
    """

    def value(i):
        if data[i : i + 1] == b"(":
            items, i = [], i + 1
            while data[i : i + 1] != b")":
                if data[i : i + 1] == b" ":
                    i += 1
                    continue
                assert i < len(data), f"list without an end: {data!r}"
                item, i = value(i)
                items.append(item)
            return items, i + 1
        if data[i : i + 1] == b'"':
            end = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S).match(data, i)
            return re.sub(rb"\\(.)", rb"\1", end.group(1)), end.end()
        literal = re.compile(rb"~?\{(\d+)\}\r\n").match(data, i)
        if literal:
            end = literal.end() + int(literal.group(1))
            return data[literal.end() : end], end
        atom = re.compile(rb"[^\s()\[\]{\"]*(?:\[[^\]]*\][^\s()]*)?").match(data, i)
        assert atom.end() > i, f"cannot parse at {i}: {data!r}"
        word = atom.group().decode()
        return (None if word.upper() == "NIL" else word), atom.end()

    result, i = [], 0
    while i < len(data):
        if data[i : i + 1] == b" ":
            i += 1
            continue
        item, i = value(i)
        result.append(item)
    return result


def fetched(lines):
    """FETCH answers among untagged lines: {sequence number: {ITEM: value}}; several for one message are merged."""
    found = {}
    for line in lines:
        if not re.match(rb"\* \d+ FETCH ", line, re.I):
            continue
        _, number, _, items = parse_imap(line)
        assert len(items) % 2 == 0, line
        found.setdefault(int(number), {}).update({items[i].upper(): items[i + 1] for i in range(0, len(items), 2)})
    return found


class ExternalSuite(Suite):
    """Somebody else's server, to check the tests themselves: MOX_E2E_EXTERNAL="imap=143,imaps=993"."""

    def __init__(self, text):
        self.ports = {name: int(port) for name, port in (pair.split("=") for pair in text.split(","))}
        self.directory = self.data = self.log_path = "/nonexistent"

    def status(self):
        return []

    def check_log(self):
        pass

    def stop(self, **unused):
        pass


# ------------------------------------------------------------------------------------ the rest of the world

#: Every service of a listener, each on the port of its name.
SERVICES = """\
    smtp { port {port[smtp]} }
    submission { port {port[submission]} }
    submissions { port {port[submissions]} }
    imap { port {port[imap]} }
    imaps { port {port[imaps]} }
    http { port {port[http]} }
    https { port {port[https]} }
    metrics { port {port[metrics]} }
"""

#: A mox.conf that is not local mode: the fixed part, with the resolver's and the queue's statements to be filled in.
CONFIG = (
    """
hostname "mail.test.example"
data-directory "{dir}/data"
control-socket "{dir}/control"
chroot-directory "{dir}/empty"
log { level debug }
postmaster account "admin"

listen test {
    address 127.0.0.1
    tls self-signed
    max-message-size 40M
"""
    + SERVICES
    + "}\n"
)

#: Two domains and accounts to go with CONFIG; the passwords are set by start_configured.
DOMAINS = """
domain "test.example"       # the domain of most tests
domain "other.example"
account admin {
    address "admin@test.example"
}
account alice {
    address "alice@test.example", "alice@other.example"
}
account bob {
    address "bob@test.example", "*@other.example"
}
"""
PASSWORDS = {"admin": "admin-password", "alice": "alice-password", "bob": "bob-password"}


def start_configured(start_suite, extra="", extra_domains="", config=CONFIG, domains=DOMAINS, **options):
    """A suite with CONFIG and DOMAINS (and more statements) whose accounts have their PASSWORDS."""
    suite = start_suite(config + extra, domains + extra_domains, **options)
    for name, password in PASSWORDS.items():
        suite.control("password", name, stdin=password + "\n")
    return suite


class Sink:
    """Another mail server: takes or refuses messages as it is told, and keeps what it got.

    answers: {"MAIL": [replies], "RCPT": ..., "DATA": ..., "END": ...}; the first of a list is used once and dropped, the
    last one stays. tls: (certificate, key) to offer STARTTLS with.
    """

    def __init__(self, answers=None, tls=None, address=HOST):
        self.answers = {"MAIL": ["250 2.1.0 ok"], "RCPT": ["250 2.1.5 ok"], "DATA": ["354 go on"], "END": ["250 2.0.0 ok"]}
        self.answers.update(answers or {})
        self.tls = tls
        self.messages = []  # (sender with parameters, recipients, bytes, whether TLS was used)
        self.connections = 0
        self.commands = []
        self.lock = threading.Lock()
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def answer(self, what):
        with self.lock:
            replies = self.answers[what]
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def serve(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError), connection:
            connection.settimeout(60)
            self.session(connection)

    def session(self, connection):
        stream = connection.makefile("rwb", buffering=0)
        secure, sender, recipients = False, None, []

        def say(text):
            stream.write(text.encode() + b"\r\n")

        say("220 sink.example ESMTP")
        while line := stream.readline(70_000):
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = command.split(" ")[0].split(":")[0].upper()
            self.commands.append(command)
            if verb in ("EHLO", "HELO"):
                offered = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
                if self.tls and not secure:
                    offered.append("STARTTLS")
                say("250-sink.example\r\n" + "\r\n".join(f"250-{x}" for x in offered) + "\r\n250 SIZE 50000000")
            elif verb == "STARTTLS" and self.tls:
                say("220 go on")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.tls)
                connection = context.wrap_socket(connection, server_side=True)
                stream, secure = connection.makefile("rwb", buffering=0), True
            elif verb == "MAIL":
                reply = self.answer("MAIL")
                sender, recipients = command[10:], []
                say(reply)
            elif verb == "RCPT":
                reply = self.answer("RCPT")
                if reply[0] == "2":
                    recipients.append(re.search(r"<(.*?)>", command).group(1))
                say(reply)
            elif verb == "DATA":
                reply = self.answer("DATA") if recipients else "503 5.5.1 no recipients"
                say(reply)
                if reply[0] != "3":
                    continue
                content = b""
                while True:
                    line = stream.readline(70_000)
                    if not line:
                        return
                    if content == b"" or content.endswith(b"\r\n"):  # else the line before was none: a bare LF
                        if line == b".\r\n":
                            break
                        line = line.removeprefix(b".")
                    content += line
                reply = self.answer("END")
                if reply[0] == "2":
                    with self.lock:
                        self.messages.append((sender, recipients, content, secure))
                say(reply)
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok" if verb in ("NOOP", "RSET") else "500 5.5.1 what?")

    def wait_message(self, test_id=None, seconds=20):
        def find():
            with self.lock:
                return next((m for m in self.messages if test_id is None or test_id_of(m[2]) == test_id), None)

        return wait_for(find, seconds, f"a message at the sink; it heard {self.commands}")


def make_certificate(directory, name="sink.example"):
    """A self-signed certificate and its key, as paths."""
    certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
