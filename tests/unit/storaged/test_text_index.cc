#include <random>
#include <set>

#include "common/mail/fold_case.h"
#include "common/mail/mime_parser.h"
#include "common/mail/words.h"
#include "proto/admin.h"
#include "storaged/check.h"
#include "storaged/segment.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;

namespace {

constexpr uint32_t kText = mail::kInBody | mail::kInHeader;

Options small_index() {
    Options options;
    options.index = {.lists = 8, .list_bytes = 64u << 10, .fan = 3, .slice_bytes = 2000};
    return options;
}

std::string words_of(std::string_view text) {
    mail::ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
        return offset < text.size() ? text.copy(into.data(), into.size(), offset) : 0;
    };
    return mail::word_list({mail::parse_message(text), read});
}

proto::AppendItem item(const std::string& text, bool indexed = true) {
    proto::AppendItem item{0, text.size(), 0, {}, {1700000000, 0}, "info", text};
    if (indexed) item.words = words_of(text);
    return item;
}

/// What the index says, as sets of contents.
struct Answer {
    std::set<uint64_t> indexed, complete, found;
    proto::KeyAnswer key{};
    bool may_hold(uint64_t content) const { return found.contains(content) || !complete.contains(content); }
};
Answer find(World& w, Client& client, const std::string& text, uint32_t classes = kText,
            const std::string& field = "") {
    auto reply = w.call(client, proto::FindText{{{classes, mail::fold_case(text), field}}});
    REQUIRE(reply);
    size_t words = (reply->count + 63) / 64;
    std::vector<uint64_t> bits(words * 3);
    REQUIRE(pread(reply->bits.get(), bits.data(), bits.size() * 8, 0) == static_cast<ssize_t>(bits.size() * 8));
    Answer answer;
    answer.key = reply->keys.at(0);
    for (uint64_t i = 0; i < reply->count; i++) {
        auto has = [&](size_t bitmap) { return (bits[bitmap * words + i / 64] >> i % 64 & 1) != 0; };
        if (has(0)) answer.indexed.insert(reply->first + i);
        if (has(1)) answer.complete.insert(reply->first + i);
        if (has(2)) answer.found.insert(reply->first + i);
    }
    return answer;
}

/// Messages of a few words each, by their content.
using Mail = std::map<uint64_t, std::string>;

std::string random_text(std::mt19937& random, size_t words = 12) {
    std::string text = "Subject: s" + std::to_string(random() % 50) + "\r\n\r\n";
    for (size_t i = 0; i < words; i++) {
        std::string word;
        for (size_t n = random() % 5 + 1; n > 0; n--) word += static_cast<char>('a' + random() % 5);
        text += word + (random() % 4 == 0 ? "\r\n" : " ");
    }
    return text;
}

uint64_t add(World& w, Client& client, Mail& mail, const std::string& text, bool indexed = true) {
    auto appended = w.call(client, proto::AppendMessages{"INBOX", {item(text, indexed)}});
    REQUIRE(appended);
    auto columns = w.call(client, proto::OpenMailbox{"INBOX"});
    REQUIRE(columns);
    uint64_t content = rows_of(*columns).back().content;
    mail[content] = text;
    return content;
}

void compare(World& w, Client& client, const Mail& mail, std::mt19937& random, size_t queries) {
    for (size_t i = 0; i < queries; i++) {
        std::string query;
        for (size_t n = random() % 4 + 1; n > 0; n--)
            query += static_cast<char>(random() % 8 == 0 ? ' ' : 'a' + random() % 5);
        auto answer = find(w, client, query);
        if (answer.key == proto::KeyAnswer::unknown) continue;
        for (const auto& [content, text] : mail) {
            bool holds = mail::fold_case(text).find(mail::fold_case(query)) != std::string::npos;
            INFO('"' << query << "\" in " << text);
            if (holds) CHECK(answer.may_hold(content));
            if (answer.key == proto::KeyAnswer::exact && answer.found.contains(content)) CHECK(holds);
        }
    }
}

void wait_for_index(World& w) {
    auto account = w.server->accounts().find("alice");
    w.wait(World::nap(2ms));
    for (int i = 0; i < 2000 && !account->idle(); i++) w.wait(World::nap(2ms));
}

