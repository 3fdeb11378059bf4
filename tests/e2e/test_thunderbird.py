"""What Thunderbird does with an account here: folders, headers, bodies, flags both ways, new mail, the trash."""

import re
import ssl

import pytest
import thunderbird
from mox import HOST, PASSWORD, USER, fetched, message, wait_for

pytestmark = [pytest.mark.imap, pytest.mark.skipif(thunderbird.missing() is not None, reason=str(thunderbird.missing()))]

ADD_ACCOUNT = """
    const [host, port, user, password, certificate] = arguments;
    const known = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
    const overrides = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
    overrides.rememberValidityOverride(host, port, {}, known.constructX509FromBase64(certificate), true);
    const server = MailServices.accounts.createIncomingServer(user, host, "imap");
    server.port = port;
    server.socketType = Ci.nsMsgSocketType.SSL;
    server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
    server.password = password;
    const account = MailServices.accounts.createAccount();
    account.incomingServer = server;
    const identity = MailServices.accounts.createIdentity();
    identity.email = user;
    account.addIdentity(identity);
    server.performExpand(null);
    done(account.key);
"""
SERVER = "const server = MailServices.accounts.accounts.find(a => a.incomingServer.type == 'imap').incomingServer;\n"
INBOX = (
    SERVER
    + """
    const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    const header = subject => [...inbox.messages].find(one => one.mime2DecodedSubject == subject);
"""
)
SPECIAL = (
    SERVER
    + """
    const flags = Ci.nsMsgFolderFlags;
    const name = flag => server.rootFolder.getFolderWithFlags(flag)?.name ?? null;
    done([name(flags.SentMail), name(flags.Drafts), name(flags.Trash), name(flags.Archive), name(flags.Junk)]);
"""
)
SUBJECTS = INBOX + "done([...inbox.messages].map(one => one.mime2DecodedSubject).sort());"
BODY = (
    INBOX
    + """
    const uri = inbox.getUriForMsg(header(arguments[0]));
    let text = "";
    const listener = {
        QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
        onStartRequest() {},
        onStopRequest(request, status) { done(text); },
        onDataAvailable(request, stream, offset, count) {
            const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
            input.init(stream);
            text += input.readBytes(count);
        },
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "");
"""
)


def test_thunderbird(own_suite, tmp_path):
    own_suite.deliver(message(subject="first", body="Read me.\r\n"))
    own_suite.deliver(message(subject="=?utf-8?q?gr=C3=BC=C3=9Fe?="))
    with own_suite.imap_raw(login=True) as client, thunderbird.Thunderbird(str(tmp_path)) as bird:
        client.ok("SELECT INBOX")
        imaps = own_suite.ports["imaps"]
        certificate = "".join(ssl.get_server_certificate((HOST, imaps)).splitlines()[1:-1])
        bird.run(ADD_ACCOUNT, HOST, imaps, USER, PASSWORD, certificate)
        bird.wait("special uses", ["Sent", "Drafts", "Trash", "Archive", "Junk"], SPECIAL)
        bird.run(INBOX + "inbox.updateFolder(null); done(1);")
        bird.wait("headers", ["first", "grüße"], SUBJECTS)
        assert "Read me." in bird.run(BODY, "first")

        def flags(number):
            return fetched(client.ok(f"FETCH {number} (FLAGS)"))[number]["FLAGS"]

        bird.run(INBOX + "inbox.markMessagesRead([header('first')], true); done(1);")
        wait_for(lambda: "\\Seen" in flags(1), 10, "read there")
        client.ok(r"STORE 2 +FLAGS (\Flagged)")
        bird.wait("flagged here", True, INBOX + "done(header('grüße').isFlagged);")
        bird.wait_idle()
        own_suite.deliver(message(subject="pushed"))
        bird.wait("new mail", ["first", "grüße", "pushed"], SUBJECTS)
        bird.run(INBOX + "inbox.deleteMessages([header('first')], null, false, false, null, false); done(1);")
        wait_for(lambda: b"* STATUS Trash (MESSAGES 1)" in client.ok("STATUS Trash (MESSAGES)"), 10, "moved to the trash")
        bird.wait("moved away", ["grüße", "pushed"], SUBJECTS)
        client.ok("NOOP")
        assert len(fetched(client.ok("FETCH 1:* (UID)"))) == 2
        log = bird.log()
        for said in ("COMPRESS DEFLATE", "ENABLE UTF8=ACCEPT", "IDLE", 'uid move 1 "Trash"'):
            assert said in log, said
        assert not re.search(r":CreateNewLineFromSocket: \d+ (NO|BAD)", log)
