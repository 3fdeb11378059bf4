"""Thunderbird without a window, driven over Marionette: JSON over TCP, as its own tests are."""

import json
import os
import re
import shutil
import socket
import subprocess

from mox import HOST, wait_for

START = 60  # seconds
ANSWER = 30

PREFERENCES = {
    "app.update.auto": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.server.default.check_all_folders_for_new": True,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "marionette.port": 0,  # any; the profile then tells which
    # Nothing but what is on this host: all else would go through a proxy that is not there.
    "network.proxy.socks": HOST,
    "network.proxy.socks_port": 9,
    "network.proxy.socks_remote_dns": True,
    "network.proxy.type": 1,
}


def missing():
    """Why it cannot be used here; None when it can."""
    return None if shutil.which("thunderbird") else "there is no thunderbird (Debian package thunderbird)"


class Thunderbird:
    """A process with a profile of its own in `directory`. `log` is what it says of the protocol."""

    def __init__(self, directory):
        self.log_file = os.path.join(directory, "imap")
        self.profile = profile = os.path.join(directory, "profile")
        os.makedirs(profile)
        with open(os.path.join(profile, "user.js"), "w") as file:
            for name, value in PREFERENCES.items():
                file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        environment = dict(os.environ, HOME=directory, MOZ_CRASHREPORTER_DISABLE="1", MOZ_LOG="IMAP:5,sync", MOZ_LOG_FILE=self.log_file)
        command = ["thunderbird", "--headless", "--no-remote", "--marionette", "-remote-allow-system-access", "--profile", profile]
        with open(os.path.join(directory, "output"), "w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        self.input = b""
        self.number = 0
        self.socket = None
        try:
            wait_for(self.connect, START, "Marionette")
            self.receive()  # its greeting
            self.command("WebDriver:NewSession")
            self.command("Marionette:SetContext", value="chrome")
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def stop(self):
        if self.socket:
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def connect(self):
        assert self.process.poll() is None, "thunderbird ended"
        try:
            with open(os.path.join(self.profile, "MarionetteActivePort")) as file:
                self.socket = socket.create_connection((HOST, int(file.read())), timeout=ANSWER)
        except (OSError, ValueError):
            return False
        return True

    def receive(self):
        """A message: its length in digits, a colon, and so many bytes of JSON."""
        while b":" not in self.input:
            self.more()
        length, _, self.input = self.input.partition(b":")
        while len(self.input) < int(length):
            self.more()
        text, self.input = self.input[: int(length)], self.input[int(length) :]
        return json.loads(text)

    def more(self):
        data = self.socket.recv(65536)
        assert data, "Marionette ended"
        self.input += data

    def command(self, name, **parameters):
        self.number += 1
        request = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(str(len(request)).encode() + b":" + request)
        _, _, error, result = self.receive()
        assert error is None, error
        return result

    def run(self, script, *arguments):
        """The value of a function's body, in the middle of Thunderbird; `done` takes it when the body returns nothing."""
        imports = 'const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");\n'
        body = imports + "const done = arguments[arguments.length - 1];\n" + script
        return self.command("WebDriver:ExecuteAsyncScript", script=body, args=list(arguments), timeout=ANSWER * 1000)["value"]

    def wait(self, what, expected, script, *arguments, seconds=15):
        """Until the script gives what is expected."""
        last = []

        def matches():
            last[:] = [self.run(script, *arguments)]
            return last == [expected]

        try:
            wait_for(matches, seconds, what, interval=0.2)
        except AssertionError as error:
            raise AssertionError(f"{what}: {last} is not {expected}") from error

    def wait_idle(self):
        """Until it waits in IDLE: what comes between its commands, it looks at later."""
        wait_for(lambda: re.findall(r":S-INBOX:SendData: \d+ (\w+)", self.log())[-1:] == ["IDLE"], 15, "IDLE")

    def log(self):
        text = ""
        for name in os.listdir(os.path.dirname(self.log_file)):
            if name.startswith(os.path.basename(self.log_file)):
                with open(os.path.join(os.path.dirname(self.log_file), name), errors="replace") as file:
                    text += file.read()
        return text
