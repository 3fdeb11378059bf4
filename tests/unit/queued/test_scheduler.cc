#include "tests/unit/queued/world.h"

namespace mox::queued {

using namespace testing;

namespace {

proto::MxHosts mx_hosts(std::vector<proto::MxHost> hosts) {
    proto::MxHosts out{};
    out.answer.status = proto::DnsStatus::found;
    out.hosts = std::move(hosts);
    return out;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("recipients of one message and domain share a transaction, and are removed") {
    World w;
    w.add("a@remote.example");
    w.add("b@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.connections == 1);
    CHECK(w.seen.count("RCPT") == 2);
    CHECK(w.seen.messages ==
          std::vector<std::string>{"Received: by here\r\nSubject: hello\r\nX-Test-Id: 17\r\n\r\nbody\r\n..\r\n"});
    // Written down before the first byte went out.
    REQUIRE(w.storage.updates.size() == 2);
    CHECK(w.storage.updates[0].attempts == 1);
    CHECK(w.storage.updates[0].next_attempt > unix_now() - 10);
    CHECK(w.storage.order == std::vector<std::string>{"update", "update", "remove"});
    CHECK(w.storage.delivered.empty());
    CHECK(has(w.scheduler->metrics(), "mox_queue_deliveries_total{result=\"delivered\"} 2"));
}

TEST_CASE("entries that come later are found when storaged says so") {
    World w;
    w.start();
    w.pass(50ms);
    w.add("a@remote.example");
    w.scheduler->look_again();
    CHECK(w.until([&] { return w.storage.queue.empty(); }));
}

TEST_CASE("a temporary failure is tried again and delivered once") {
    World w;
    w.script.replies["END"] = {"452 4.2.2 full", "250 2.0.0 ok"};
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.messages.size() == 2);
    CHECK(w.storage.updates.at(1).last_error == "452 4.2.2 full");
    CHECK(w.storage.updates.at(2).attempts == 2);
    CHECK(w.storage.delivered.empty());
}

TEST_CASE("a permanent failure gives a notice to the sender's account, then the entry goes") {
    World w;
    w.script.replies["RCPT"] = {"250 ok", "550 5.1.1 no such user", "550 5.1.1 nor this"};
    w.add("good@remote.example");
    w.add("bad@remote.example");
    w.add("worse@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    REQUIRE(w.storage.delivered.size() == 1);  // one notice for both
    auto& notice = w.storage.delivered[0];
    CHECK(notice.account == "alice");
    CHECK(notice.prefix.starts_with("Return-Path: <>\r\n"));
    CHECK(has(notice.text, "Final-Recipient: rfc822; bad@remote.example"));
    CHECK(has(notice.text, "Final-Recipient: rfc822; worse@remote.example"));
    CHECK_FALSE(has(notice.text, "good@remote.example"));
    CHECK(has(notice.text, "X-Test-Id: 17\r\n"));
    CHECK(w.storage.order.back() == "remove");
    CHECK(w.storage.order.at(w.storage.order.size() - 2) == "notice");
}

TEST_CASE("what is too old is given up") {
    World w;
    w.script.replies["MAIL"] = {"421 4.3.2 not now"};
    w.script.replies["RCPT"] = w.script.replies["DATA"] = {"421 4.3.2 not now"};
    w.add("a@remote.example", 2 * 3600).delay_notified = true;
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    REQUIRE(w.storage.delivered.size() == 1);
    CHECK(has(w.storage.delivered[0].text, "Action: failed"));
    CHECK(has(w.storage.delivered[0].text, "Status: 5.3.2"));
}

TEST_CASE("one notice of delay, and the entry stays") {
    World w;
    w.script.replies["RCPT"] = {"451 4.3.0 later"};
    w.add("a@remote.example", 45 * 60);
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.at(1).attempts >= 2 && w.storage.queue.at(1).last_error != ""; }));
    w.pass(100ms);
    REQUIRE(w.storage.delivered.size() == 1);
    CHECK(has(w.storage.delivered[0].text, "Action: delayed"));
    CHECK(w.storage.queue.at(1).delay_notified);
}

TEST_CASE("recipients on this host are delivered without the network") {
    World w;
    w.auth.addresses["bob@here.example"] = {proto::AddressStatus::local, "bob", "Lists"};
    w.auth.addresses["none@here.example"] = {proto::AddressStatus::unknown, "", ""};
    w.add("bob@here.example");
    w.add("none@here.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.connections == 0);
    REQUIRE(w.storage.local.size() == 1);
    auto& target = w.storage.local[0].target;
    CHECK(target.account == "bob");
    CHECK(target.mailbox == "Lists");
    CHECK(target.prefix.starts_with(
        "Return-Path: <alice@here.example>\r\nDelivered-To: bob@here.example\r\nReceived: by "));
    REQUIRE(w.storage.delivered.size() == 1);
    CHECK(has(w.storage.delivered[0].text, "Status: 5.1.1"));
}

TEST_CASE("attempts that a process of this server or the end of it cut off do not count") {
    World w;
    int64_t begin = unix_now();
    w.config.retry_after = {1h};
    SECTION("authd is away") {
        w.add("bob@here.example");
        w.lose_auth();
        w.start();
        REQUIRE(w.until([&] { return w.storage.updates.size() == 2; }));
        CHECK(w.storage.queue.at(1).attempts == 0);
        CHECK(w.storage.queue.at(1).next_attempt <= begin + 15);
    }
    SECTION("the end") {
        w.script.hang_at = "RCPT";
        w.add("a@remote.example").last_error = "before";
        w.start();
        REQUIRE(w.until([&] { return w.seen.count("RCPT") == 1; }));
        CHECK(w.storage.queue.at(1).attempts == 1);
        CHECK(w.storage.queue.at(1).next_attempt > begin + 1000);
        w.wait(World::finish(*w.scheduler));
        CHECK(w.storage.queue.at(1).attempts == 0);
        CHECK(w.storage.queue.at(1).next_attempt <= begin + 15);
        CHECK(w.storage.queue.at(1).last_error == "before");
    }
}

TEST_CASE("notices for nobody, and for accounts that are gone") {
    World w;
    w.dns.mx["nowhere.example"] = mx_hosts({{0, ""}});
    SECTION("no sender: no notice") {
        w.add("a@nowhere.example").mail_from = "";
        w.start();
        REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
        CHECK(w.storage.delivered.empty());
    }
    SECTION("not submitted here: the notice goes out, with the null reverse path") {
        auto& entry = w.add("a@nowhere.example");
        entry.account = "";
        entry.mail_from = "someone@elsewhere.example";
        w.start();
        REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
        CHECK(w.storage.delivered.empty());
        REQUIRE(w.storage.enqueued.size() == 1);
        CHECK(w.storage.enqueued[0].mail_from.empty());
        CHECK(w.storage.enqueued[0].recipient == "someone@elsewhere.example");
        CHECK(has(w.storage.enqueued[0].text, "Final-Recipient: rfc822; a@nowhere.example"));
    }
    SECTION("no account: the postmaster has it") {
        w.storage.missing_accounts = true;
        w.auth.addresses["postmaster@mail.here.example"] = {proto::AddressStatus::local, "postmaster", ""};
        w.add("a@nowhere.example");
        w.start();
        REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
        REQUIRE(w.storage.delivered.size() == 1);
        CHECK(w.storage.delivered[0].account == "postmaster");
    }
    SECTION("no postmaster either: the entry goes all the same") {
        w.storage.missing_accounts = true;
        w.add("a@nowhere.example");
        w.start();
        CHECK(w.until([&] { return w.storage.queue.empty(); }));
        CHECK(w.storage.delivered.empty());
    }
}

TEST_CASE("the next host is tried after one that does not answer or has no time") {
    World w;
    w.dns.addresses["mx.remote.example"] = {"127.0.0.1"};
    w.dns.addresses["dead.example"] = {"127.0.0.99"};
    std::string first = GENERATE(std::string("dead.example"), "broken.example", "nothing.example");
    CAPTURE(first);
    w.dns.mx["several.example"] = mx_hosts({{10, first}, {20, "mx.remote.example"}});
    w.add("a@several.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.messages.size() == 1);
    CHECK(w.storage.delivered.empty());
}

TEST_CASE("a 4xx or a refusing greeting leads to the next host in the same attempt") {
    World w;
    w.dns.addresses["one.example"] = w.dns.addresses["two.example"] = {"127.0.0.1"};
    w.dns.mx["several.example"] = mx_hosts({{10, "one.example"}, {20, "two.example"}});
    SECTION("greeting") {
        w.script.replies["GREETING"] = {"554 5.7.1 not you", "220 fake"};
    }
    SECTION("recipient") {
        w.script.replies["RCPT"] = {"451 4.3.0 later", "250 ok"};
    }
    w.add("a@several.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.connections == 2);
    CHECK(w.storage.updates.size() == 1);
}

TEST_CASE("a permanent answer to a recipient is not taken to the next host") {
    World w;
    w.dns.addresses["one.example"] = w.dns.addresses["two.example"] = {"127.0.0.1"};
    w.dns.mx["several.example"] = mx_hosts({{10, "one.example"}, {20, "two.example"}});
    w.script.replies["RCPT"] = {"550 5.1.1 no", "250 ok"};
    w.add("a@several.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.connections == 1);
    CHECK(w.storage.delivered.size() == 1);
}

TEST_CASE("a domain whose hosts have no address is permanent, one whose look-up fails is not") {
    World w;
    w.add("a@void.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(has(w.storage.delivered.at(0).text, "Status: 5.4.4"));
    w.add("a@broken.example");
    w.scheduler->look_again();
    REQUIRE(w.until([&] { return !w.storage.queue.empty() && w.storage.queue.begin()->second.last_error != ""; }));
    CHECK(w.storage.delivered.size() == 1);
}

TEST_CASE("after a failed handshake the same host is tried in plain text") {
    World w;
    w.script.replies["EHLO"] = {"250-fake\r\n250 STARTTLS"};
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.connections == 2);
    CHECK(w.seen.count("STARTTLS") == 1);
    CHECK(w.storage.delivered.empty());
    CHECK(has(w.scheduler->metrics(), "mox_queue_plaintext_fallback_total 1"));
}

TEST_CASE("too many recipients: the rest goes in further transactions of the session") {
    World w;
    SECTION("as the server says at RCPT") {
        w.script.replies["RCPT"] = {"250 ok", "250 ok", "452 4.5.3 too many", "250 ok"};
    }
    SECTION("as the server announces") {
        w.script.replies["EHLO"] = {"250-fake\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2"};
    }
    for (const char* r : {"a@remote.example", "b@remote.example", "c@remote.example"}) w.add(r);
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.connections == 1);
    CHECK(w.seen.messages.size() == 2);
    CHECK(w.storage.updates.size() == 3);
}

TEST_CASE("a route leads over its transport, in local mode also for local addresses") {
    World w;
    bool local = GENERATE(false, true);
    w.config.local_mode = local ? proto::LocalMode::on : proto::LocalMode::off;
    w.config.outgoing_port = 1;  // nobody there
    proto::Transport relay{};
    relay.name = "relay";
    relay.host = "127.0.0.1";
    relay.port = w.port();
    relay.tls = proto::TransportTls::none;
    w.config.transports.push_back(relay);
    w.config.routes.push_back({"", "", {}, {"remote.example"}, 0, "relay"});
    if (local) w.auth.addresses["a@remote.example"] = {proto::AddressStatus::local, "mox", ""};
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.messages.size() == 1);
    CHECK(w.storage.local.empty());
}

TEST_CASE("trouble with a transport never returns mail") {
    World w;
    proto::Transport relay{};
    relay.name = "relay";
    relay.host = "void.example";
    relay.port = w.port();
    SECTION("no such host") {}
    SECTION("refused by its greeting") {
        relay.host = "127.0.0.1";
        w.script.replies["GREETING"] = {"554 5.7.1 not you"};
    }
    SECTION("no such transport") {
        relay.name = "other";
    }
    w.config.transports.push_back(relay);
    w.config.routes.push_back({"", "", {}, {}, 0, "relay"});
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.at(1).last_error != ""; }));
    CHECK(w.storage.delivered.empty());
}

