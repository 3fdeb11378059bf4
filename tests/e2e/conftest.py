"""Fixtures of the end-to-end tests.

suite        one suite in local mode, shared by the tests that leave it as they found it; after each of them it is
             checked that no process died meanwhile
own_suite    a suite in local mode for one test alone, which may do to it what it likes
start_suite  a function that starts suites (see Suite.start) for one test, and stops them after it

On a failure the end of the log of every suite that runs is shown with the report.
"""

import os
import shutil
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, __file__.rpartition("/")[0])

import mox  # noqa: E402


def pytest_configure(config):
    for line in (
        "slow: takes more than a few seconds; left out by --quick",
        "smtp: receiving mail",
        "submission: sending mail",
        "imap: reading mail",
        "clients: real clients from Debian",
        "control: moxctl and the configuration",
        "death: processes killed",
        "http: httpd",
        "sandbox: what the processes may do",
        "manpages: the manual pages",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for suite in mox.Suite.live:
            report.sections.append((f"end of the log of the suite in {suite.directory}", suite.log_tail()))


@pytest.fixture(scope="session")
def shared_suite():
    external = os.environ.get("MOX_E2E_EXTERNAL")
    suite = mox.ExternalSuite(external) if external else mox.Suite.start(name="shared")
    yield suite
    suite.stop()


def deaths(suite):
    """Restarts by process name; account workers come and go, so they do not count."""
    return {p["name"]: p["restarts"] for p in suite.status() if "worker" not in p["role"]}


@pytest.fixture
def suite(shared_suite):
    """The shared suite; fails a test during which one of its processes died."""
    before = deaths(shared_suite)
    yield shared_suite
    shared_suite.check_log()
    after = deaths(shared_suite)
    died = [name for name, count in before.items() if after.get(name, 0) != count]
    assert not died, f"restarted during the test: {died}"


@pytest.fixture
def start_suite(request):
    """Starts suites that are stopped, with all checks of a clean end, when the test is over."""
    started = []

    def start(*args, **kwargs):
        kwargs.setdefault("name", request.node.name.removeprefix("test_").split("[")[0])
        suite = mox.Suite.start(*args, **kwargs)
        started.append(suite)
        return suite

    yield start
    problems = []
    for suite in started:
        if suite not in mox.Suite.live:
            continue
        try:
            suite.stop()
        except AssertionError as e:
            problems.append(str(e))
    assert not problems, "\n".join(problems)


@pytest.fixture
def own_suite(start_suite):
    return start_suite()


@pytest.fixture
def mailbox(suite, request):
    """A fresh mailbox in the shared suite, by name; removed afterwards."""
    name = "t-" + mox.unique_id()[:12]
    with suite.imap() as client:
        client.ok(client.create(name))
    yield name
    with suite.imap() as client:
        client.delete(name)


@pytest.fixture
def need():
    """need("swaks"): the path of a program that bootstrap installs."""

    def find(program):
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
        assert path, f"{program} is not installed (./bootstrap deps)"
        return path

    return find


@pytest.fixture
def raw(suite):
    with suite.imap_raw(login=True, port="imaps") as client:
        yield client


@pytest.fixture
def box(raw, mailbox):
    """A client with a fresh, empty mailbox selected; its name is box.mailbox."""
    raw.ok(f"SELECT {mailbox}")
    raw.mailbox = mailbox
    return raw
