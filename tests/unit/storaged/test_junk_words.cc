// Words of junk: what is to be learned by flags, each message once, unlearning, bounds.
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;
using proto::JunkClass;
using proto::StoreMode;

namespace {

using Words = std::vector<uint64_t>;

struct Junk : private TemporaryDirectory, public World {
    explicit Junk(Options options = {}) : World(std::move(options)) {}
    std::unique_ptr<Client> alice = open("alice");

    void append(const std::string& mailbox, const std::string& text, uint32_t flags = 0) {
        proto::AppendItem item{0, text.size(), flags, {}, {1, 0}, "info of " + text.substr(0, 10)};
        if (text.size() > proto::kMaxInlineContent)
            item.spool = spool(alice->channel, text);
        else
            item.content = text;
        REQUIRE(call(*alice, proto::AppendMessages{mailbox, {item}}));
    }
    proto::MailboxId id(const std::string& mailbox) {
        auto columns = call(*alice, proto::OpenMailbox{mailbox});
        REQUIRE(columns);
        return columns->mailbox.id;
    }
    void flag(uint32_t uid, uint32_t flags, const std::string& mailbox = "INBOX") {
        REQUIRE(call(*alice, proto::StoreFlags{id(mailbox), {{uid, uid}}, StoreMode::replace, flags, {}, {}}));
    }
    void expunge(const std::string& mailbox) {
        proto::UidRange all{1, UINT32_MAX};
        REQUIRE(call(*alice, proto::StoreFlags{id(mailbox), {all}, StoreMode::add, proto::kDeleted, {}, {}}));
        REQUIRE(call(*alice, proto::Expunge{id(mailbox), {all}}));
    }
    std::vector<proto::UnlearnedMessage> unlearned() {
        auto reply = call(*alice, proto::GetUnlearned{});
        REQUIRE(reply);
        return std::move(reply->messages);
    }
    void learn(const proto::UnlearnedMessage& message, Words words) {
        REQUIRE(call(*alice, proto::LearnMessages{
                                 {{message.message.content.number, message.was, message.wanted, std::move(words)}}}));
    }
    /// All that waits, with the same words.
    void learn_all(const Words& words) {
        for (auto messages = unlearned(); !messages.empty(); messages = unlearned())
            for (const auto& message : messages) learn(message, words);
    }
    proto::WordCounts counts(Words words) {
        auto counts = call(smtpd, proto::GetWordCounts{"alice", std::move(words)});
        REQUIRE(counts);
        return std::move(*counts);
    }
    /// Messages that were learned as junk and as not, then the same of those that have a word.
    std::vector<uint64_t> of(uint64_t word) {
        auto c = counts({word});
        return {c.junk, c.not_junk, c.words[0].junk, c.words[0].not_junk};
    }
    template <class F>
    auto on_store(F work) {
        return wait(server->accounts().find("alice")->run(Access::write, std::move(work)));
    }
    proto::JunkStatus status() {
        auto status = on_store([](MailStore& store) { return store.junk_status(); });
        REQUIRE(status);
        return *status;
    }
    void reset(proto::JunkReset reset) {
        REQUIRE(on_store([reset](MailStore& store) { return store.reset_junk_words(reset); }));
    }
    void check() {
        auto found = on_store([](MailStore& store) -> Result<std::vector<std::string>> { return check_store(store); });
        REQUIRE(found);
        CHECK(*found == std::vector<std::string>{});
    }
};

using Counts = std::vector<uint64_t>;

}  // namespace

TEST_CASE("a message is learned as its flags say, and unlearned when they change") {
    Junk w;
    w.append("INBOX", "text");
    w.settle();
    CHECK(w.alice->events.learning_due == 0);
    w.flag(1, proto::kSeen);
    w.settle();
    CHECK(w.alice->events.learning_due == 0);
    CHECK(w.unlearned().empty());
    w.flag(1, proto::kJunk);
    w.settle();
    CHECK(w.alice->events.learning_due == 1);
    auto messages = w.unlearned();
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].was == JunkClass::none);
    CHECK(messages[0].wanted == JunkClass::junk);
    CHECK(text_of(messages[0].message) == "text");
    CHECK(messages[0].message.info == "info of text");
    w.learn(messages[0], {1, 2, 3});
    CHECK(w.of(2) == Counts{1, 0, 1, 0});
    CHECK(w.of(9) == Counts{1, 0, 0, 0});
    CHECK(w.unlearned().empty());
    w.flag(1, proto::kNotJunk);
    w.learn_all({1, 2, 3});
    CHECK(w.of(2) == Counts{0, 1, 0, 1});
    w.flag(1, proto::kNotJunk | proto::kJunk);
    w.learn_all({1, 2, 3});
    CHECK(w.of(2) == Counts{0, 0, 0, 0});
    w.check();
}

TEST_CASE("each message counts once, whoever learns it and however often") {
    Junk w;
    w.append("INBOX", "text", proto::kJunk);
    auto told = w.unlearned();
    REQUIRE(told.size() == 1);
    w.learn(told[0], {7});
    w.learn(told[0], {7});
    CHECK(w.of(7) == Counts{1, 0, 1, 0});
    // What was wanted when the worker was told is wanted no more.
    w.flag(1, proto::kNotJunk);
    auto old = w.unlearned();
    w.flag(1, 0);
    w.learn(old[0], {7});
    CHECK(w.of(7) == Counts{1, 0, 1, 0});
    old[0].message.content.number += 100;  // made up
    w.learn(old[0], {7});
    CHECK(w.of(7) == Counts{1, 0, 1, 0});
    w.restart();
    w.alice = w.open("alice");
    w.settle();
    CHECK(w.alice->events.learning_due == 1);  // what was left is told of with the next channel
    w.learn_all({7});
    CHECK(w.of(7) == Counts{0, 0, 0, 0});
    w.check();
}

