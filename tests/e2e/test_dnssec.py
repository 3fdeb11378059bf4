"""DNSSEC for real: NSD serves a signed zone; what dnsd says of it is in the log of its look-ups."""

import os
import re
import shutil
import socket
import subprocess
import time

import pytest
from mox import Sink, message, start_configured, unique_id, wait_for, PASSWORDS

pytestmark = pytest.mark.submission

TOOLS = ("nsd", "ldns-keygen", "ldns-signzone")
ZONE = """$ORIGIN {name}.
$TTL 300
@ IN SOA ns admin 1 3600 600 86400 300
@ IN NS ns
ns IN A 127.0.0.1
@ IN MX 10 mx
mx IN A 127.0.0.1
"""
SPOILED = "broken IN MX 10 mx\n"
NSD = """
server:
    ip-address: 127.0.0.1@{port}
    port: {port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{dir}"
    database: ""
    pidfile: "{dir}/nsd.pid"
    xfrdfile: "{dir}/xfrd.state"
    zonelistfile: "{dir}/zone.list"
    logfile: "{dir}/nsd.log"
remote-control:
    control-enable: no
zone:
    name: signed.example
    zonefile: signed.zone.signed
zone:
    name: plain.example
    zonefile: plain.zone
"""
RESOLVER = """
resolver {
    forward 127.0.0.1@%d
    trust-anchor "%s"
}
queue { outgoing-port %d; retry-after 1s; give-up-after 1d }
"""


def tool(directory, *arguments):
    done = subprocess.run(arguments, cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout.strip()


def sign(directory):
    """Signs the zone, then spoils one signature; the trust anchor's file."""
    zone = os.path.join(directory, "signed.zone")
    with open(zone, "w") as f:
        f.write(ZONE.format(name="signed.example") + SPOILED)
    key = tool(directory, "ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "signed.example")
    tool(directory, "ldns-signzone", zone, key)
    with open(zone + ".signed") as f:
        text = f.read()
    spoiled = re.sub(r"(?m)^(broken\.signed\.example\.\s.*RRSIG\s+MX\s.*\s)(\S)(\S+)$", lambda m: m[1] + ("A" if m[2] != "A" else "B") + m[3], text)
    assert spoiled != text, text
    with open(zone + ".signed", "w") as f:
        f.write(spoiled)
    return os.path.join(directory, key + ".ds")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def name_server(tmp_path_factory):
    if not all(shutil.which(t, path=os.environ.get("PATH", "") + ":/usr/sbin") for t in TOOLS):
        pytest.skip("needs nsd and ldnsutils")
    directory = str(tmp_path_factory.mktemp("nsd"))
    os.chmod(directory, 0o755)
    anchor = sign(directory)
    port = free_port()
    for name, text in (("plain.zone", ZONE.format(name="plain.example")), ("nsd.conf", NSD.format(dir=directory, port=port))):
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
    nsd = shutil.which("nsd", path="/usr/sbin:/usr/bin")
    process = subprocess.Popen([nsd, "-d", "-c", os.path.join(directory, "nsd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: subprocess.run(["dig", "+short", "+tries=1", "+time=1", "@127.0.0.1", "-p", str(port), "MX", "plain.example"], capture_output=True).stdout.strip(), 10, "nsd")
        yield port, anchor
    finally:
        process.terminate()
        process.wait(10)


def looked_up(suite, name):
    """What dnsd found out: {type: (result, secure)}."""
    found = {}
    for line in suite.log().splitlines():
        m = re.search(rf"msg=lookup name={re.escape(name)}\.? type=(\w+) result=(\w+) secure=(\w+)", line)
        if m:
            found[m[1]] = (m[2], m[3])
    return found


def test_secure_insecure_and_bogus(start_suite, name_server):
    port, anchor = name_server
    with Sink() as sink:
        suite = start_configured(start_suite, RESOLVER % (port, anchor, sink.port))
        for domain in ("signed.example", "plain.example", "broken.signed.example"):
            with suite.smtp("submissions") as client:
                assert client.auth_plain("alice@test.example", PASSWORDS["alice"]) == 235
                raw = message(sender="alice@test.example", to=f"x@{domain}", test_id=unique_id())
                client.send(raw, to=f"x@{domain}", sender="alice@test.example")
        wait_for(lambda: len(sink.messages) == 2, 15, "two messages delivered", 0.1)
        wait_for(lambda: "mx" in looked_up(suite, "broken.signed.example"), 15, "the look-up of the spoiled name", 0.1)
        assert looked_up(suite, "signed.example")["mx"] == ("found", "true")
        assert looked_up(suite, "mx.signed.example")["a"] == ("found", "true")
        assert looked_up(suite, "plain.example")["mx"] == ("found", "false")
        # Bogus is a temporary failure, never an answer: the message waits.
        assert looked_up(suite, "broken.signed.example")["mx"][1] == "false"
        assert looked_up(suite, "broken.signed.example")["mx"][0] not in ("found", "no_data", "no_domain")
        time.sleep(1)
        assert len(sink.messages) == 2
        (waiting,) = suite.control_json("queue", "list")["messages"]
        assert waiting["to"] == "x@broken.signed.example" and "DNSSEC" in waiting["last_error"], waiting
