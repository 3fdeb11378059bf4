// What is known of senders: facets, opinions by flags and places, the index and its bounds, what stays when messages
// go.
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;
using proto::Opinion;
using proto::SenderFacet;
using proto::StoreMode;

namespace {

Options small_limits() {
    Options options;
    options.senders = {.waiting = 4, .segment = 8, .messages = 30, .keep = std::chrono::seconds(3600)};
    return options;
}

proto::SenderFacts from(std::string address) {
    return {std::move(address), "example.com", proto::kFromVerified, {"example.com", "relay.example.net"}};
}

struct Known : private TemporaryDirectory, public World {
    explicit Known(Options options = {}) : World(std::move(options)) {}
    std::unique_ptr<Client> alice = open("alice");

    void deliver(proto::SenderFacts sender, std::string mailbox = "", std::string remote_address = "192.0.2.77") {
        std::string text = "text " + std::to_string(count_++);
        proto::Deliver request{0, facts(text), {{"alice", std::move(mailbox)}}, text};
        request.facts.remote_address = std::move(remote_address);
        request.facts.ehlo = "Mail.Example.com";
        request.facts.sender = std::move(sender);
        auto outcomes = call(smtpd, std::move(request));
        REQUIRE(outcomes);
        REQUIRE_FALSE(outcomes->targets[0].error);
    }
    proto::MailboxColumns columns(const std::string& mailbox) {
        auto columns = call(*alice, proto::OpenMailbox{mailbox});
        REQUIRE(columns);
        return std::move(*columns);
    }
    proto::MailboxId id(const std::string& mailbox) { return columns(mailbox).mailbox.id; }
    void flag(const std::string& mailbox, uint32_t uid, uint32_t flags, StoreMode mode = StoreMode::replace) {
        REQUIRE(call(*alice, proto::StoreFlags{id(mailbox), {{uid, uid}}, mode, flags, {}, {}}));
    }
    /// Takes all of a mailbox away.
    void expunge(const std::string& mailbox) {
        proto::UidRange all{1, UINT32_MAX};
        REQUIRE(call(*alice, proto::StoreFlags{id(mailbox), {all}, StoreMode::add, proto::kDeleted, {}, {}}));
        REQUIRE(call(*alice, proto::Expunge{id(mailbox), {all}}));
    }
    proto::SenderHistories ask(proto::SenderFacts sender, std::string mail_from = "sender@example.org") {
        auto histories = call(smtpd, proto::GetSenderHistory{"alice", std::move(mail_from), "192.0.2.77",
                                                             "mail.example.com", std::move(sender)});
        REQUIRE(histories);
        return std::move(*histories);
    }
    proto::SenderHistory facet(SenderFacet wanted, const std::string& address = "carol@example.com") {
        auto histories = ask(from(address));
        for (auto& history : histories.facets)
            if (history.facet == wanted) return history;
        FAIL("no such facet");
        return {};
    }
    /// Of the newest message of the address.
    Opinion opinion(const std::string& address = "carol@example.com") {
        auto history = facet(SenderFacet::from, address);
        REQUIRE(history.messages > 0);
        return history.latest.empty() ? Opinion::none : history.latest.front().opinion;
    }
    /// An operation on alice's store.
    template <class F>
    auto on_store(F work) {
        return wait(server->accounts().find("alice")->run(Access::write, std::move(work)));
    }
    uint64_t count(const char* sql) {
        auto counted = on_store([sql](MailStore& store) -> Result<uint64_t> {
            auto row = store.db().query(sql);
            row.next();
            return row.number(0);
        });
        REQUIRE(counted);
        return *counted;
    }
    /// Lets the index do what it has to.
    void build(int64_t now = std::time(nullptr)) {
        for (bool more = true; more;) {
            auto stepped = on_store([now](MailStore& store) { return store.build_index(now); });
            REQUIRE(stepped);
            more = *stepped;
        }
    }
    void check() {
        auto found = on_store([](MailStore& store) -> Result<std::vector<std::string>> { return check_store(store); });
        REQUIRE(found);
        CHECK(*found == std::vector<std::string>{});
    }

  private:
    int count_ = 0;
};

}  // namespace