size_t count_rows(const char* sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open("accounts/alice/index.db", &db) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    auto count = static_cast<size_t>(sqlite3_column_int64(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return count;
}

void run_sql(const char* sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open("accounts/alice/index.db", &db) == SQLITE_OK);
    REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
}

std::vector<std::string> problems_of(World& w, proto::Strays strays = proto::Strays::leave) {
    auto channel = w.server->open_for_admin();
    REQUIRE(channel);
    ipc::Channel admin(std::move(channel->channel), {Role::storaged, "storaged"});
    admin.start();
    auto checked = w.call(admin, proto::CheckStore{"alice", strays});
    REQUIRE(checked);
    return checked->problems;
}

}  // namespace

TEST_CASE("blocks of words") {
    BlockWriter writer;
    std::vector<std::string> words = {"a", "ab", "abc", "b", "ba", "cab", std::string(64, 'd')};
    for (size_t i = 0; i < words.size(); i++) {
        std::vector<Posting> postings = {{i + 1, 1}, {i + 200, 3}, {i + 100000, 1}};
        std::string encoded;
        encode_postings(postings, encoded);
        writer.add(words[i], encoded);
    }
    Block block = writer.finish();
    CHECK(block.first == "a");
    CHECK(writer.is_empty());
    auto found = [&](const std::string& text, mail::PieceMode mode) {
        std::vector<std::string> out;
        for (uint32_t position : find_in_block(block.words, {text, mode})) out.push_back(words.at(position));
        return out;
    };
    using Words = std::vector<std::string>;
    CHECK(found("ab", mail::PieceMode::within) == Words{"ab", "abc", "cab"});
    CHECK(found("a", mail::PieceMode::within) == Words{"a", "ab", "abc", "ba", "cab"});
    CHECK(found("ab", mail::PieceMode::whole) == Words{"ab"});
    CHECK(found("ab", mail::PieceMode::begins) == Words{"ab", "abc"});
    CHECK(found("a", mail::PieceMode::ends) == Words{"a", "ba"});
    CHECK(found("d", mail::PieceMode::ends).size() == 1);
    CHECK(found("x", mail::PieceMode::begins).empty());
    CHECK(found("0", mail::PieceMode::whole).empty());
    std::vector<uint64_t> contents;
    std::vector<uint32_t> positions = {1, 6};
    for_lists(block.postings, positions, [&](std::string_view list) {
        for_postings(list, 2, [&](uint64_t content) { contents.push_back(content); });
    });
    CHECK(contents == std::vector<uint64_t>{201, 206});
    // All of it comes back, and nothing that was changed does.
    BlockReader reader(block.words, block.postings);
    for (const std::string& word : words) CHECK(reader.next()->word == word);
    CHECK_FALSE(reader.next());
    for (size_t i = 0; i < block.words.size(); i++) {
        std::string damaged = block.words;
        damaged[i] ^= 1;
        CHECK_THROWS_AS(find_in_block(damaged, {"a", mail::PieceMode::within}), Damaged);
    }
    CHECK(unpack_numbers(pack_numbers(std::vector<uint64_t>{1, 5, 1u << 30})) == std::vector<uint64_t>{1, 5, 1u << 30});
    CHECK_THROWS_AS(unpack_numbers(pack_numbers(std::vector<uint64_t>{5, 5})), Damaged);
}

TEST_CASE("the index finds what the messages hold") {
    TemporaryDirectory directory;
    World w(small_index());
    auto alice = w.open("alice");
    std::mt19937 random(1);
    Mail mail;
    compare(w, *alice, mail, random, 1);
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 14; i++) add(w, *alice, mail, random_text(random), round % 4 != 3);
        if (round % 2 == 0) wait_for_index(w);
        compare(w, *alice, mail, random, 8);
        if (round == 5) {
            alice.reset();
            w.restart();
            alice = w.open("alice");
        }
    }
    wait_for_index(w);
    CHECK(problems_of(w).empty());
    auto answer = find(w, *alice, "a");
    CHECK(answer.indexed.size() == 9u * 14);
    // What it lacks is given to it; what it has is not taken again.
    proto::IndexWords missing;
    for (const auto& [content, text] : mail) missing.contents.push_back({content, words_of(text)});
    missing.contents.push_back({99999, words_of("\r\nnobody\r\n")});
    CHECK(w.call(*alice, missing));
    wait_for_index(w);
    answer = find(w, *alice, "a");
    CHECK(answer.complete.size() == mail.size());
    compare(w, *alice, mail, random, 20);
    CHECK(problems_of(w).empty());
    alice.reset();
    w.restart();
    CHECK(count_rows("SELECT count(*) FROM segment WHERE level > 1") > 0);
    CHECK(count_rows("SELECT count(*) FROM word_list") < 8);
    CHECK(count_rows("SELECT count(*) FROM segment WHERE state != 0") == 0);
    CHECK(count_rows("SELECT count(*) FROM segment_words WHERE id >> 24 NOT IN (SELECT id FROM segment)") == 0);
}

