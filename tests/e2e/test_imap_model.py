"""Several sessions of one account do random things to one mailbox; each must be told exactly what it needs to know.

A Session keeps what a client would keep: the list of messages by the untagged answers alone, their flags, the modseq it may
come back with. Everything it is told is checked against that list; at the end of each round all sessions must agree with
a fresh one. Reproducible: MOX_MODEL_SEED, MOX_MODEL_ROUNDS (minutes of it: some thousands).
"""

import os
import random
import re
import time

import mox
import pytest
from mox import parse_imap

pytestmark = pytest.mark.imap

ROUNDS = int(os.environ.get("MOX_MODEL_ROUNDS", "200"))
SEEDS = [int(os.environ["MOX_MODEL_SEED"])] if "MOX_MODEL_SEED" in os.environ else [1, 2, 3]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "\\Draft", "$Junk", "red", "blue"]
KINDS = ["plain", "condstore", "qresync", "rev2", "uidonly", "notify"]
BY_UID = ("uidonly", "notify")  # message numbers are given up, or may change at any time (RFC 5465 5.3)
ENABLE = {"condstore": "CONDSTORE", "qresync": "QRESYNC", "rev2": "IMAP4rev2", "uidonly": "UIDONLY"}


def numbers(text):
    """The numbers of a set without `*`."""
    out = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        out += range(int(first), int(last or first) + 1)
    return out