TEST_CASE("copies are one message, and what is gone stays learned") {
    Junk w;
    w.append("INBOX", "text", proto::kJunk);
    REQUIRE(w.call(*w.alice, proto::CopyMessages{w.id("INBOX"), {{1, 1}}, "Archive"}));
    REQUIRE(w.call(*w.alice, proto::MoveMessages{w.id("INBOX"), {{1, 1}}, "Junk"}));
    w.learn_all({7});
    CHECK(w.of(7) == Counts{1, 0, 1, 0});
    w.expunge("Junk");
    w.expunge("Archive");
    CHECK(w.of(7) == Counts{1, 0, 1, 0});
    CHECK(w.unlearned().empty());
    // What goes before it was learned is not.
    w.append("INBOX", "another", proto::kNotJunk);
    CHECK(w.status().waiting == 1);
    w.expunge("INBOX");
    CHECK(w.status().waiting == 0);
    w.check();
}

TEST_CASE("to be put among junk is no word about its words") {
    Junk w;
    w.append("Junk", "text");
    w.append("INBOX", "text");
    REQUIRE(w.call(*w.alice, proto::MoveMessages{w.id("INBOX"), {{1, 1}}, "Junk"}));
    CHECK(w.unlearned().empty());
}

TEST_CASE("what is said of words is bounded") {
    Junk w;
    auto refused = [&](std::vector<proto::LearnedMessage> messages) {
        auto learned = w.call(*w.alice, proto::LearnMessages{std::move(messages)});
        return !learned && learned.error().code == ErrorCode::bad_request;
    };
    Words many(proto::kMaxJunkWords + 1);
    for (size_t i = 0; i < many.size(); i++) many[i] = i;
    CHECK(refused({{1, {}, JunkClass::junk, many}}));
    CHECK(refused({{1, {}, JunkClass::junk, {2, 2}}}));
    CHECK(refused({{1, {}, JunkClass::junk, {3, 2}}}));
    CHECK(refused(std::vector<proto::LearnedMessage>(proto::kMaxLearnedAtOnce + 1)));
    CHECK(error_of(w.call(w.smtpd, proto::GetWordCounts{"alice", many})).code == ErrorCode::bad_request);
    CHECK(error_of(w.call(w.smtpd, proto::GetWordCounts{"nobody", {}})).code == ErrorCode::not_found);
}

TEST_CASE("of too many words rare and old ones go") {
    Options options;
    options.junk = {.words = 500, .looked_at = 200, .dropped = 50};
    Junk w(options);
    Words common;
    for (uint64_t i = 0; i < 50; i++) common.push_back(i << 58 | 1);
    for (int i = 0; i < 20; i++) {
        w.append("INBOX", "text", proto::kJunk);
        Words words = common;
        for (uint64_t n = 0; n < 60; n++) words.push_back(n << 58 | static_cast<uint64_t>(i + 2));
        std::ranges::sort(words);
        words.erase(std::ranges::unique(words).begin(), words.end());
        w.learn_all(words);
    }
    CHECK(w.status().words <= 500);
    CHECK(w.status().words > 400);
    for (const auto& count : w.counts(common).words) CHECK(count.junk >= 18);
    w.check();
}

TEST_CASE("what was learned is forgotten, or learned anew from the flags of now") {
    Junk w;
    for (uint32_t flags : {uint32_t{proto::kJunk}, uint32_t{proto::kNotJunk}, uint32_t{0}})
        w.append("INBOX", "x", flags);
    w.learn_all({7});
    CHECK(w.of(7) == Counts{1, 1, 1, 1});
    w.reset(proto::JunkReset::forget);
    CHECK(w.of(7) == Counts{0, 0, 0, 0});
    CHECK(w.unlearned().empty());
    w.check();
    // Also what was flagged before anything was learned here.
    REQUIRE(w.on_store([](MailStore& store) -> Result<proto::Done> {
        store.db().run("DELETE FROM opinion");
        return proto::Done{};
    }));
    w.reset(proto::JunkReset::learn_anew);
    w.settle();
    CHECK(w.alice->events.learning_due > 0);
    CHECK(w.status().waiting == 2);
    w.learn_all({8});
    CHECK(w.of(8) == Counts{1, 1, 1, 1});
    w.flag(1, 0);
    w.learn_all({8});
    CHECK(w.of(8) == Counts{0, 1, 0, 1});
    w.check();
}

TEST_CASE("a message that cannot be read does not keep others from being learned") {
    Junk w;
    w.append("INBOX", std::string(100'000, 'x'), proto::kJunk);
    w.append("INBOX", "y", proto::kJunk);
    for (const auto& entry : std::filesystem::recursive_directory_iterator("accounts/alice/msg"))
        if (entry.is_regular_file() && entry.file_size() == 100'000) std::filesystem::resize_file(entry.path(), 10);
    auto messages = w.unlearned();
    REQUIRE(messages.size() == 1);
    CHECK(text_of(messages[0].message) == "y");
}