TEST_CASE("classes, fields and texts without words") {
    TemporaryDirectory directory;
    World w(small_index());
    auto alice = w.open("alice");
    Mail mail;
    uint64_t one = add(w, *alice, mail, "Subject: alpha\r\nX-Foo: beta\r\n\r\ngamma\r\n");
    uint64_t two = add(w, *alice, mail, "Subject: gamma\r\nX-Bar: beta\r\n\r\nalpha\r\n");
    for (int indexed = 0; indexed < 2; indexed++) {
        CHECK(find(w, *alice, "alph", mail::kInSubject).found == std::set{one});
        CHECK(find(w, *alice, "lpha", mail::kInBody).found == std::set{two});
        CHECK(find(w, *alice, "ALPHA").found == std::set{one, two});
        CHECK(find(w, *alice, "bet", mail::kInHeader, "x-foo").found == std::set{one});
        CHECK(find(w, *alice, "", mail::kInHeader, "x-bar").found == std::set{two});
        CHECK(find(w, *alice, "", mail::kInHeader, "x-bar").key == proto::KeyAnswer::narrowed);
        CHECK(find(w, *alice, "-").key == proto::KeyAnswer::unknown);
        CHECK(find(w, *alice, "subject alpha").found == std::set{one, two});
        CHECK(find(w, *alice, "alpha", 0).found.empty());
        for (int i = 0; i < 8; i++) add(w, *alice, mail, "\r\nother\r\n");
        wait_for_index(w);
    }
    CHECK(error_of(w.call(*alice, proto::FindText{})).code == ErrorCode::bad_request);
    CHECK(error_of(w.call(*alice, proto::FindText{{{1, std::string(1001, 'x')}}})).code == ErrorCode::bad_request);
    CHECK(error_of(w.call(*alice, proto::FindText{std::vector<proto::TextKey>(17, {1, "x"})})).code ==
          ErrorCode::bad_request);
    CHECK(error_of(w.call(*alice, proto::IndexWords{{{one, "junk"}}})).code == ErrorCode::bad_request);
    proto::AppendItem bad = item("\r\nx\r\n");
    bad.words = "junk";
    CHECK(error_of(w.call(*alice, proto::AppendMessages{"INBOX", {bad}})).code == ErrorCode::bad_request);
}

TEST_CASE("words of deliveries are those of prefix and content") {
    TemporaryDirectory directory;
    World w(small_index());
    auto alice = w.open("alice");
    std::string text = "Subject: alpha\r\n\r\nbeta\r\n";
    auto facts = World::facts(text);
    facts.words = words_of(text);
    proto::DeliveryTarget target{"alice", "", "Return-Path: <gamma>\r\n", "Received: by delta\r\n"};
    target.words = mail::header_word_list(target.prefix + target.trace);
    REQUIRE(w.call(w.smtpd, proto::Deliver{0, facts, {target}, text}));
    // Without the words of its prefix nothing is known of this one.
    target.words.clear();
    REQUIRE(w.call(w.smtpd, proto::Deliver{0, facts, {target}, text}));
    for (std::string_view word : {"alpha", "beta", "gamma", "delta"})
        CHECK(find(w, *alice, std::string(word)).found == std::set<uint64_t>{1});
    CHECK(find(w, *alice, "x").indexed == std::set<uint64_t>{1});
    // From the queue, with what that put in front.
    proto::Enqueue enqueue{};
    enqueue.facts = facts;
    enqueue.content = text;
    enqueue.prefix = "Received: by epsilon\r\n";
    enqueue.facts.words = mail::join_word_lists(facts.words, mail::header_word_list(enqueue.prefix));
    enqueue.recipients = {"alice@example.org"};
    auto queued = w.call(w.smtpd, std::move(enqueue));
    REQUIRE(queued);
    proto::DeliveryTarget local{"alice", "", "Return-Path: <zeta>\r\n"};
    local.words = mail::header_word_list(local.prefix);
    REQUIRE(w.call(w.queued, proto::QueueDeliverLocal{queued->ids[0], {1700000000, 0}, local}));
    for (std::string_view word : {"epsilon", "zeta"})
        CHECK(find(w, *alice, std::string(word)).found == std::set<uint64_t>{4});  // 2 is the pack
    facts.words = "junk";
    CHECK(error_of(w.call(w.smtpd, proto::Deliver{0, facts, {target}, text})).code == ErrorCode::bad_request);
}