TEST_CASE("magic recipients fail in local mode only") {
    World w;
    w.config.local_mode = proto::LocalMode::on;
    w.auth.addresses["mox@localhost"] = {proto::AddressStatus::local, "mox", ""};
    w.add("queuepermerror@remote.example");
    w.add("queuetemperror@two.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.size() == 1 && w.storage.queue.at(2).last_error != ""; }));
    CHECK(w.storage.delivered.size() == 1);
    CHECK(w.seen.connections == 0);
}

TEST_CASE("listing, kicking and dropping") {
    World w;
    w.script.replies["RCPT"] = {"451 4.3.0 later", "250 ok"};
    w.config.retry_after = {1h};
    w.add("one@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.at(1).last_error != ""; }));
    w.add("two@remote.example").next_attempt = unix_now() + 3600;
    w.add("three@else.example").next_attempt = unix_now() + 3600;

    auto listed = w.wait(w.scheduler->list({{}, 0, 2}));
    REQUIRE(listed);
    CHECK(listed->entries.size() == 2);
    CHECK(listed->more);
    auto rest = w.wait(w.scheduler->list({{}, listed->entries.back().id, 2}));
    CHECK(rest->entries.at(0).recipient == "three@else.example");
    CHECK_FALSE(rest->more);
    CHECK(w.wait(w.scheduler->list({{{}, "", "", "two@"}, 0, 10}))->entries.size() == 1);

    CHECK(w.wait(w.scheduler->drop({{{}, "", "", "else.example"}}))->count == 1);
    CHECK(w.storage.queue.size() == 2);
    CHECK(w.wait(w.scheduler->drop({{{99}, "", "", ""}}))->count == 0);

    CHECK(w.wait(w.scheduler->kick({{{1}, "", "", ""}}))->count == 1);
    REQUIRE(w.until([&] { return w.storage.queue.size() == 1; }));
    CHECK(w.storage.queue.contains(2));
    CHECK(w.storage.delivered.empty());
}

TEST_CASE("an entry dropped while it is tried gives no notice") {
    World w;
    w.script.hang_at = "EHLO";
    w.script.replies["EHLO"] = {"550 5.0.0 no"};
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.seen.count("EHLO") == 1; }));
    CHECK(w.wait(w.scheduler->drop({{}}))->count == 1);
    w.scheduler.reset();  // cancels what is under way
    CHECK(w.storage.delivered.empty());
    CHECK(w.storage.queue.empty());
}