class Session:
    """A client: `uids` has None for messages it has only been told to exist."""

    def __init__(self, suite, kind, mailbox):
        self.client = suite.imap_raw(login=True, port="imaps")
        self.kind, self.mailbox = kind, mailbox
        self.log = []
        if kind in ENABLE:
            self.client.ok("ENABLE " + ENABLE[kind])
        if kind == "notify":
            self.client.ok("NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))")
        self.pending = []
        self.uids, self.flags, self.modseq = [], {}, 0
        self.select()

    # ---- what comes in

    def fail(self, why):
        raise AssertionError(f"{self.kind} session: {why}\n" + "\n".join(map(str, self.log[-25:])))

    def check(self, right, why):
        if not right:
            self.fail(why)

    def take(self, line, command):
        self.log.append(("<", line))
        text = line.decode("utf-8", "replace")
        if found := re.match(r"\* (\d+) EXISTS", text):
            count = int(found.group(1))
            self.check(count >= len(self.uids), "EXISTS lower than what is known")
            self.uids += [None] * (count - len(self.uids))
        elif found := re.match(r"\* (\d+) EXPUNGE", text):
            self.check(self.kind not in ("qresync", "uidonly"), "EXPUNGE instead of VANISHED")
            self.check(not re.match(r"(FETCH|STORE|SEARCH) ", command), "EXPUNGE while numbers are in use")
            number = int(found.group(1))
            self.check(1 <= number <= len(self.uids), "EXPUNGE of a message that is not there")
            self.forget(self.uids.pop(number - 1))
        elif found := re.match(r"\* VANISHED (\(EARLIER\) )?(\S+)", text):
            self.check(self.kind in ("qresync", "uidonly"), "VANISHED was not enabled")
            self.check(found.group(1) or not re.match(r"(FETCH|STORE|SEARCH) ", command), "VANISHED while numbers are in use")
            self.vanished(numbers(found.group(2)), found.group(1))
        elif re.match(r"\* \d+ (UID)?FETCH ", text):
            self.fetched(line)

    def forget(self, uid):
        self.flags.pop(uid, None)

    def vanished(self, uids, earlier):
        for uid in uids:
            if uid in self.uids:
                self.check(not earlier, "VANISHED (EARLIER) of a message that is known")
                self.uids.remove(uid)
            elif not earlier:
                self.check(None in self.uids, f"VANISHED of {uid}, which is not there")
                self.uids.remove(None)
            self.forget(uid)

    def fetched(self, line):
        _, number, kind, items = parse_imap(line)
        values = {items[i].upper(): items[i + 1] for i in range(0, len(items), 2)}
        if kind == "UIDFETCH":
            uid = int(number)
            self.check(self.kind == "uidonly", "UIDFETCH was not enabled")
            if uid not in self.uids:
                self.check(None in self.uids, f"UIDFETCH of {uid}, which is not there")
                self.uids[self.uids.index(None)] = uid
        else:
            number = int(number)
            self.check(self.kind != "uidonly", "FETCH in a UIDONLY session")
            self.check(1 <= number <= len(self.uids), "FETCH of a message that is not there")
            if "UID" in values:
                uid = int(values["UID"])
                self.check(self.uids[number - 1] in (None, uid), f"message {number} is {self.uids[number - 1]}, not {uid}")
                self.check(uid not in self.uids or self.uids[number - 1] == uid, f"{uid} stands elsewhere")
                self.uids[number - 1] = uid
            uid = self.uids[number - 1]
        if self.kind in ("condstore", "qresync") and "FLAGS" in values and not self.plain_fetch:
            self.check("MODSEQ" in values, "flags without MODSEQ")
        if "MODSEQ" in values:
            self.highest = max(self.highest, int(values["MODSEQ"][0]))
        if "FLAGS" in values and uid is not None:
            self.flags[uid] = frozenset(f.lower() for f in values["FLAGS"]) - {"\\recent"}
            self.told.add(uid)

    def until(self, tag, command):
        self.highest, self.lines, code = 0, 0, None
        self.told = set()
        self.plain_fetch = "FETCH" in command and "MODSEQ" not in command
        while True:
            line = self.client.line()
            if found := re.search(rb"\[HIGHESTMODSEQ (\d+)\]", line):
                code = int(found.group(1))
            if line.startswith(tag.encode() + b" "):
                break
            self.take(line, command)
            self.lines += 1
        self.log.append(("<", line))
        # RFC 7162 6: what a client may come back with
        if code is not None:
            self.modseq = code
        elif line.split()[1] == b"OK":
            self.modseq = max(self.modseq, self.highest)
        known = [uid for uid in self.uids if uid is not None]
        self.check(known == sorted(set(known)), f"UIDs not ascending: {known}")
        return line[len(tag) + 1 :].decode("utf-8", "replace")

    # ---- what goes out

    def send(self, command, expect=None):
        """Sends without reading; answers are read by finish()."""
        tag = self.client.tag()
        self.log.append((">", f"{tag} {command}"))
        self.client.write(f"{tag} {command}\r\n")
        self.pending.append((tag, command, expect))

    def finish(self):
        for tag, command, expect in self.pending:
            answer = self.until(tag, command)
            self.check(not answer.startswith("BAD"), f"{command}: {answer}")
            if expect:
                expect(answer)
        self.pending = []

    def run(self, command, expect=None):
        self.send(command, expect=expect)
        self.finish()

    def select(self):
        self.uids, self.flags = [], {}
        tag = self.client.tag()
        self.log.append((">", f"{tag} SELECT {self.mailbox}"))
        self.client.write(f"{tag} SELECT {self.mailbox}\r\n")
        self.until(tag, "SELECT")
        self.fill_in()

    def fill_in(self):
        """Learns the UIDs and flags of what it has only heard of, as a client does after EXISTS."""
        if None in self.uids:
            before = self.uids[self.uids.index(None) - 1] if self.uids[0] is not None else 0
            items = "UID FLAGS MODSEQ" if self.kind in ("condstore", "qresync") else "UID FLAGS"
            self.run(f"UID FETCH {before + 1}:* ({items})")

    def close(self):
        self.client.write("z LOGOUT\r\n")
        self.client.socket.close()