TEST_CASE("contents that are gone leave the index") {
    TemporaryDirectory directory;
    World w(small_index());
    auto alice = w.open("alice");
    auto inbox = w.call(*alice, proto::OpenMailbox{"INBOX"})->mailbox.id;
    std::mt19937 random(3);
    Mail mail;
    for (int i = 0; i < 40; i++) add(w, *alice, mail, random_text(random) + " unique" + std::to_string(i) + "\r\n");
    wait_for_index(w);
    REQUIRE(w.call(*alice, proto::CopyMessages{inbox, {{5, 5}}, "Trash"}));
    REQUIRE(w.call(*alice, proto::StoreFlags{inbox, {{1, 38}}, proto::StoreMode::add, proto::kDeleted, {}, {}}));
    REQUIRE(w.call(*alice, proto::Expunge{inbox, {{1, 38}}}));
    std::erase_if(mail, [](const auto& m) { return m.first <= 38 && m.first != 5; });
    CHECK(find(w, *alice, "unique4").found.contains(6));  // 2 is the pack
    CHECK(problems_of(w).empty());
    // Merged away, with the next segments.
    for (int i = 0; i < 80; i++) add(w, *alice, mail, random_text(random));
    wait_for_index(w);
    compare(w, *alice, mail, random, 20);
    CHECK(problems_of(w).empty());
    alice.reset();
    w.restart();
    CHECK(count_rows("SELECT count(*) FROM segment_words WHERE instr(words, CAST('UNIQUE7' AS BLOB))") == 0);
    CHECK(count_rows("SELECT count(*) FROM segment_words WHERE instr(words, CAST('UNIQUE4' AS BLOB))") > 0);
    CHECK(count_rows("SELECT count(*) FROM dead_content") < 37);
}

TEST_CASE("a damaged index is noticed and made anew") {
    for (const char* damage :
         {"UPDATE segment_words SET words = CAST(substr(words, 1, 40) || x'00' || substr(words, 42) AS BLOB)",
          "UPDATE segment_postings SET postings = x'0102'", "DELETE FROM segment_postings",
          "UPDATE segment SET contents = x''", "UPDATE word_list SET words = x'09'"}) {
        INFO(damage);
        TemporaryDirectory directory;
        World w(small_index());
        auto alice = w.open("alice");
        std::mt19937 random(4);
        Mail mail;
        for (int i = 0; i < 21; i++) add(w, *alice, mail, random_text(random));
        wait_for_index(w);
        alice.reset();
        w.restart();
        w.wait(World::finish(*w.server));
        w.crash();
        run_sql(damage);
        w.start();
        alice = w.open("alice");
        compare(w, *alice, mail, random, 10);
        CHECK(find(w, *alice, "a").indexed.size() < mail.size());
        CHECK_FALSE(problems_of(w).empty());
        CHECK_FALSE(problems_of(w, proto::Strays::move_aside).empty());
        wait_for_index(w);
        CHECK(problems_of(w).empty());
        proto::IndexWords missing;
        for (const auto& [content, text] : mail) missing.contents.push_back({content, words_of(text)});
        CHECK(w.call(*alice, missing));
        wait_for_index(w);
        CHECK(find(w, *alice, "a").complete.size() == mail.size());
        compare(w, *alice, mail, random, 10);
        CHECK(problems_of(w).empty());
    }
}

TEST_CASE("an index that is dropped is empty") {
    TemporaryDirectory directory;
    World w(small_index());
    auto alice = w.open("alice");
    std::mt19937 random(5);
    Mail mail;
    for (int i = 0; i < 30; i++) add(w, *alice, mail, random_text(random));
    wait_for_index(w);
    auto account = w.server->accounts().find("alice");
    CHECK(w.wait(account->run(Access::write, [](MailStore& store) { return store.drop_index(); })));
    account.reset();  // it must not outlive its server
    CHECK(find(w, *alice, "a").indexed.empty());
    wait_for_index(w);
    alice.reset();
    w.restart();
    for (const char* table : {"SELECT count(*) FROM segment", "SELECT count(*) FROM segment_words",
                              "SELECT count(*) FROM segment_postings", "SELECT count(*) FROM word_list"})
        CHECK(count_rows(table) == 0);
}