TEST_CASE("a message has all facets that it has something for") {
    auto values = [](const storaged::Senders& senders) {
        std::vector<std::string> values;
        for (const auto& key : sender_keys(senders))
            values.push_back(std::to_string(static_cast<int>(key.facet)) + " " + key.value);
        return values;
    };
    CHECK(values({"Bounce@Relay.example", "192.0.2.77", "MX.example", from("Carol@Sub.Example.com")}) ==
          std::vector<std::string>{"0 carol@sub.example.com", "1 sub.example.com", "2 example.com",
                                   "3 bounce@relay.example", "4 relay.example", "5 mx.example", "6 example.com",
                                   "6 relay.example.net", "7 192.0.2.77/32", "8 192.0.2.64/26", "9 192.0.0.0/21"});
    CHECK(values({"", "2001:db8:1:2:3:4:5:6", "", {}}) ==
          std::vector<std::string>{"7 2001:db8:1:2::/64", "8 2001:db8:1::/48", "9 2001:db8::/32"});
    // What is too long, or no text, is none.
    CHECK(values({std::string(300, 'x'), "nowhere", "a\nb", {"\xff@x", "", 0, {"", "", "d", "D"}}}) ==
          std::vector<std::string>{"1 x", "6 d"});
}

TEST_CASE("facts come back as they were kept") {
    Known w;
    proto::SenderFacts odd{"x@" + std::string(300, 'x'), "", 0, {"", "b\nc", "Last.example"}};
    w.deliver(odd);
    auto histories = w.ask(odd);
    for (const auto& history : histories.facets) {
        INFO(history.value);
        CHECK(history.messages == (history.facet == SenderFacet::from_domain ? 0 : 1));
    }
    w.build();
    w.check();
}

TEST_CASE("what may not be said of senders is refused") {
    Known w;
    auto refused = [&](proto::SenderFacts facts) {
        auto asked = w.call(w.smtpd, proto::GetSenderHistory{"alice", "", "", "", facts});
        proto::Deliver deliver{0, World::facts("x"), {{"alice", ""}}, "x"};
        deliver.facts.sender = facts;
        auto delivered = w.call(w.smtpd, std::move(deliver));
        return !asked && asked.error().code == ErrorCode::bad_request && !delivered &&
               delivered.error().code == ErrorCode::bad_request;
    };
    CHECK(refused({"", "", 16, {}}));
    CHECK(refused({"", "", 0, std::vector<std::string>(proto::kMaxSignedBy + 1)}));
    CHECK(error_of(w.call(w.smtpd, proto::GetSenderHistory{"nobody", "", "", "", {}})).code == ErrorCode::not_found);
}

TEST_CASE("each facet has its own history") {
    Known w;
    CHECK(w.facet(SenderFacet::from).messages == 0);
    w.deliver(from("carol@example.com"));
    w.deliver(from("dave@example.com"));
    w.deliver({}, "", "192.0.2.66");
    w.deliver({}, "", "198.51.100.1");
    CHECK(w.facet(SenderFacet::from).messages == 1);
    CHECK(w.facet(SenderFacet::from_domain).messages == 2);
    CHECK(w.facet(SenderFacet::signed_by).messages == 2);
    CHECK(w.facet(SenderFacet::mail_from).messages == 4);
    CHECK(w.facet(SenderFacet::ehlo).messages == 4);
    CHECK(w.facet(SenderFacet::address).messages == 2);
    CHECK(w.facet(SenderFacet::network).messages == 3);
    w.flag("INBOX", 2, proto::kJunk);
    auto domain = w.facet(SenderFacet::from_domain);
    CHECK(domain.junk == 1);
    REQUIRE(domain.latest.size() == 1);
    CHECK(domain.latest[0].from == "dave@example.com");
    CHECK(domain.latest[0].verified == proto::kFromVerified);
    CHECK(domain.last >= domain.latest[0].stored);
    // Another account has its own.
    auto bobs = w.call(w.smtpd, proto::GetSenderHistory{"bob", "", "", "", from("carol@example.com")});
    REQUIRE(bobs);
    CHECK(bobs->facets[0].messages == 0);
}

