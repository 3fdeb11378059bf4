#!/usr/bin/python3
"""Writes a mox instance and a profile of it for a mail server benchmark harness that takes such profiles.

    tests/bench/mox_profile.py DIR [--build BUILD] [--name mox]

DIR gets mox.conf, domains.conf, data and profile.json: how to start the server, its ports, 21 users user1@bench.test ...
with one password, and where the mail for sink.test goes. Ports above 1024 on 127.0.0.4; passwords are taken on loopback without TLS;
everything else is as in a fresh installation. Run as root, so that the programs run confined as their own users.
"""

import argparse
import json
import os
import subprocess

DOMAIN, USERS, PASSWORD = "bench.test", 21, "benchbench"
HOST = "127.0.0.4"
PORTS = {"smtp": 4025, "submission": 4587, "submissions": 4465, "imap": 4143, "imaps": 4993}
SINK = {"domain": "sink.test", "host": "127.0.0.1", "port": 2526}
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("dir")
parser.add_argument("--build", default=os.path.join(ROOT, "build"))
parser.add_argument("--name", default="mox")
options = parser.parse_args()
options.build = os.path.abspath(options.build)
directory = os.path.abspath(options.dir)


def write(name, text):
    with open(os.path.join(directory, name), "w") as f:
        f.write(text)


os.makedirs(os.path.join(directory, "log"), exist_ok=True)
certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
if not os.path.exists(certificate):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
        + ["-subj", f"/CN=mail.{DOMAIN}", "-addext", f"subjectAltName=DNS:mail.{DOMAIN},DNS:localhost"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        stderr=subprocess.DEVNULL,
    )
services = "\n".join(f"    {name} {{ port {port} }}" for name, port in PORTS.items())
write(
    "mox.conf",
    f"""hostname "mail.{DOMAIN}"
data-directory "{directory}/data"
control-socket "{directory}/control"
postmaster account "user1"
log {{ level info }}
resolver {{ no-dnssec yes; forward 127.0.0.153 }}
listen bench {{
    address {HOST}
    tls files "{certificate}" "{key}"
    allow-insecure-auth yes
    max-connections 20000
    max-connections-per-address 20000
{services}
}}
""",
)
accounts = "\n".join(f'account "user{n}" {{ address "user{n}@{DOMAIN}" }}' for n in range(1, USERS + 1))
write(
    "domains.conf",
    f"""domain "{DOMAIN}"
{accounts}
transport "sink" {{ host "{SINK["host"]}"; port {SINK["port"]}; tls none; verify no }}
route {{ to-domain {SINK["domain"]}, ".{SINK["domain"]}"; transport "sink" }}
""",
)
control = [os.path.join(options.build, "moxctl", "moxctl"), "-d", directory]
profile = {
    "name": options.name,
    "version": subprocess.run([os.path.join(options.build, "moxd", "moxd"), "-V"], capture_output=True, text=True).stdout.strip(),
    "config": "fresh installation; passwords without TLS on loopback, per-address limits lifted",
    "host": HOST,
    "ports": PORTS,
    "start": [os.path.join(options.build, "moxd", "moxd"), "-d", "-f", os.path.join(directory, "mox.conf")],
    "stop": [*control, "stop"],
    "user": f"user%d@{DOMAIN}",
    "users": USERS,
    "password": PASSWORD,
    "sink": SINK,
    "data": directory,
    "log": os.path.join(directory, "log"),
    "cwd": "/",
    "init": [f"echo {PASSWORD} | {' '.join(control)} password user{n}" for n in range(1, USERS + 1)],
}
write("profile.json", json.dumps(profile, indent=1))
print(os.path.join(directory, "profile.json"))
