#!/usr/bin/python3
"""Runs the same work against mox and against Postfix with Dovecot, one after the other, and shows both side by side.

    tests/bench/compare.py HARNESS [--work DIR] [--runs N] [--phases startup,inbound,...] [--fixture] [--quick] [--build BUILD]

HARNESS is a directory of a mail server benchmark with run.py, compare.py and servers/postfix_dovecot.py (Debian's postfix,
dovecot-imapd and dovecot-lmtpd installed, none of their services running). Each run begins with new instances below DIR; with
--fixture the mailboxes of 1,000 to 100,000 messages are built once per server and kept. Results are DIR/res/*.json. Run as root,
on a machine that does nothing else.
"""

import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("harness")
parser.add_argument("--work", default="/var/tmp/mox-compare")
parser.add_argument("--runs", type=int, default=1)
parser.add_argument("--phases", default="startup,inbound,submission,outbound,login,append,idle")
parser.add_argument("--fixture", action="store_true")
parser.add_argument("--quick", action="store_true")
parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
options = parser.parse_args()
work = os.path.abspath(options.work)
results = os.path.join(work, "res")


def run(*command):
    print("+", " ".join(command), file=sys.stderr)
    subprocess.run(command, cwd=options.harness, check=True, stdout=sys.stderr)


def set_up(server, directory):
    if server == "mox":
        run(sys.executable, os.path.join(HERE, "mox_profile.py"), directory, "--build", os.path.abspath(options.build))
    else:
        run(sys.executable, "servers/postfix_dovecot.py", directory, "--format", "maildir")
    return os.path.join(directory, "profile.json")


os.makedirs(results, exist_ok=True)
for number in range(1, options.runs + 1):
    for server in ("mox", "pfdc"):
        directory = os.path.join(work, server)
        shutil.rmtree(directory, ignore_errors=True)
        arguments = ["--phases", options.phases + (",mailbox" if options.fixture else "")]
        if options.fixture:
            kept = os.path.join(work, f"{server}-fixture")
            profile = os.path.join(kept, "profile.json")
            arguments += ["--fixture", profile if os.path.exists(profile) else set_up(server, kept)]
        if options.quick:
            arguments.append("--quick")
        out = os.path.join(results, f"{server}-{number}.json")
        run(sys.executable, "run.py", set_up(server, directory), "--out", out, *arguments)
files = [os.path.join(results, name) for name in sorted(os.listdir(results))]
subprocess.run([sys.executable, "compare.py", *files, "--base", "mox", "--md"], cwd=options.harness, check=True)
