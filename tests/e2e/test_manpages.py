"""The manual pages: clean, and complete. An option, command or metric that its page does not have fails here."""

import glob
import os
import re
import subprocess

import mox
import pytest

pytestmark = pytest.mark.manpages

MAN = os.path.join(mox.ROOT, "man")
DAEMONS = ["storaged", "authd", "dnsd", "smtpd", "imapd", "httpd", "queued"]
WANTED = ["mox.conf.5", "domains.conf.5", "moxd.8", "moxctl.8"] + [f"{d}.8" for d in DAEMONS]
COMMANDS = ["status", "stop", "reload", "restart", "log", "account add", "account remove", "account list", "password"]
COMMANDS += ["account removed", "account undelete", "import", "export", "backup", "verify", "restore account", "restore all", "restore messages"]
COMMANDS += ["address add", "address remove", "domain add", "domain remove", "domain list", "queue list", "queue kick", "queue drop"]


def rendered(name):
    """A page as plain text with every run of blanks made one."""
    path = os.path.join(MAN, name)
    done = subprocess.run(["mandoc", "-Tascii", "-Owidth=200", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return re.sub(r"\s+", " ", re.sub(r".\x08", "", done.stdout))


def help_of(program, *arguments):
    """What a program says about itself; on which stream and with which status does not matter."""
    path = os.path.join(mox.BUILD, program, program)
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20 * mox.SLOW, stdin=subprocess.DEVNULL)
    text = done.stdout + done.stderr
    assert text.strip(), f"{program} {arguments} says nothing"
    return text


def options(text):
    return set(re.findall(r"(?<![\w-])(--[a-z][\w-]+|-[A-Za-z])(?![\w-])", text))


@pytest.mark.parametrize("name", WANTED)
def test_page_is_there_and_clean(name):
    path = os.path.join(MAN, name)
    assert os.path.exists(path), f"man/{name} is missing"
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", path], capture_output=True, text=True)
    assert done.stdout + done.stderr == "" and done.returncode == 0, done.stdout + done.stderr


def test_cross_references_exist():
    have = {os.path.basename(p) for p in glob.glob(os.path.join(MAN, "*.[1-9]"))}
    others = {"mandoc.1", "swaks.1", "curl.1", "mutt.1", "mbsync.1", "systemd.1", "unbound.conf.5", "openssl.1", "environ.7", "syslog.3"}
    for path in glob.glob(os.path.join(MAN, "*.[1-9]")):
        with open(path) as f:
            for name, section in re.findall(r"^\.Xr (\S+) (\d)", f.read(), re.M):
                target = f"{name}.{section}"
                assert target in have or target in others or "mox" not in name and name not in DAEMONS, f"{path}: {target}"


@pytest.mark.parametrize("program, argument, page", [("moxd", "-h", "moxd.8"), ("moxctl", "help", "moxctl.8")])
def test_options_stand_in_the_page(program, argument, page):
    found = options(help_of(program, argument)) - {"-h", "--help"}
    assert found, "no option in the help"
    text = rendered(page)
    missing = [o for o in sorted(found) if not re.search(rf"(?<![\w-]){re.escape(o)}(?![\w-])", text)]
    assert not missing, f"{page} lacks {missing}"


def test_options_of_the_page_exist():
    """The other way round: the page names no option that the program does not have."""
    for program, argument, page in (("moxd", "-h", "moxd.8"), ("moxctl", "help", "moxctl.8")):
        have = options(help_of(program, argument)) | {"-h", "--help"}
        with open(os.path.join(MAN, page)) as f:
            named = {"-" + o for o in re.findall(r"^\.(?:It|Op) Fl (\S+)", f.read(), re.M)}
        assert named <= have, named - have


def test_moxd_modes():
    text = rendered("moxd.8")
    for word in ("localserve", "-d", "-f", "-n", "-p"):
        assert re.search(rf"(?<![\w-]){word}(?![\w-])", text), word


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_moxctl(command):
    assert command in rendered("moxctl.8"), "not in the page"
    words = command.split()
    text = help_of("moxctl", "help")
    line = rf"(?m)^.*\b{words[0]}\b.*" + (rf"\b{words[1]}\b" if len(words) > 1 else "")
    assert re.search(line, text), "not in the help"


def test_commands_of_the_help_stand_in_the_page():
    commands = set(re.findall(r"(?m)^\s+(?:moxctl\s+)?([a-z]+)\b", help_of("moxctl", "help")))
    assert len(commands) >= 6, commands
    text = rendered("moxctl.8")
    missing = [c for c in commands if not re.search(rf"\b{c}\b", text)]
    assert not missing, missing


def test_metrics_stand_in_the_page(suite):
    import http.client

    connection = http.client.HTTPConnection(mox.HOST, suite.ports["metrics"], timeout=mox.TIMEOUT)
    connection.request("GET", "/metrics")
    names = set(re.findall(r"^# TYPE (\S+)", connection.getresponse().read().decode(), re.M))
    assert names
    text = rendered("httpd.8")
    missing = [n for n in sorted(names) if n not in text]
    assert not missing, f"httpd.8 lacks {missing}"
