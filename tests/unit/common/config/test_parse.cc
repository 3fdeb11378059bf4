#include "tests/unit/catch.h"
#include "tests/unit/common/config/helpers.h"

using namespace mox::config;
using namespace std::chrono_literals;

TEST_CASE("a minimal mox.conf has the documented defaults") {
    auto config = parse_config(minimal(""), "m");
    REQUIRE(config);
    CHECK(config->hostname == "h.example");
    CHECK(config->data_directory == "/var/lib/mox");
    CHECK(config->control_socket == "/run/mox/control");
    CHECK(config->chroot_directory == "/var/empty");
    CHECK(config->log == Log{LogLevel::info, LogFormat::text});
    CHECK(config->users.storaged == "_moxstore");
    CHECK(config->users.queued == "_moxqueue");
    CHECK(config->workers == Workers{1, 1, 1});
    CHECK(config->postmaster.account == "p");
    CHECK(config->postmaster.mailbox == "Inbox");
    CHECK_FALSE(config->local_mode);
    REQUIRE(config->listeners.size() == 1);
    const Listener& l = config->listeners[0];
    CHECK(l.hostname == "h.example");
    CHECK(l.max_message_size == 100 * 1024 * 1024);
    CHECK(l.message_limit == 0);
    CHECK_FALSE(l.allow_insecure_auth);
    CHECK(l.allow_unauthenticate);
    CHECK(l.tls.source == TlsSource::none);
    CHECK(l.tls.min_version == TlsVersion::tls1_2);
    REQUIRE(l.services.size() == 1);
    CHECK(l.services[0].port == 8010);
    const Queue& q = config->queue;
    CHECK(q.retry_after == std::vector<Seconds>{450s, 15min, 30min, 1h, 2h, 4h, 8h, 12h});
    CHECK(q.give_up_after == 120h);
    CHECK(q.delay_notice_after == 4h);
    CHECK(q.max_concurrent == 50);
    CHECK(q.max_per_destination == 10);
    CHECK(q.outgoing_port == 25);
    CHECK(config->resolver == Resolver{});
}

TEST_CASE("every keyword of mox.conf is read") {
    auto config = parse_config(R"(
hostname "Mail.Example.ORG"
data-directory /data; control-socket /run/c
chroot-directory /nothing
log { level trace; format json }
user storaged store; user authd auth; user dnsd dns; user smtpd smtp
user imapd imap; user httpd http; user queued queue
workers smtpd 2; workers imapd 3; workers httpd 4
postmaster account alice mailbox "inbox/Post"
local-mode
listen public {
    address 203.0.113.5,
            2001:DB8::5
    address 203.0.113.6
    hostname other.example
    tls files /c1 /k1; tls files "/c2" "/k2"
    tls-min-version 1.3
    allow-insecure-auth yes
    allow-unauthenticate no
    max-message-size 10M
    message-limit 1000
    max-connections 20
    max-connections-per-address 5
    smtp { port 2525; require-starttls }
    smtp
    submission { no-starttls yes }
    imap { require-starttls no; port 144 }
    submissions; imaps; http; https; metrics {}
}
resolver {
    forward 192.0.2.53, 192.0.2.54@5353, ::1@54
    trust-anchor /anchor
    local-data "example.org. 60 IN A 192.0.2.1"; local-data "x. A 192.0.2.2"
    no-dnssec yes
}
queue {
    retry-after 1s, 2m, 7m30s
    give-up-after 1d; delay-notice-after 1h
    max-concurrent 5; max-per-destination 2; outgoing-port 2525
    source-address 192.0.2.9, 2001:db8::9
}
)",
                               "m");
    INFO((config ? "" : lines(config.error())));
    REQUIRE(config);
    CHECK(config->hostname == "mail.example.org");
    CHECK(config->data_directory == "/data");
    CHECK(config->control_socket == "/run/c");
    CHECK(config->chroot_directory == "/nothing");
    CHECK(config->log == Log{LogLevel::trace, LogFormat::json});
    CHECK(config->users == Users{"store", "auth", "dns", "smtp", "imap", "http", "queue"});
    CHECK(config->workers == Workers{2, 3, 4});
    CHECK(config->postmaster == Postmaster{"alice", "Inbox/Post", {}});
    CHECK(config->local_mode);
    REQUIRE(config->listeners.size() == 1);
    const Listener& l = config->listeners[0];
    CHECK(l.name == "public");
    CHECK(l.addresses == std::vector<std::string>{"203.0.113.5", "2001:db8::5", "203.0.113.6"});
    CHECK(l.hostname == "other.example");
    CHECK(l.tls == ListenerTls{TlsSource::files, {{"/c1", "/k1"}, {"/c2", "/k2"}}, TlsVersion::tls1_3});
    CHECK(l.allow_insecure_auth);
    CHECK_FALSE(l.allow_unauthenticate);
    CHECK(l.max_message_size == 10485760);
    CHECK(l.message_limit == 1000);
    CHECK(l.max_connections == 20);
    CHECK(l.max_connections_per_address == 5);
    const std::vector<Service> services = {
        {ServiceKind::smtp, 2525, Starttls::required, {}},      {ServiceKind::smtp, 25, Starttls::offered, {}},
        {ServiceKind::submission, 587, Starttls::off, {}},      {ServiceKind::imap, 144, Starttls::offered, {}},
        {ServiceKind::submissions, 465, Starttls::offered, {}}, {ServiceKind::imaps, 993, Starttls::offered, {}},
        {ServiceKind::http, 80, Starttls::offered, {}},         {ServiceKind::https, 443, Starttls::offered, {}},
        {ServiceKind::metrics, 8010, Starttls::offered, {}}};
    CHECK(l.services == services);
    CHECK(config->resolver == Resolver{{{"192.0.2.53", 53}, {"192.0.2.54", 5353}, {"::1", 54}},
                                       "/anchor",
                                       {"example.org. 60 IN A 192.0.2.1", "x. A 192.0.2.2"},
                                       true});
    CHECK(config->queue == Queue{{1s, 2min, 450s}, 24h, 1h, 5, 2, 2525, {"192.0.2.9", "2001:db8::9"}});
}

