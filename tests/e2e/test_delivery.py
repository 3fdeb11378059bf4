"""Sending on: MX look-ups, STARTTLS when offered, retries, giving up, smarthosts. Another server (mox.Sink) stands in for the
world; the resolver has it as local data."""

import email
import email.policy
import time

import pytest
import mox
from mox import PASSWORDS, Sink, make_certificate, message, start_configured, unique_id, wait_for

pytestmark = pytest.mark.submission

DNS = """
resolver {
    local-data "remote.example. 300 IN MX 10 mx.remote.example."
    local-data "mx.remote.example. 300 IN A 127.0.0.1"
    local-data "nomx.example. 300 IN A 127.0.0.1"
    local-data "null.example. 300 IN MX 0 ."
    local-data "several.example. 300 IN MX 20 mx.remote.example."
    local-data "several.example. 300 IN MX 10 dead.remote.example."
    local-data "dead.remote.example. 300 IN A 127.0.0.9"
    local-data "empty.example. 300 IN TXT nothing"
    no-dnssec
}
queue {
    outgoing-port %d
    retry-after 1s
    give-up-after %s
    delay-notice-after 30d
}
"""


def submit(suite, to, test_id=None, body="Hello.\r\n"):
    raw = message(sender="alice@test.example", to=to if isinstance(to, str) else to[0], test_id=test_id, body=body)
    with suite.smtp("submissions") as client:
        assert client.auth_plain("alice@test.example", PASSWORDS["alice"]) == 235
        client.send(raw, to=to, sender="alice@test.example")
    return raw


def notices(suite):
    return [m for m in suite.messages(user="alice@test.example", password=PASSWORDS["alice"]) if b"multipart/report" in m]


def wait_notice(suite, seconds=20):
    return email.message_from_bytes(wait_for(lambda: notices(suite), seconds, "a notice", 0.2)[0], policy=email.policy.default)


def start(start_suite, sink, give_up="5d", **more):
    return start_configured(start_suite, DNS % (sink.port, give_up), **more)


def test_mx_and_content(start_suite):
    with Sink() as sink:
        suite = start(start_suite, sink)
        test_id = unique_id()
        raw = submit(suite, "you@remote.example", test_id, body=".\r\n..dots\r\n.end\r\n")
        sender, recipients, content, _ = sink.wait_message(test_id)
        assert sender.startswith("<alice@test.example>") and recipients == ["you@remote.example"]
        assert content.endswith(raw.partition(b"\r\n\r\n")[2]) and mox.test_id_of(content) == test_id
        assert content.count(b"X-Test-Id") == 1 and b"Received: " in content
        assert any(c.upper() == "EHLO MAIL.TEST.EXAMPLE" for c in sink.commands), sink.commands
        wait_for(lambda: "remote.example" not in suite.control("queue", "list"), 5, "an empty queue")
        assert not notices(suite)

        # Without MX the address itself is used (RFC 5321 5.1).
        test_id = unique_id()
        submit(suite, "you@nomx.example", test_id)
        sink.wait_message(test_id)

        # The first of two servers is not there: the next one is tried in the same attempt.
        test_id = unique_id()
        submit(suite, "you@several.example", test_id)
        sink.wait_message(test_id)


def test_starttls_when_offered(start_suite, tmp_path):
    with Sink(tls=make_certificate(str(tmp_path))) as sink:
        suite = start(start_suite, sink)
        submit(suite, "you@remote.example")
        assert sink.wait_message()[3], "STARTTLS was offered and not used"


def test_temporary_failure_is_tried_again(start_suite):
    with Sink({"RCPT": ["451 4.3.0 later", "250 2.1.5 ok"], "END": ["452 4.2.2 full", "250 2.0.0 ok"]}) as sink:
        suite = start(start_suite, sink)
        test_id = unique_id()
        submit(suite, "you@remote.example", test_id)
        sink.wait_message(test_id)
        time.sleep(1.5)
        assert len([m for m in sink.messages if mox.test_id_of(m[2]) == test_id]) == 1, "delivered twice"
        assert not notices(suite)


def test_permanent_failure_gives_a_notice(start_suite):
    with Sink({"RCPT": ["550 5.1.1 no such user here"]}) as sink:
        suite = start(start_suite, sink)
        submit(suite, "you@remote.example")
        notice = wait_notice(suite)
        parts = list(notice.iter_parts())
        recipient = parts[1].get_payload()[1]
        assert recipient["Status"] == "5.1.1"
        assert "550 5.1.1 no such user here" in " ".join(recipient["Diagnostic-Code"].split())
        assert "mx.remote.example" in recipient["Remote-MTA"]
        assert sink.connections == 1, "a permanent failure was tried again"


def test_giving_up(start_suite):
    with Sink({"MAIL": ["421 4.3.2 not now"]}) as sink:
        suite = start(start_suite, sink, give_up="4s")
        submit(suite, "you@remote.example")
        notice = wait_notice(suite, 30)
        assert list(notice.iter_parts())[1].get_payload()[1]["Status"][0] in "45"
        assert sink.connections >= 2
        assert "remote.example" not in suite.control("queue", "list")


