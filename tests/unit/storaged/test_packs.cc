// Small messages in packs: where a record goes, what becomes of those that are gone, what a crash leaves.
#include <fstream>

#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kFiles = "accounts/alice/msg";

/// Small packs, so that all that happens to them happens soon.
storaged::Options small_packs() {
    storaged::Options options;
    options.packs = {.max_size = 10000, .small_size = 3000, .small_ones = 2, .slice_bytes = 4000};
    return options;
}

std::string text_number(int n) {
    return "text " + std::to_string(n) + std::string(900, 'x');
}

void deliver(World& w, int from, int to) {
    for (int i = from; i < to; i++) REQUIRE_FALSE(w.deliver("alice", "", text_number(i)));
}

void expunge(World& w, std::vector<proto::UidRange> uids) {
    auto client = w.open("alice");
    auto inbox = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    proto::MailboxId id = inbox->mailbox.id;
    REQUIRE(w.call(*client, proto::StoreFlags{id, uids, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt}));
    REQUIRE(w.call(*client, proto::Expunge{id, uids}));
    w.settle();
}

/// The texts of INBOX, by uid.
std::map<uint32_t, std::string> texts(World& w) {
    std::map<uint32_t, std::string> found;
    auto client = w.open("alice");
    auto inbox = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    for (const auto& row : rows_of(*inbox)) {
        auto files = w.call(*client, proto::OpenMessages{inbox->mailbox.id, {{row.uid}}});
        REQUIRE(files);
        REQUIRE(files->messages.size() == 1);
        CHECK_FALSE(files->messages[0].file);  // its descriptor would show other messages
        found[row.uid] = files->messages[0].start;
    }
    return found;
}

std::vector<fs::path> packs() {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(kFiles))
        if (entry.is_regular_file()) found.push_back(entry.path());
    std::ranges::sort(found, {}, [](const fs::path& path) { return std::stoul(path.filename()); });
    return found;
}

/// Flips a bit of the byte there.
void damage(const fs::path& path, uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
}

}  // namespace

TEST_CASE("small messages share files, until one is full; a closed store goes on with the last") {
    TemporaryDirectory directory;
    World w(small_packs());
    deliver(w, 0, 5);
    CHECK(count_files(kFiles) == 1);
    w.restart();
    deliver(w, 5, 10);
    CHECK(count_files(kFiles) == 1);
    deliver(w, 10, 25);
    CHECK(count_files(kFiles) == 3);
    auto found = texts(w);
    REQUIRE(found.size() == 25);
    for (int i = 0; i < 25; i++) CHECK(found[static_cast<uint32_t>(i + 1)] == text_number(i));
    CHECK(w.stored("alice") == 25);
}

TEST_CASE("a pack that is in a backup too gets no more records") {
    TemporaryDirectory directory;
    World w;
    deliver(w, 0, 2);
    fs::path first = packs().at(0);
    fs::create_hard_link(first, "backup");
    auto size = fs::file_size("backup");
    deliver(w, 2, 4);
    CHECK(fs::file_size("backup") == size);
    CHECK(count_files(kFiles) == 2);
    deliver(w, 4, 6);
    CHECK(count_files(kFiles) == 2);
    CHECK(w.stored("alice") == 6);
}

TEST_CASE("an empty pack is removed at once, of one with little left the rest moves") {
    TemporaryDirectory directory;
    World w(small_packs());
    deliver(w, 0, 30);  // 10 a pack
    REQUIRE(packs().size() == 3);
    expunge(w, {{1, 10}});
    CHECK(packs().size() == 2);
    CHECK(w.rewrite_packs("alice") == 0);
    expunge(w, {{11, 15}});
    CHECK(w.rewrite_packs("alice") == 0);  // half of it is in use
    expunge(w, {{16, 16}});
    CHECK(w.rewrite_packs("alice") >= 3);  // in slices
    w.settle();
    CHECK(w.stored("alice") == 14);
    auto found = texts(w);
    REQUIRE(found.size() == 14);
    for (uint32_t uid = 17; uid <= 30; uid++) CHECK(found[uid] == text_number(static_cast<int>(uid) - 1));
    w.restart();
    CHECK(w.stored("alice") == 14);
    CHECK(texts(w) == found);
}

TEST_CASE("the pack that is being filled ends when little of it is needed") {
    TemporaryDirectory directory;
    World w(small_packs());
    deliver(w, 0, 6);
    REQUIRE(packs().size() == 1);
    auto first = packs();
    expunge(w, {{1, 4}});
    CHECK(w.rewrite_packs("alice") > 0);
    w.settle();
    CHECK(packs().size() == 1);
    CHECK(packs() != first);
    CHECK(texts(w) == std::map<uint32_t, std::string>{{5, text_number(4)}, {6, text_number(5)}});
    CHECK(w.stored("alice") == 2);
    // A small one stays for what comes next.
    expunge(w, {{5, 6}});
    CHECK(packs().size() == 1);
    deliver(w, 6, 10);
    CHECK(packs().size() == 1);
    expunge(w, {{7, 10}});
    CHECK(packs().empty());
    deliver(w, 10, 11);
    CHECK(texts(w) == std::map<uint32_t, std::string>{{11, text_number(10)}});
    CHECK(w.stored("alice") == 1);
}