TEST_CASE("an opinion follows flags, then places, and stays when its message goes") {
    bool indexed = GENERATE(false, true);
    Known w(indexed ? small_limits() : Options{});
    w.deliver(from("carol@example.com"));
    if (indexed) {
        for (int i = 0; i < 3; i++) w.deliver(from("other@example.com"));
        w.build();
        CHECK(w.count("SELECT count(*) FROM sender") == 4);
    }
    CHECK(w.opinion() == Opinion::none);
    w.flag("INBOX", 1, proto::kSeen);
    CHECK(w.count("SELECT count(*) FROM opinion") == 0);
    w.flag("INBOX", 1, proto::kNotJunk);
    CHECK(w.opinion() == Opinion::not_junk);
    w.flag("INBOX", 1, proto::kNotJunk | proto::kJunk);
    CHECK(w.opinion() == Opinion::none);
    w.flag("INBOX", 1, 0);
    REQUIRE(w.call(*w.alice, proto::CopyMessages{w.id("INBOX"), {{1, 1}}, "Archive"}));
    CHECK(w.opinion() == Opinion::none);
    REQUIRE(w.call(*w.alice, proto::MoveMessages{w.id("INBOX"), {{1, 1}}, "Junk"}));
    CHECK(w.opinion() == Opinion::junk);
    w.flag("Archive", 1, proto::kNotJunk);
    CHECK(w.opinion() == Opinion::not_junk);
    w.expunge("Archive");
    CHECK(w.opinion() == Opinion::not_junk);
    w.flag("Junk", 1, proto::kJunk);
    w.expunge("Junk");
    w.restart();
    w.alice = w.open("alice");
    CHECK(w.opinion() == Opinion::junk);
    CHECK(w.facet(SenderFacet::wide_network).junk == 1);
    w.check();
}

TEST_CASE("what is filed as junk by itself is no opinion, until somebody says something") {
    Known w(small_limits());
    w.deliver(from("carol@example.com"), "Junk");
    CHECK(w.opinion() == Opinion::filed_as_junk);
    for (int i = 0; i < 3; i++) w.deliver(from("other@example.com"));
    w.build();
    CHECK(w.opinion() == Opinion::filed_as_junk);
    CHECK(w.facet(SenderFacet::from).filed_as_junk == 1);
    REQUIRE(w.call(*w.alice, proto::MoveMessages{w.id("Junk"), {{1, 1}}, "INBOX"}));
    CHECK(w.opinion() == Opinion::none);
}

TEST_CASE("guests have no say") {
    Known w;
    w.accounts = {{"alice", 0, {}, {"alice@example.org"}}, {"bob", 0, {}, {"bob@example.org"}}};
    w.configure();
    w.deliver(from("carol@example.com"));
    REQUIRE(w.call(*w.alice, proto::SetAcl{"INBOX", "bob", proto::AclChange::replace, proto::kAllRights}));
    auto bob = w.open("bob");
    auto inbox = w.call(*bob, proto::OpenMailbox{"#users/alice/INBOX"});
    REQUIRE(inbox);
    REQUIRE(w.call(*bob, proto::StoreFlags{inbox->mailbox.id, {{1, 1}}, StoreMode::add, proto::kJunk, {}, {}}));
    CHECK(w.opinion() == Opinion::none);
}

TEST_CASE("the index gives what looking through all would") {
    std::vector<uint64_t> counts[2];
    for (bool indexed : {false, true}) {
        Known w(indexed ? small_limits() : Options{});
        for (uint32_t i = 0; i < 27; i++) {
            w.deliver(from("a" + std::to_string(i % 5) + "@example.com"));
            if (i % 3 == 0) w.flag("INBOX", i + 1, i % 2 == 0 ? proto::kJunk : proto::kNotJunk);
            if (i % 7 == 0) w.settle();
        }
        if (indexed) w.build();
        CHECK(w.count("SELECT count(*) FROM sender_segment") <= 4);
        CHECK((w.count("SELECT count(*) FROM sender") >= 24) == indexed);
        for (const char* address : {"a0@example.com", "a3@example.com", "unknown@example.com"})
            for (const auto& h : w.ask(from(address)).facets)
                counts[indexed].insert(counts[indexed].end(), {h.messages, h.junk, h.not_junk, h.latest.size()});
        w.check();
    }
    CHECK(counts[0] == counts[1]);
}

