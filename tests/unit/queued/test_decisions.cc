// The pure functions: routes, schedule, hosts, magic recipients, filters.
#include "queued/magic.h"
#include "queued/route.h"
#include "queued/schedule.h"
#include "queued/scheduler.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::queued;
using namespace std::chrono_literals;
using smtp::Verdict;

TEST_CASE("domains of routes") {
    struct Case {
        const char* pattern;
        const char* domain;
        bool matches;
    };
    for (const Case& c : {Case{"example.org", "EXAMPLE.org", true}, Case{"example.org", "a.example.org", false},
                          Case{".example.org", "a.example.org", true}, Case{".example.org", "example.org", false},
                          Case{".example.org", "badexample.org", false},
                          Case{"b\xc3\xbc"
                               "cher.example",
                               "xn--bcher-kva.example", true},
                          Case{"example.org", "", false}}) {
        CAPTURE(c.pattern, c.domain);
        CHECK(domain_matches(c.pattern, c.domain) == c.matches);
    }
    CHECK(domain_of("\"a@b\"@Example.ORG") == "example.org");
    CHECK(domain_of("a@b\xc3\xbc"
                    "cher.example") == "xn--bcher-kva.example");
    CHECK(domain_of("nobody") == "");
}

TEST_CASE("the first route that matches wins") {
    std::vector<proto::Route> routes;
    auto add = [&](std::string account, std::string sender, std::vector<std::string> from, std::vector<std::string> to,
                   uint32_t n, std::string transport) { routes.push_back({account, sender, from, to, n, transport}); };
    add("alice", "", {}, {"only.example"}, 0, "alice-only");
    add("alice", "", {}, {}, 3, "alice-late");
    add("", "corp.example", {}, {}, 0, "corp");
    add("", "", {"from.example"}, {".sub.example"}, 0, "lists");
    add("", "", {}, {"any.example"}, 0, "global");
    auto choose = [&](RouteFacts f) {
        const auto* r = choose_route(routes, f);
        return r != nullptr ? r->transport : std::string("-");
    };
    CHECK(choose({"alice", "x.example", "only.example", 0}) == "alice-only");
    CHECK(choose({"bob", "x.example", "only.example", 0}) == "-");
    CHECK(choose({"alice", "x.example", "y.example", 2}) == "-");
    CHECK(choose({"alice", "x.example", "y.example", 3}) == "alice-late");
    CHECK(choose({"bob", "corp.example", "any.example", 0}) == "corp");
    CHECK(choose({"bob", "", "any.example", 0}) == "global");
    CHECK(choose({"bob", "from.example", "a.sub.example", 0}) == "lists");
    CHECK(choose({"bob", "other.example", "a.sub.example", 0}) == "-");
    CHECK(find_transport({}, "x") == nullptr);
}

TEST_CASE("back-off grows, repeats its last step and is spread a little") {
    std::vector<std::chrono::seconds> steps = {100s, 200s, 400s};
    CHECK(backoff(steps, 1, 0) == 100s);
    CHECK(backoff(steps, 2, 0) == 200s);
    CHECK(backoff(steps, 9, 0) == 400s);
    CHECK(backoff(steps, 1, 1) == 105s);
    CHECK(backoff(steps, 1, -1) == 95s);
    CHECK(backoff(steps, 1, -50) == 95s);
    CHECK(backoff({1s}, 1, -1) == 1s);
    CHECK(backoff({0s}, 1, 0) == 1s);
    CHECK(backoff({}, 1, 0) > 0s);
}

TEST_CASE("what follows from an attempt") {
    RetryPolicy policy{{100s, 200s}, 1000s, 300s};
    struct Case {
        const char* what;
        Verdict verdict;
        uint32_t attempts;
        int64_t age;
        bool notified;
        Step step;
        Notice notice;
        int64_t next;  // after `queued`
    };
    for (const Case& c : {
             Case{"delivered", Verdict::delivered, 1, 0, false, Step::remove, Notice::none, 0},
             Case{"delivered late", Verdict::delivered, 9, 5000, false, Step::remove, Notice::none, 0},
             Case{"permanent", Verdict::permanent, 1, 0, false, Step::fail, Notice::failed, 0},
             Case{"first retry", Verdict::temporary, 1, 5, false, Step::retry, Notice::none, 105},
             Case{"second retry", Verdict::temporary, 2, 105, false, Step::retry, Notice::none, 305},
             Case{"delay notice", Verdict::temporary, 3, 305, false, Step::retry, Notice::delayed, 505},
             Case{"no second notice", Verdict::temporary, 4, 505, true, Step::retry, Notice::none, 705},
             Case{"last attempt when the time is up", Verdict::temporary, 5, 905, true, Step::retry, Notice::none,
                  1000},
             Case{"given up", Verdict::temporary, 6, 1000, true, Step::fail, Notice::failed, 0},
         }) {
        CAPTURE(c.what);
        const int64_t queued = 1700000000;
        Decision d = decide({c.verdict, c.attempts, queued, queued + c.age, c.notified, 0}, policy);
        CHECK(d.step == c.step);
        CHECK(d.notice == c.notice);
        CHECK(d.expired == (c.step == Step::fail && c.verdict == Verdict::temporary));
        CHECK(d.give_up_at == queued + 1000);
        if (c.step == Step::retry) CHECK(d.next_attempt == queued + c.next);
    }
}