TEST_CASE("many small packs become one") {
    TemporaryDirectory directory;
    World w(small_packs());
    for (int i = 0; i < 4; i++) {
        deliver(w, i, i + 1);
        fs::create_hard_link(packs().back(), "backup" + std::to_string(i));
    }
    CHECK(packs().size() == 4);
    deliver(w, 4, 5);
    CHECK(w.rewrite_packs("alice") > 0);
    w.settle();
    CHECK(packs().size() <= 2);
    CHECK(w.stored("alice") == 5);
    CHECK(texts(w).size() == 5);
}

TEST_CASE("damage of one record is an error of that message alone, and the pack is kept") {
    TemporaryDirectory directory;
    World w(small_packs());
    deliver(w, 0, 21);
    damage(packs().at(0), 2 * (pack::kRecordHead + text_number(0).size()) + 100);  // the third message
    auto client = w.open("alice");
    auto inbox = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    auto files = w.call(*client, proto::OpenMessages{inbox->mailbox.id, {{2}, {3}, {4}}});
    REQUIRE(files);
    REQUIRE(files->messages.size() == 2);
    CHECK(files->messages[1].start == text_number(3));
    CHECK(files->damaged.size() == 1);
    auto lost = w.call(*client, proto::OpenMessages{inbox->mailbox.id, {{3}, {999}}});
    REQUIRE(lost);
    CHECK(lost->messages.empty());
    REQUIRE(lost->damaged.size() == 1);  // not the same as one that is gone
    CHECK(lost->damaged[0].value == 3);
    expunge(w, {{4, 10}});
    w.rewrite_packs("alice");
    w.settle();
    // The others have moved, the damaged one has not, so its pack stays for whoever may mend it.
    CHECK(packs().size() == 3);
    auto others = w.call(*client, proto::OpenMessages{inbox->mailbox.id, {{1}, {2}, {3}, {11}}});
    REQUIRE(others);
    CHECK(others->messages.size() == 3);
    damage(packs().at(0), 2 * (pack::kRecordHead + text_number(0).size()) + 100);
    CHECK(w.stored("alice") == 14);
}

TEST_CASE("what a crash leaves behind the end of a pack is put aside, and never covered") {
    TemporaryDirectory directory;
    World w;
    deliver(w, 0, 2);
    w.crash();
    fs::path first = packs().at(0);
    std::string tail;
    pack::append_record(tail, 70, 7, pack::Method::raw, "stray 1");
    tail += "torn bytes";
    pack::append_record(tail, 71, 7, pack::Method::raw, "stray 2");
    tail.resize(tail.size() + 50);
    std::ofstream(first, std::ios::app) << tail;
    auto size = fs::file_size(first);
    w.start();
    deliver(w, 2, 4);
    CHECK(fs::file_size(first) == size);
    CHECK(packs().size() == 2);
    std::multiset<std::string> strays;
    for (const auto& entry : fs::directory_iterator("accounts/alice/stray")) {
        std::ifstream file(entry.path());
        strays.insert(std::string(std::istreambuf_iterator<char>(file), {}));
    }
    CHECK(strays == std::multiset<std::string>{"stray 1", "stray 2"});
    CHECK(w.stored("alice") == 4);
    w.crash();
    w.start();
    deliver(w, 4, 5);
    CHECK(count_files("accounts/alice/stray") == 2);  // once
}

TEST_CASE("a pack without a row is put aside, and its messages as files of their own") {
    TemporaryDirectory directory;
    World w;
    deliver(w, 0, 1);
    w.crash();
    std::string bytes;
    pack::append_record(bytes, 70, 5, pack::Method::raw, "stray");
    std::ofstream(std::string(kFiles) + "/0/77") << bytes;
    w.start();
    deliver(w, 1, 2);
    CHECK(count_files("accounts/alice/stray") == 2);
    CHECK(w.stored("alice") == 2);
}

TEST_CASE("an operation that is undone leaves no record, and the next goes on in its place") {
    TemporaryDirectory directory;
    World w;
    w.accounts[0].quota = 100000;
    w.configure();
    deliver(w, 0, 1);
    auto size = fs::file_size(packs().at(0));
    auto client = w.open("alice");
    // The second of the two has a keyword that cannot be, after the first was added.
    proto::AppendItem good{0, 4, 0, {}, {}, "", "good"};
    proto::AppendItem bad{0, 3, 0, {"not a keyword"}, {}, "", "bad"};
    CHECK_FALSE(w.call(*client, proto::AppendMessages{"INBOX", {good, bad}}));
    CHECK(fs::file_size(packs().at(0)) == size);
    deliver(w, 1, 2);
    CHECK(packs().size() == 1);
    CHECK(w.stored("alice") == 2);
}

TEST_CASE("what an undone operation has written already is not covered") {
    TemporaryDirectory directory;
    World w;
    deliver(w, 0, 1);
    auto client = w.open("alice");
    std::string text(60000, 'x');
    proto::AppendMessages request{"INBOX", {}};
    for (int i = 0; i < 20; i++) request.items.push_back({0, text.size(), 0, {}, {}, "", text});
    request.items.push_back({0, 3, 0, {"not a keyword"}, {}, "", "bad"});
    // As much as that comes in spool files.
    for (auto& item : request.items) item.spool = w.spool(client->channel, std::exchange(item.content, {}));
    CHECK_FALSE(w.call(*client, request));
    auto size = fs::file_size(packs().at(0));
    CHECK(size > text.size());
    deliver(w, 1, 2);
    CHECK(packs().size() == 2);
    CHECK(fs::file_size(packs().at(0)) == size);
    CHECK(w.stored("alice") == 2);
    CHECK(texts(w)[2] == text_number(1));
}