@pytest.mark.parametrize("domain", ["null.example", "empty.example"])
def test_domains_without_mail(start_suite, domain):
    """A null MX (RFC 7505), a name without addresses: permanent."""
    with Sink() as sink:
        suite = start(start_suite, sink)
        submit(suite, f"you@{domain}")
        wait_notice(suite)
        assert sink.connections == 0


def test_several_recipients_of_one_domain(start_suite):
    """One fails for good: the others have the message once, and the notice is about that one."""
    with Sink({"RCPT": ["250 2.1.5 ok", "550 5.1.1 no", "250 2.1.5 ok"]}) as sink:
        suite = start(start_suite, sink)
        test_id = unique_id()
        to = [f"r{i}@remote.example" for i in range(3)]
        submit(suite, to, test_id)
        wait_notice(suite)
        wait_for(lambda: sum(len(m[1]) for m in sink.messages) == 2, 10, "two recipients served")
        got = sorted(r for m in sink.messages for r in m[1])
        assert len(set(got)) == 2 and len(notices(suite)) == 1
        missing = (set(to) - set(got)).pop()
        assert missing.encode() in notices(suite)[0]


def test_smarthost(start_suite):
    with Sink() as sink, Sink() as world:
        routes = f"""
            transport relay {{ host 127.0.0.1; port {sink.port}; tls none }}
            route {{ to-domain "remote.example"; transport relay }}
        """
        suite = start(start_suite, world, extra_domains=routes)
        first, second = unique_id(), unique_id()
        submit(suite, "you@remote.example", first)
        submit(suite, "you@nomx.example", second)
        sink.wait_message(first)
        world.wait_message(second)
        assert [mox.test_id_of(m[2]) for m in sink.messages] == [first]


def test_the_queue_goes_on_after_kill_9(start_suite):
    with Sink({"RCPT": ["451 4.3.0 later"]}) as sink:
        suite = start(start_suite, sink)
        test_id = unique_id()
        submit(suite, "you@remote.example", test_id)
        wait_for(lambda: sink.connections, 10, "a first attempt")
        suite.note_processes()
        suite.process.kill()
        suite.process.wait()
        wait_for(lambda: not suite.left_over(), 10, "children outlive moxd")
        sink.answers["RCPT"] = ["250 2.1.5 ok"]
        suite.run()
        sink.wait_message(test_id, 40)


LONG = "More than a kilobyte.\r\n" * 100
QUOTAS = """
domain "test.example"
account alice { address "alice@test.example" }
account bob {
    address "bob@test.example"
    quota %s
}
account admin { address "admin@test.example" }
"""


def holds(suite, account, test_id):
    return len(suite.find(test_id, user=f"{account}@test.example", password=PASSWORDS[account]))


def test_a_full_mailbox_among_others_waits_in_the_queue(start_suite):
    """One answer for all recipients: the sender must not have to send again to those who have it."""
    with Sink() as sink:
        suite = start_configured(start_suite, DNS % (sink.port, "1d"), domains=QUOTAS % "1K")
        test_id = unique_id()
        raw = message(test_id=test_id, sender="someone@remote.example", body=LONG)
        suite.deliver(raw, to=["alice@test.example", "bob@test.example"], sender="someone@remote.example")
        assert holds(suite, "alice", test_id) == 1
        assert holds(suite, "bob", test_id) == 0
        (entry,) = suite.control_json("queue", "list")["messages"]
        assert entry["to"] == "bob@test.example" and entry["from"] == "someone@remote.example"
        suite.write_config(domains=QUOTAS % "1M")
        suite.control("reload")
        suite.control("queue", "kick", "all")
        wait_for(lambda: holds(suite, "bob", test_id) == 1, 10, "the message in the mailbox that had been full", 0.1)
        assert holds(suite, "alice", test_id) == 1
        got = suite.find(test_id, user="bob@test.example", password=PASSWORDS["bob"])[0]
        assert got.startswith(b"Return-Path: <someone@remote.example>\r\nDelivered-To: bob@test.example\r\n")
        assert got.endswith(raw)
        assert sink.connections == 0


def test_a_full_mailbox_among_others_is_reported_when_given_up(start_suite):
    with Sink() as sink:
        suite = start_configured(start_suite, DNS % (sink.port, "2s"), domains=QUOTAS % "1K")
        raw = message(test_id=unique_id(), sender="someone@remote.example", body=LONG)
        suite.deliver(raw, to=["alice@test.example", "bob@test.example"], sender="someone@remote.example")
        wait_for(lambda: sink.messages, 20, "a notice to the sender", 0.1)
        sender, recipients, notice, _ = sink.messages[0]
        assert sender.startswith("<>") and recipients == ["someone@remote.example"]
        assert b"Final-Recipient: rfc822; bob@test.example" in notice and b"the mailbox is full" in notice


def test_a_full_mailbox_alone_is_a_temporary_error(start_suite):
    suite = start_configured(start_suite, domains=QUOTAS % "1K")
    with suite.smtp() as client:
        client.envelope(to="bob@test.example")
        reply = client.data(message(body=LONG))
        assert reply == 452 and reply.enhanced == "4.2.2"
    assert suite.control_json("queue", "list")["messages"] == []