class Model:
    def __init__(self, suite, mailbox, seed, kinds=KINDS):
        self.suite, self.mailbox, self.random = suite, mailbox, random.Random(seed)
        self.sessions = [Session(suite, kind, mailbox) for kind in kinds]
        self.by_number = False  # whether messages are named so where they can be

    def pick(self, session):
        """A set of messages: (prefix of the command, set, UIDs that it names)."""
        known = [uid for uid in session.uids if uid is not None]
        if not known:
            return None
        chosen = sorted(self.random.sample(known, min(len(known), self.random.randint(1, 4))))
        if session.kind in BY_UID or (not self.by_number and self.random.random() < 0.5):
            return "UID ", ",".join(map(str, chosen)), chosen
        return "", ",".join(str(session.uids.index(uid) + 1) for uid in chosen), chosen

    def store(self, session):
        if not (picked := self.pick(session)):
            return
        uid, where, chosen = picked
        flags = self.random.sample(FLAGS, self.random.randint(1, 3))
        mode = self.random.choice(["+", "-", ""])
        # What is told between commands may be older than the STORE: only its own answer says how it ended.
        silent = self.random.choice(["", ".SILENT"]) if session.kind != "notify" else ""
        condition = ""
        if session.kind in ("condstore", "qresync") and self.random.random() < 0.3:
            condition = f"(UNCHANGEDSINCE {session.modseq}) "
        numbers_then = list(session.uids)

        def expect(answer):
            # A client that stores silently takes the flags to be as it said, unless it is told.
            if not silent or not answer.startswith("OK"):
                return
            refused = re.search(r"\[MODIFIED (\S+)\]", answer)
            refused = numbers(refused.group(1)) if refused else []
            for one in chosen:
                if (one if uid else numbers_then.index(one) + 1) in refused or one not in session.uids or one in session.told:
                    continue
                before = session.flags.get(one, frozenset())
                lower = frozenset(flag.lower() for flag in flags)
                session.flags[one] = {"+": before | lower, "-": before - lower, "": lower}[mode]

        session.send(f"{uid}STORE {where} {condition}{mode}FLAGS{silent} ({' '.join(flags)})", expect=expect)

    def append(self, session):
        text = "a: b\r\n\r\n" + "x" * self.random.randint(0, 50)
        flags = " ".join(self.random.sample(FLAGS, self.random.randint(0, 2)))
        messages = " ".join(f"({flags}) {{{len(text)}+}}\r\n{text}" for _ in range(self.random.randint(1, 3)))
        session.send(f"APPEND {self.mailbox} {messages}")

    def fetch(self, session):
        if picked := self.pick(session):
            items = self.random.choice(["(UID FLAGS)", "(UID BODY[])", "(UID ENVELOPE)", "(UID RFC822.SIZE FLAGS)"])
            session.send(f"{picked[0]}FETCH {picked[1]} {items}")

    def copy(self, session):
        if len(session.uids) < 60 and (picked := self.pick(session)):
            session.send(f"{picked[0]}COPY {picked[1]} {self.mailbox}")

    def move(self, session):
        if picked := self.pick(session):
            session.send(f"{picked[0]}MOVE {picked[1]} {self.mailbox}-other")

    def replace(self, session):
        known = [uid for uid in session.uids if uid is not None]
        if known:
            session.send(f"UID REPLACE {self.random.choice(known)} {self.mailbox} (red) {{8+}}\r\na: b\r\n\r\n")

    def expunge(self, session):
        if self.random.random() < 0.5 or not (picked := self.pick(session)):
            session.send("EXPUNGE")
        else:
            session.send(f"UID EXPUNGE {','.join(map(str, picked[2]))}")

    def search(self, session):
        uid = "UID " if session.kind in BY_UID else self.random.choice(["", "UID "])
        session.send(f"{uid}SEARCH {self.random.choice(['DELETED', 'UNSEEN', 'KEYWORD red', 'TEXT x'])}")

    def noop(self, session):
        session.send(self.random.choice(["NOOP", "CHECK"]))

    def idle(self, session):
        tag = session.client.tag()
        session.client.write(f"{tag} IDLE\r\nDONE\r\n")
        session.pending.append((tag, "IDLE", None))

    def step(self, session):
        actions = [self.store, self.append, self.fetch, self.copy, self.move, self.replace, self.expunge, self.search, self.noop, self.idle]
        self.random.choices(actions, [6, 3, 4, 1, 1, 1, 2, 2, 2, 1])[0](session)

    def sequential(self):
        for _ in range(self.random.randint(3, 10)):
            session = self.random.choice(self.sessions)
            self.step(session)
            session.finish()
            session.fill_in()

    def at_once(self):
        """All sessions send, then all read: what they do overlaps in the server."""
        for session in self.sessions:
            self.step(session)
        for session in self.random.sample(self.sessions, len(self.sessions)):
            session.finish()
        for session in self.sessions:
            session.fill_in()

    def truth(self):
        with self.suite.imap_raw(login=True, port="imaps") as client:
            client.ok(f"EXAMINE {self.mailbox}")
            found = {}
            for line in client.ok("UID FETCH 1:* (UID FLAGS)")[:-1]:
                if re.match(rb"\* \d+ FETCH ", line):
                    items = parse_imap(line)[3]
                    values = dict(zip(items[::2], items[1::2]))
                    found[int(values["UID"])] = frozenset(flag.lower() for flag in values["FLAGS"])
            return found

    def compare(self):
        truth = self.truth()
        for session in self.sessions:
            session.run("NOOP")
            session.fill_in()
            session.check(session.uids == list(truth), f"has {session.uids}, there are {list(truth)}")
            wrong = {uid: (session.flags.get(uid), flags) for uid, flags in truth.items() if session.flags.get(uid) != flags}
            session.check(not wrong, f"flags told and true: {wrong}")

    def come_back(self):
        """A QRESYNC client is cut off at any point and comes back with what it had (RFC 7162 3.2.5)."""
        old = next(s for s in self.sessions if s.kind == "qresync")
        old.close()
        new = Session(self.suite, "qresync", self.mailbox)
        validity = next(re.search(r"UIDVALIDITY (\d+)", str(line)).group(1) for way, line in new.log if b"UIDVALIDITY" in (line if isinstance(line, bytes) else line.encode()))
        known = [uid for uid in old.uids if uid is not None]
        lines = new.client.ok(f"SELECT {self.mailbox} (QRESYNC ({validity} {old.modseq}))")
        kept = {uid: old.flags[uid] for uid in known if uid in old.flags}
        if None in old.uids:  # told to exist, but never asked for: the client knows that it has to
            before = old.uids[old.uids.index(None) - 1] if old.uids[0] is not None else 0
            lines += new.client.ok(f"UID FETCH {before + 1}:* (UID FLAGS)")
        for line in lines:
            new.log.append(("<", line))
            if found := re.match(rb"\* VANISHED \(EARLIER\) (\S+)", line):
                for uid in numbers(found.group(1).decode()):
                    kept.pop(uid, None)
            elif re.match(rb"\* \d+ FETCH ", line):
                items = parse_imap(line)[3]
                values = dict(zip(items[::2], items[1::2]))
                kept[int(values["UID"])] = frozenset(flag.lower() for flag in values["FLAGS"])
        truth = self.truth()
        new.check(kept == truth, f"after coming back with {old.modseq}: missing {truth.keys() - kept.keys()}, too many {kept.keys() - truth.keys()}, flags {[(u, kept[u], truth[u]) for u in truth if u in kept and kept[u] != truth[u]]}")
        new.select()
        self.sessions[self.sessions.index(old)] = new

    def run(self, rounds):
        for _ in range(rounds):
            self.round()
        self.compare()
        for session in self.sessions:
            session.close()

    def round(self):
        self.random.choice([self.sequential, self.at_once])()
        if self.random.random() < 0.15:
            self.come_back()
        if self.random.random() < 0.4:
            self.compare()