TEST_CASE("the oldest are forgotten when there are too many, or they are too old") {
    Known w(small_limits());
    w.deliver(from("first@example.com"));
    w.flag("INBOX", 1, proto::kJunk);
    w.expunge("INBOX");
    for (int i = 0; i < 60; i++) {
        w.deliver(from("many@example.com"));
        if (i % 4 == 0) w.build();
    }
    w.build();
    CHECK(w.count("SELECT count(*) FROM sender") <= 38);
    CHECK(w.count("SELECT count(*) FROM sender") >= 30);
    CHECK(w.facet(SenderFacet::from, "first@example.com").messages == 0);
    CHECK(w.count("SELECT count(*) FROM opinion") == 0);
    w.check();
    w.build(std::time(nullptr) + 3700);
    CHECK(w.count("SELECT count(*) FROM sender_key") == 0);
    CHECK(w.count("SELECT count(*) FROM sender") == 0);
    w.check();
}

TEST_CASE("an answer is bounded") {
    Known w;
    for (size_t i = 0; i < proto::kMaxSenderMessages + 20; i++) w.deliver(from("carol@example.com"), "Junk");
    auto history = w.facet(SenderFacet::from);
    CHECK(history.messages == proto::kMaxSenderMessages);
    CHECK(history.filed_as_junk == proto::kMaxSenderMessages);
    CHECK(history.latest.size() == proto::kMaxSenderOutcomes);
    w.settle();
    CHECK(w.count("SELECT count(*) FROM sender") > 0);  // by itself
    CHECK(w.facet(SenderFacet::from).messages == proto::kMaxSenderMessages);
    w.check();
}

TEST_CASE("whom the account has written to is told along") {
    Known w;
    CHECK(w.ask(from("carol@example.com")).written_to == 0);
    auto note = [](MailStore& store) {
        return store.note_recipients({"Carol@example.com", "x@sub.example.com"}, 1234);
    };
    REQUIRE(w.on_store(note));
    CHECK(w.ask(from("CAROL@example.com")).written_to == 1234);
    CHECK(w.ask(from("dave@example.com")).written_to == 0);
    CHECK(w.ask(from("dave@example.com")).written_to_domain == 1234);
    CHECK(w.ask(from("dave@e.com")).written_to_domain == 0);
}

TEST_CASE("an administrator lists senders, looks one up, and has them forgotten") {
    Known w;
    w.deliver(from("carol@example.com"));
    w.deliver(from("dave@example.com"));
    w.deliver(from("dave@example.com"), "", "198.51.100.1");
    w.flag("INBOX", 2, proto::kJunk);
    ipc::Channel admin(w.server->accounts().find("alice")->open_channel(Role::moxctl), {Role::storaged, "storaged"});
    Events events;
    admin.serve(proto::AccountEventMessages{}, events);
    admin.start();
    auto found = [&](const std::string& who) {
        auto histories = w.call(admin, proto::FindSender{who});
        REQUIRE(histories);
        return histories->facets;
    };
    CHECK(found("nobody").empty());
    REQUIRE(found("Dave@example.com").size() == 1);
    CHECK(found("dave@example.com")[0].junk == 1);
    CHECK(found("example.com").size() == 3);
    CHECK(found("192.0.2.77").size() == 3);
    CHECK(found("192.0.2.64/26").size() == 1);
    auto list = w.call(admin, proto::ListSenders{""});
    REQUIRE(list);
    REQUIRE(list->senders.size() == 2);
    CHECK(list->senders[1].address == "dave@example.com");
    CHECK(list->senders[1].messages == 2);
    CHECK(list->senders[1].junk == 1);
    CHECK(w.call(admin, proto::ListSenders{"dave@example.com"})->senders.empty());
    CHECK(w.call(admin, proto::ForgetSenders{"198.51.100.1"})->messages == 1);
    CHECK(found("dave@example.com")[0].messages == 1);
    w.deliver(from("dave@example.com"));  // one that waits
    CHECK(w.call(admin, proto::ForgetSenders{""})->messages == 3);
    CHECK(w.call(admin, proto::ListSenders{""})->senders.empty());
    CHECK(w.facet(SenderFacet::from).messages == 0);
    w.check();
}

TEST_CASE("of messages before this was kept nothing is known") {
    Known w;
    w.deliver(from("carol@example.com"));
    w.wait(World::finish(*w.server));
    w.crash();
    {
        Journal journal;
        Database db("accounts/alice/index.db", journal);
        make_older(db, 7);
        REQUIRE(db.sync_log());
    }
    w.start();
    w.alice = w.open("alice");
    CHECK(w.facet(SenderFacet::from).messages == 0);
    w.deliver(from("carol@example.com"));
    CHECK(w.facet(SenderFacet::from).messages == 1);
    w.check();
}