TEST_CASE("messages to one server go over one session, which is ended when no more come") {
    World w;
    w.config.max_per_destination = 1;
    for (uint64_t i = 1; i <= 3; i++) w.add("a@remote.example").message = i;
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.messages.size() == 3);
    CHECK(w.seen.connections == 1);
    CHECK(w.seen.count("EHLO") == 1);
    CHECK(w.seen.count("QUIT") == 0);
    CHECK(has(w.scheduler->metrics(), "mox_queue_connection_total{result=\"reused\"} 2"));
    CHECK(w.until([&] { return w.seen.count("QUIT") == 1; }));
}

TEST_CASE("a new configuration ends the sessions that are open") {
    World w;
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    w.start();
    CHECK(w.until([&] { return w.seen.count("QUIT") == 1; }, 1s));
}

TEST_CASE("a session that the server has ended meanwhile is no failure, and nothing is sent twice") {
    World w;
    w.script.most_messages = 1;
    w.script.says_goodbye = GENERATE(false, true);
    w.config.max_per_destination = 1;
    for (uint64_t i = 1; i <= 3; i++) w.add("a@remote.example").message = i;
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.messages.size() == 3);
    CHECK(w.seen.connections == 3);
    CHECK(w.storage.updates.size() == 3);  // no attempt more
}