TEST_CASE("an attempt that this server itself interrupted is made again soon, and tells nobody") {
    RetryPolicy policy{{std::chrono::seconds(1000)}, std::chrono::seconds(5000), std::chrono::seconds(10)};
    for (int64_t age : {0, 100, 6000}) {
        Decision d = decide({Verdict::temporary, 3, 1000, 1000 + age, false, 0, true}, policy);
        CHECK(d.step == Step::retry);
        CHECK(d.notice == Notice::none);
        CHECK(d.next_attempt == 1000 + age + 5);
    }
}

TEST_CASE("hosts of a domain") {
    std::mt19937_64 random(1);
    auto plan = [&](proto::DnsStatus status, std::vector<proto::MxHost> hosts) {
        proto::MxHosts answer{};
        answer.answer.status = status;
        answer.hosts = std::move(hosts);
        return plan_hosts(answer, "example.org", "mail.here.example", random);
    };
    using proto::DnsStatus;
    CHECK(plan(DnsStatus::no_domain, {}).failure->enhanced == "5.1.2");
    CHECK(plan(DnsStatus::found, {{0, ""}}).failure->enhanced == "5.1.10");
    CHECK(plan(DnsStatus::no_data, {}).hosts == std::vector<std::string>{"example.org"});
    CHECK(plan(DnsStatus::found, {{20, "b"}, {10, "a"}, {30, "c"}}).hosts == std::vector<std::string>{"a", "b", "c"});
    CHECK(plan(DnsStatus::found, {{0, ""}, {10, "a"}}).hosts == std::vector<std::string>{"a"});
    // RFC 5321 5.1: ourselves, and what is behind us.
    CHECK(plan(DnsStatus::found, {{10, "a"}, {20, "Mail.Here.Example"}, {20, "b"}, {30, "c"}}).hosts ==
          std::vector<std::string>{"a"});
    auto loop = plan(DnsStatus::found, {{10, "mail.here.example"}, {20, "b"}});
    CHECK(loop.hosts.empty());
    CHECK(loop.failure->enhanced == "5.4.6");
    CHECK(loop.failure->verdict == Verdict::permanent);
    // Those of one preference are shuffled, and only those.
    std::set<std::string> firsts;
    for (int i = 0; i < 100; i++) {
        auto hosts = plan(DnsStatus::found, {{10, "a"}, {10, "b"}, {20, "c"}}).hosts;
        firsts.insert(hosts.at(0));
        CHECK(hosts.at(2) == "c");
    }
    CHECK(firsts.size() == 2);
    std::vector<proto::MxHost> many;
    for (int i = 0; i < 50; i++) many.push_back({10, "h" + std::to_string(i)});
    CHECK(plan(DnsStatus::found, many).hosts.size() == kMaxHosts);

    CHECK(literal_address("[192.0.2.1]") == "192.0.2.1");
    CHECK(literal_address("[ipv6:2001:db8::1]") == "2001:db8::1");
    CHECK_FALSE(literal_address("[example]"));
    CHECK_FALSE(literal_address("192.0.2.1"));
}

TEST_CASE("recipients that fail on purpose") {
    auto verdict = [](const char* a) { return magic_outcome(a)->verdict; };
    CHECK(verdict("queuetemperror@x") == Verdict::temporary);
    CHECK(verdict("QueueXpermerror@x") == Verdict::permanent);
    CHECK(verdict("queue452@x") == Verdict::temporary);
    CHECK(magic_outcome("queue554@x")->code == 554);
    for (const char* a : {"temperror@x", "queue@x", "queue250@x", "queue600@x", "queues@x", "q@x", "@x"}) {
        CAPTURE(a);
        CHECK_FALSE(magic_outcome(a));
    }
}

TEST_CASE("filters of the admin") {
    proto::QueueEntry e{};
    e.id = 5;
    e.account = "alice";
    e.mail_from = "Alice@Example.org";
    e.recipient = "bob@remote.example";
    CHECK(matches({}, e));
    CHECK(matches({{4, 5}, "", "", ""}, e));
    CHECK_FALSE(matches({{4}, "", "", ""}, e));
    CHECK(matches({{}, "alice", "@example", "REMOTE"}, e));
    CHECK_FALSE(matches({{}, "bob", "", ""}, e));
    CHECK_FALSE(matches({{}, "alice", "", "elsewhere"}, e));
}
