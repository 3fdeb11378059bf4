#!/usr/bin/python3 -IB
"""Takes the place of imapd-worker, and lies as the name of its account says; for others it becomes the real one.

In the directory of the programs stand `real-imapd-worker` and this, as `imapd-worker`. What it learns and does is told in files
there, NAME.WORD. See test_imap_sleep_lies.py for the lies.
"""

import array
import os
import select
import signal
import socket
import struct
import sys
import time

HERE = os.path.dirname(sys.argv[0])
HEADER = struct.Struct("<IIHBB")
CONFIGURE, NEW_SESSION, REST_SESSION, SLEEP, STAY_AWAKE = 0x0106, 0x0122, 0x0125, 0x0126, 0x0127
LIES = ("deaf", "awake", "stopped", "malformed", "unwoken", "oversized", "foreign", "restless", "late")


def note(account, word, text=""):
    with open(os.path.join(HERE, f"{account}.{word}"), "w") as f:
        f.write(text)


def noted(account, word):
    return os.path.exists(os.path.join(HERE, f"{account}.{word}"))


def string(data):
    return struct.pack("<I", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data)[0]
        self.data = self.data[struct.calcsize("<" + form) :]
        return value

    def string(self):
        size = self.take("I")
        value, self.data = self.data[:size], self.data[size:]
        return value


class Channel:
    """The supervision channel, blocking."""

    def __init__(self):
        self.socket = socket.socket(fileno=3)
        self.socket.setblocking(True)
        self.data, self.fds = b"", []

    def receive(self, seconds=None):
        """The next frame: (kind, id, flags, payload, descriptors)."""
        self.socket.settimeout(seconds)
        while len(self.data) < HEADER.size or len(self.data) < HEADER.size + HEADER.unpack_from(self.data)[0]:
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, 253)
            if not data:
                sys.exit(0)  # moxd is gone
            self.data += data
            self.fds += fds
        length, number, kind, flags, count = HEADER.unpack_from(self.data)
        payload = self.data[HEADER.size : HEADER.size + length]
        self.data = self.data[HEADER.size + length :]
        fds, self.fds = self.fds[:count], self.fds[count:]
        return kind, number, flags, payload, fds

    def send(self, kind, payload, fds=(), number=0, flags=0):
        frame = HEADER.pack(len(payload), number, kind, flags, len(fds)) + payload
        self.socket.settimeout(None)
        sent = self.socket.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        self.socket.sendall(frame[sent:])

    def reply(self, kind, number):
        self.send(kind, b"", number=number, flags=1)


class Liar:
    def __init__(self, account):
        self.account = account
        self.channel = Channel()
        self.session = None  # (stream, account channel, hand back)
        self.next = 1

    def serve(self):
        while True:
            kind, number, _, payload, fds = self.channel.receive()
            if kind == CONFIGURE and self.account in ("deaf", "late"):
                note(self.account, "asked")
            elif kind == CONFIGURE:
                self.channel.reply(kind, number)
            elif kind == NEW_SESSION:
                self.log_in(payload, fds)
                self.channel.reply(kind, number)
                time.sleep(1.2)  # no worker sleeps sooner
                getattr(self, self.account)()

    def log_in(self, payload, fds):
        reader = Reader(payload)
        for _ in range(3):
            reader.string()
        reader.take("Q")
        reader.take("B")
        tag = reader.string()
        self.session = fds
        socket.socket(fileno=os.dup(fds[0])).send(tag + b" OK logged in\r\n")

    def rest(self, state, stream=None):
        stream = self.session[0] if stream is None else stream
        self.channel.send(REST_SESSION, string(state) + b"\1\0\0", [stream])

    def sleep(self, sessions=1):
        """Whether moxd agrees."""
        self.next += 1
        self.channel.send(SLEEP, struct.pack("<IqB", sessions, 60, 1), [self.session[1]], number=self.next)
        while True:
            kind, number, flags, _, _ = self.channel.receive()
            if kind == SLEEP and number == self.next:
                note(self.account, "granted" if flags == 1 else "refused")
                return flags == 1

    # ---- the lies

    def awake(self):
        """Says that it sleeps, and goes on."""
        self.rest(b"state")
        if self.sleep():
            stream = socket.socket(fileno=os.dup(self.session[0]))
            while True:
                stream.send(b"* OK wide awake\r\n")
                time.sleep(0.5)

    def stopped(self):
        self.rest(b"state")
        if self.sleep():
            os.kill(os.getpid(), signal.SIGSTOP)

    def malformed(self):
        """Leaves a state that is none; the next worker is the real one."""
        self.rest(os.urandom(500))
        self.sleep()
        os._exit(0)

    def unwoken(self):
        """Sleeps; and the next one, which is this too, does not answer when it is woken."""
        self.malformed()

    def oversized(self):
        self.rest(bytes(32 * 1024 + 1))
        self.sleep()
        for _ in range(100):
            self.rest(bytes(4_000_000))
        for _ in range(20_000):
            self.rest(bytes(1000))
        note(self.account, "told")

    def foreign(self):
        """A stream that no front has made."""
        ours, theirs = socket.socketpair()
        self.rest(b"state", theirs.fileno())
        self.kept = ours
        self.sleep()

    def restless(self):
        """Is granted, stays, and asks again and again."""
        end = time.monotonic() + 6
        grants = 0
        while time.monotonic() < end:
            self.rest(b"state")
            grants += self.sleep()
            self.channel.send(STAY_AWAKE, b"")
        note(self.account, "grants", str(grants))


def main():
    parent = socket.socket(fileno=os.dup(3))
    select.select([parent], [], [])
    start = parent.recv(HEADER.size + 300, socket.MSG_PEEK)
    parent.close()
    account = ""
    if len(start) > HEADER.size and HEADER.unpack_from(start)[2] == CONFIGURE:
        reader = Reader(start[HEADER.size + 2 :])
        account = reader.string().decode()
    reformed = (account == "malformed" and noted(account, "granted")) or (account == "late" and noted(account, "asked"))
    if account not in LIES or reformed:
        real = os.path.join(HERE, "real-imapd-worker")
        os.execv(real, [real, *sys.argv[1:]])
    Liar(account).serve()


main()