TEST_CASE("a connection that breaks behind the first answer of a later message is a failure of that attempt") {
    World w;
    w.config.max_per_destination = 1;
    w.add("a@remote.example").message = 1;
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    w.script.drop_at = "END";
    w.add("a@remote.example").message = 2;
    w.scheduler->look_again();
    REQUIRE(w.until([&] { return w.storage.updates.size() >= 3; }));
    CHECK(w.seen.connections == 1);
    CHECK(has(w.storage.updates.at(2).last_error, "connection lost while waiting for the answer to the content"));
}

TEST_CASE("at most so many at once, and so many to a destination") {
    World w;
    w.script.hang_at = "GREETING";
    w.config.max_concurrent = 3;
    w.config.max_per_destination = 2;
    w.dns.addresses["other.example"] = {"127.0.0.1"};
    for (uint64_t i = 0; i < 5; i++) w.add("a@remote.example").message = 100 + i;
    for (uint64_t i = 0; i < 5; i++) w.add("a@other.example").message = 200 + i;
    w.start();
    REQUIRE(w.until([&] { return w.seen.connections == 3; }));
    w.pass(100ms);
    CHECK(w.seen.connections == 3);
    CHECK(has(w.scheduler->metrics(), "mox_queue_deliveries_running 3"));
}

TEST_CASE("more entries than the window holds are all delivered") {
    World w;
    w.auth.addresses["bob@here.example"] = {proto::AddressStatus::local, "bob", ""};
    for (uint64_t i = 0; i < kWindow + 300; i++) w.add("bob@here.example").message = i;
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }, 60s));
    CHECK(w.storage.local.size() == kWindow + 300);
}

TEST_CASE("a delivered entry is removed when storaged is back, and not delivered twice") {
    World w;
    w.storage.failing_removes = 1;
    w.add("a@remote.example");
    w.start();
    REQUIRE(w.until([&] { return w.storage.queue.empty(); }));
    CHECK(w.seen.messages.size() == 1);
}

}  // namespace mox::queued