TEST_CASE("errors in mox.conf are told with place and remedy") {
    struct Row {
        std::string text, errors;
    };
    const Row rows[] = {
        {"hostnme x",
         "m:2:1: unknown keyword 'hostnme'; did you mean 'hostname'?, expected hostname, data-directory, "
         "control-socket, "
         "chroot-directory, log, user, workers, listen, resolver, queue, storage, imap, postmaster or local-mode\n"},
        {"quota 5G",
         "m:2:1: unknown keyword 'quota'; it belongs into 'storage', expected hostname, data-directory, "
         "control-socket, "
         "chroot-directory, log, user, workers, listen, resolver, queue, storage, imap, postmaster or local-mode\n"},
        {"log { forward ::1 }",
         "m:2:7: unknown keyword 'forward' in 'log'; it belongs into 'resolver', expected level or format\n"},
        {"log { workers smtpd 1 }",
         "m:2:7: unknown keyword 'workers' in 'log'; it belongs outside of all blocks, expected level or format\n"},
        {"hostname a.b", "m:2:1: 'hostname' again, it stands in line 1 already, expected it once\n"},
        {"data-directory", "m:2:1: 'data-directory' is not used like this, expected data-directory PATH\n"},
        {"data-directory /a /b", "m:2:1: 'data-directory' is not used like this, expected data-directory PATH\n"},
        {"data-directory /a, /b", "m:2:20: 'data-directory' takes no list here, expected data-directory PATH\n"},
        {"data-directory /a {}", "m:2:1: 'data-directory' is not used like this, expected data-directory PATH\n"},
        {"data-directory a",
         "m:2:16: 'a' is not an absolute path, expected a path that begins with '/', at most 1024 bytes\n"},
        {"control-socket /" + std::string(103, 'x'),
         "m:2:16: the path is too long for a socket, expected at most 103 bytes\n"},
        {"log info", "m:2:1: 'log' is not used like this, expected log { level ...; format ... }\n"},
        {"log { level inf }",
         "m:2:13: 'inf' is not known here; did you mean 'info'?, expected error, warn, info, debug or trace\n"},
        {"local-mode maybe", "m:2:12: 'maybe' is not an answer, expected yes or no\n"},
        {"user moxctl x",
         "m:2:6: 'moxctl' is not known here, expected storaged, authd, dnsd, smtpd, imapd, httpd or queued\n"},
        {"user smtpd \"a b\"",
         "m:2:12: 'a b' is not a name, expected 1 to 64 of the characters a-z A-Z 0-9 . _ -, not beginning with '.' or "
         "'-'\n"},
        {"workers smtpd 0", "m:2:15: '0' is out of range, expected a number from 1 to 64\n"},
        {"workers smtpd many", "m:2:15: 'many' is not a number, expected a number from 1 to 64\n"},
        {"workers queued 2", "m:2:9: 'queued' is not known here, expected smtpd, imapd or httpd\n"},
        {"listen x", "m:2:1: 'listen' is not used like this, expected listen NAME { address ...; services }\n"},
        {"listen x { smtp }", "m:2:1: 'listen' has no 'address', expected address IP, ...\n"},
        {"listen x { address example.org }",
         "m:2:20: 'example.org' is not an IP address, expected an address like 192.0.2.1 or 2001:db8::1\n"},
        {"listen x { address ::1; admin }",
         "m:2:25: unknown keyword 'admin' in 'listen', expected address, hostname, tls, tls-min-version, "
         "allow-insecure-auth, allow-unauthenticate, max-message-size, message-limit, max-connections, "
         "max-connections-per-address, smtp, submission, "
         "submissions, imap, imaps, http, https or metrics\n"},
        {"listen x { address ::1; imaps { require-starttls } }",
         "m:2:33: unknown keyword 'require-starttls' in 'imaps'; it belongs into 'smtp', expected port\n"},
        {"listen x { address ::1; message-limit 999 }",
         "m:2:39: '999' is out of range, expected a number from 1000 to 400000\n"},
        {"listen x { address ::1; smtp { port 0 } }",
         "m:2:37: '0' is out of range, expected a number from 1 to 65535\n"},
        {"listen x { address ::1; smtp { no-starttls; require-starttls } }",
         "m:2:45: both 'require-starttls' and 'no-starttls', expected one of them\n"},
        {"listen x { address ::1; smtp; tls acme le }",
         "m:2:31: 'tls' is not used like this, expected tls files CERTIFICATE KEY, or tls self-signed\n"},
        {"listen x { address ::1; smtp; tls files /a }",
         "m:2:31: 'tls' is not used like this, expected tls files CERTIFICATE KEY, or tls self-signed\n"},
        {"listen x { address ::1; smtp; tls files /a /b; tls self-signed }",
         "m:2:48: 'tls self-signed' besides another 'tls', expected one 'tls self-signed', or 'tls files' only\n"},
        {"listen x { address ::1; smtp; tls-min-version 1.1 }",
         "m:2:47: '1.1' is not known here; did you mean '1.2'?, expected 1.2 or 1.3\n"},
        {"listen x { address ::1; smtp; max-message-size 1K }",
         "m:2:48: '1K' is out of range, expected a size from 64K to 2G, like 10M\n"},
        {"listen x { address ::1; smtp; max-message-size big }",
         "m:2:48: 'big' is not a size, expected a size from 64K to 2G, like 10M\n"},
        {"resolver { forward a }",
         "m:2:20: 'a' is not the address of a resolver, expected an IP address, or IP@PORT\n"},
        {"resolver { forward ::1@x }", "m:2:20: 'x' is not a number, expected a number from 1 to 65535\n"},
        {"resolver { local-data \"\" }",
         "m:2:23: an empty resource record, expected a record like \"example.org. 60 IN A 192.0.2.1\"\n"},
        {"queue { retry-after 1m, x }",
         "m:2:25: 'x' is not a duration, expected a duration from 1s to 7d, like 7m30s\n"},
        {"queue { give-up-after 31d }",
         "m:2:23: '31d' is out of range, expected a duration from 1s to 30d, like 7m30s\n"},
        {"queue { give-up-after 5 }",
         "m:2:23: '5' is not a duration, expected a duration from 1s to 30d, like 7m30s\n"},
        // Several at once, in the order of the file.
        {"local-mode maybe\nuser smtpd\nlog { level x }",
         "m:2:12: 'maybe' is not an answer, expected yes or no\n"
         "m:3:1: 'user' is not used like this, expected user PROGRAM NAME\n"
         "m:4:13: 'x' is not known here, expected error, warn, info, debug or trace\n"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(errors_of_config(minimal(row.text)) == row.errors);
    }
}

TEST_CASE("what is required is missed, but not when a line was not understood") {
    CHECK(errors_of_config("") ==
          "m: the file has no 'hostname', expected hostname NAME\n"
          "m: the file has no 'listen', expected listen NAME { address ...; services }\n"
          "m: the file has no 'postmaster', expected postmaster account NAME [mailbox NAME]\n");
    CHECK(errors_of_config("hostname a=b") ==
          "m:1:11: character '=' in a bare word, expected the word in double quotes\n");
    std::string head = "hostname h.example; listen l { address ::1; smtp }\n";
    for (std::string bad : {"postmaster p", "postmaster account", "postmaster account a mailbox", "postmaster user a",
                            "postmaster account a b c", "postmaster account a { }"}) {
        CAPTURE(bad);
        CHECK(errors_of_config(head + bad) ==
              "m:2:1: 'postmaster' is not used like this, expected postmaster account NAME [mailbox NAME]\n");
    }
}

TEST_CASE("every keyword of domains.conf is read") {
    auto domains = parse_domains(R"(
domain "B\"x".example {}
)",
                                 "d");
    CHECK_FALSE(domains);
    domains = parse_domains(R"(
domain "Example.ORG" {
    description "first \"one\""
    disabled
    localpart-separators "+", "-"
    case-sensitive yes
    route { transport relay }
}
domain bücher.example { localpart-separators none }
domain third.example
account alice {
    full-name "Alice"
    address "Alice@EXAMPLE.org",   # me
            "*@example.org"
    address a@bücher.example { mailbox "Lists" }
    quota 10G
    login-disabled "gone"
    route { from-domain a.example, .b.example; to-domain .bücher.example; min-attempts 3; transport relay }
}
account bob
transport relay { host smtp.example.net; username u; password "p w" }
transport local { host 127.0.0.1; port 2525; tls none }
transport implicit { host a.example; tls implicit; verify no }
transport any { host a.example; tls opportunistic; verify no }
transport plain { host a.example; verify }
route { transport local }
)",
                            "d");
    INFO((domains ? "" : lines(domains.error())));
    REQUIRE(domains);
    const Route relay{{}, {}, 0, "relay", {}};
    REQUIRE(domains->domains.size() == 3);
    CHECK(domains->domains[0] == Domain{"example.org", "first \"one\"", true, {"+", "-"}, true, {relay}, {}});
    CHECK(domains->domains[1] == Domain{"xn--bcher-kva.example", "", false, {}, false, {}, {}});
    CHECK(domains->domains[2] == Domain{"third.example", "", false, {"+"}, false, {}, {}});
    REQUIRE(domains->accounts.size() == 2);
    const Account& alice = domains->accounts[0];
    CHECK(alice.name == "alice");
    CHECK(alice.full_name == "Alice");
    CHECK(alice.addresses == std::vector<Address>{{"Alice", "example.org", "Inbox", {}},
                                                  {"*", "example.org", "Inbox", {}},
                                                  {"a", "xn--bcher-kva.example", "Lists", {}}});
    CHECK(alice.addresses[1].origin.line == 14);
    CHECK(alice.addresses[1].origin.column == 13);
    CHECK(alice.quota == uint64_t{10} << 30);
    CHECK(alice.login_disabled == "gone");
    CHECK(alice.routes ==
          std::vector<Route>{{{"a.example", ".b.example"}, {".xn--bcher-kva.example"}, 3, "relay", {}}});
    CHECK(domains->accounts[1] == Account{"bob", "", {}, {}, "", {}, {}});
    CHECK(domains->transports ==
          std::vector<Transport>{{"relay", "smtp.example.net", 587, TransportTls::starttls, true, "u", "p w", {}},
                                 {"local", "127.0.0.1", 2525, TransportTls::none, false, "", "", {}},
                                 {"implicit", "a.example", 465, TransportTls::implicit, false, "", "", {}},
                                 {"any", "a.example", 25, TransportTls::opportunistic, false, "", "", {}},
                                 {"plain", "a.example", 25, TransportTls::starttls, true, "", "", {}}});
    CHECK(domains->routes == std::vector<Route>{{{}, {}, 0, "local", {}}});
}