class RestingModel(Model):
    """Now and then all clients rest, in IDLE or before a command, until their worker sleeps or nearly so."""

    def sleep(self):
        """Until they do."""
        mox.wait_for(lambda: self.suite.control_json("status")["sessions_asleep"] == len(self.sessions), 20, "all asleep")

    def nap(self):
        time.sleep(self.random.uniform(0.7, 1.5))  # the moment of falling asleep is somewhere in it

    def rest(self):
        idle = self.random.sample(self.sessions, self.random.randint(0, len(self.sessions) - 1))
        for session in idle:
            session.send("IDLE")
        self.random.choice([self.sleep, self.nap])()
        if self.random.random() < 0.7:
            for session in self.random.choices([s for s in self.sessions if s not in idle], k=self.random.randint(1, 3)):
                self.step(session)
                session.finish()
                session.fill_in()
            self.random.choice([self.sleep, self.nap])()
        for session in idle:
            session.client.write("DONE\r\n")
        for session in self.sessions:
            session.finish()
            session.fill_in()

    def quiet_rest(self):
        """Who was told everything, and made the last changes itself, hears nothing after a sleep."""
        self.compare()
        last = self.random.choice(self.sessions)
        for _ in range(self.random.randint(1, 3)):
            self.random.choice([self.store, self.store, self.append, self.expunge, self.move])(last)
            last.finish()
            last.fill_in()
        self.sleep_and_hear(last, "")

    def rest_with_news_withheld(self):
        """It changes messages by their numbers while it may not be told that others are gone: then it hears of those alone."""
        self.compare()
        last = self.random.choice([session for session in self.sessions if session.kind not in BY_UID])
        other = self.random.choice([session for session in self.sessions if session is not last])
        if len(last.uids) < 3:
            return
        gone = self.random.choice(last.uids)
        other.run(f"UID STORE {gone} +FLAGS.SILENT (\\Deleted)")
        other.run(f"UID EXPUNGE {gone}")
        self.by_number = True
        for _ in range(self.random.randint(1, 3)):
            self.store(last)
            last.finish()
        self.by_number = False
        self.sleep_and_hear(last, r"\* (\d+ EXPUNGE|VANISHED )")

    def sleep_and_hear(self, last, only):
        """All others know everything; all sleep; then nobody but `last` hears anything, and that only what matches."""
        for session in self.sessions:
            if session is not last:
                session.run("NOOP")
                session.fill_in()
        self.sleep()
        for session in self.sessions:
            session.run("NOOP")
            heard = [line.decode() for _, line in session.log[-1 - session.lines : -1]]
            right = session is last and only and all(re.match(only, line) for line in heard)
            session.check(right or not heard, f"told again after a rest: {heard}")

    def round(self):
        super().round()
        if self.random.random() < 0.7:
            self.random.choice([self.rest, self.rest, self.quiet_rest, self.rest_with_news_withheld])()


@pytest.mark.parametrize("seed", SEEDS)
def test_model(suite, mailbox, seed):
    with suite.imap_raw(login=True, port="imaps") as client:
        client.ok(f"CREATE {mailbox}-other")
    try:
        Model(suite, mailbox, seed).run(ROUNDS)
    finally:
        with suite.imap_raw(login=True, port="imaps") as client:
            client.command(f"DELETE {mailbox}-other")


class AsAlice:
    """A suite whose clients are alice's."""

    def __init__(self, suite):
        self.suite = suite

    def imap_raw(self, **options):
        return self.suite.imap_raw(user="alice@test.example", password=mox.PASSWORDS["alice"], **options)

    def control_json(self, *arguments):
        return self.suite.control_json(*arguments)


@pytest.mark.parametrize("seed", SEEDS)
def test_model_with_rests(start_suite, seed):
    """As above, but the sessions rest so long that their worker ends and another goes on. With NOTIFY none rests."""
    suite = AsAlice(mox.start_configured(start_suite, extra="imap { sleep-after 1s }"))
    with suite.imap_raw(login=True, port="imaps") as client:
        client.ok("CREATE model")
        client.ok("CREATE model-other")
    RestingModel(suite, "model", seed, [kind for kind in KINDS if kind != "notify"]).run(max(ROUNDS // 10, 5))
    assert suite.suite.log().count("session goes on") > 10