TEST_CASE("errors in domains.conf are told with place and remedy") {
    struct Row {
        std::string text, errors;
    };
    const Row rows[] = {
        {"alias a@b", "d:1:1: unknown keyword 'alias', expected domain, account, transport, expire or route\n"},
        {"acount a",
         "d:1:1: unknown keyword 'acount'; did you mean 'account'?, expected domain, account, transport, expire or "
         "route\n"},
        {"hsot x", "d:1:1: unknown keyword 'hsot', expected domain, account, transport, expire or route\n"},
        {"mailbox x",
         "d:1:1: unknown keyword 'mailbox'; it belongs into 'address', expected domain, account, transport, expire or "
         "route\n"},
        {"domain a { dkim x }",
         "d:1:12: unknown keyword 'dkim' in 'domain', expected description, disabled, localpart-separators, "
         "case-sensitive, expire or route\n"},
        {"domain a_b", "d:1:8: 'a_b' is not a domain name, expected a name like \"mail.example.org\"\n"},
        {"domain a, b", "d:1:11: 'domain' takes no list here, expected domain NAME [{ ... }]\n"},
        {"domain a { description \"\" }", "d:1:24: an empty text, expected 1 to 256 bytes\n"},
        {"domain a { description \"" + std::string(257, 'x') + "\" }",
         "d:1:24: a text that is too long, expected 1 to 256 bytes\n"},
        {"domain a { localpart-separators ab }",
         "d:1:33: 'ab' is not a separator, expected one of !#$%&'*+-/=?^_`{|}~, or none\n"},
        {"domain a { localpart-separators +, + }", "d:1:12: a separator stands twice, expected each once\n"},
        {"account .a",
         "d:1:9: '.a' is not a name, expected 1 to 64 of the characters a-z A-Z 0-9 . _ -, not beginning with '.' or "
         "'-'\n"},
        {"account \"../x\"",
         "d:1:9: '../x' is not a name, expected 1 to 64 of the characters a-z A-Z 0-9 . _ -, not beginning with '.' or "
         "'-'\n"},
        {"account a { address x }",
         "d:1:21: 'x' is not an address, expected an address like \"alice@example.org\" or \"*@example.org\"\n"},
        {"account a { address x@y, @z, x@_ }",
         "d:1:26: '@z' is not an address, expected an address like \"alice@example.org\" or \"*@example.org\"\n"
         "d:1:30: '_' is not a domain name, expected a name like \"mail.example.org\"\n"},
        {"account a { address x@y { mailbox \"a//b\" } }",
         "d:1:35: 'a//b' is not the name of a mailbox, expected a name like \"Lists/example\", at most 255 bytes\n"},
        {"account a { quota 1 }", "d:1:19: '1' is out of range, expected a size from 1K to 1048576T, like 10M\n"},
        {"account a { login-disabled \"\xc3\xbc\" }",
         "d:1:28: the text has characters beyond ASCII, expected 1 to 256 printable ASCII characters\n"},
        {"account a { password x }",
         "d:1:13: unknown keyword 'password' in 'account'; it belongs into 'transport', expected full-name, address, "
         "quota, login-disabled, submission-server, expire or route\n"},
        {"transport t {}", "d:1:1: 'transport' has no 'host', expected host NAME\n"},
        {"transport t { host a b }", "d:1:15: 'host' is not used like this, expected host NAME\n"},
        {"transport t { host \"a b\" }",
         "d:1:20: 'a b' is neither a host name nor an IP address, expected a name like \"smtp.example.net\"\n"},
        {"transport t { host a; username u }", "d:1:1: only one of 'username' and 'password', expected both or none\n"},
        {"transport t { host a; tls none; username u; password sesame }",
         "d:1:1: a password without sure TLS, expected 'tls implicit' or 'tls starttls' with 'username'\n"},
        {"transport t { host a; tls opportunistic; verify }",
         "d:1:1: 'verify' without sure TLS, expected 'tls implicit' or 'tls starttls' with 'verify'\n"},
        {"route { to-domain a }", "d:1:1: 'route' has no 'transport', expected transport NAME\n"},
        {"route { to-domain .; transport t }",
         "d:1:19: '' is not a domain name, expected a name like \"mail.example.org\"\n"},
        {"route { from-domain a b; transport t }",
         "d:1:9: 'from-domain' is not used like this, expected from-domain NAME, ...\n"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(errors_of_domains(row.text) == row.errors);
    }
}

TEST_CASE("a password never stands in a message") {
    for (std::string bad : {"password sesame sesame", "password sesame, sesame", "password sesame { }",
                            "password \"sesame", "password sesame=", "password \"sesame\"x", "pasword sesame"}) {
        std::string errors = errors_of_domains("transport t {\n host a; username u\n " + bad + "\n}");
        CAPTURE(bad, errors);
        CHECK_FALSE(errors.empty());
        CHECK_FALSE(errors.contains("sesame"));
    }
}

TEST_CASE("expire: once a mailbox, an hour or more, or never") {
    auto domains = parse_domains("expire Trash 30d\nexpire inbox never\n", "d");
    REQUIRE(domains);
    REQUIRE(domains->expiries.size() == 2);
    CHECK(domains->expiries[0].after == Seconds(30 * 86400));
    CHECK(domains->expiries[1].mailbox == "Inbox");
    CHECK_FALSE(domains->expiries[1].after);
    for (const char* bad : {"expire Trash", "expire Trash 59m", "expire Trash 30d\nexpire Trash 2d", "expire ../x 30d",
                            "expire Trash soon", "account a { expire Trash 30d { } }"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_domains(bad, "d"));
    }
}
