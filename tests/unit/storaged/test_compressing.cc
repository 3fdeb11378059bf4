// Compression: small messages in their packs, large ones some time after they came; nobody who reads sees a difference.
#include <fstream>
#include <random>

#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kFiles = "accounts/alice/msg";

storaged::Options at_once() {
    storaged::Options options;
    options.packs.compress_after = std::chrono::milliseconds(1);
    return options;
}

std::string letter(size_t size, int number = 0) {
    std::string text = "Subject: " + std::to_string(number) + "\r\n\r\n";
    while (text.size() < size) text += "line " + std::to_string(text.size()) + " of a long letter\r\n";
    text.resize(size);
    return text;
}

std::string noise(size_t size) {
    std::mt19937_64 random(3);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

uint64_t bytes_on_disk() {
    uint64_t sum = 0;
    for (const auto& entry : fs::recursive_directory_iterator(kFiles))
        if (entry.is_regular_file()) sum += entry.file_size();
    return sum;
}

/// The answers for all messages of a mailbox, in order.
std::vector<proto::MessageFile> files_of(World& w, Client& client, const std::string& mailbox, uint32_t start = 0,
                                         proto::MessageParts parts = proto::MessageParts::whole) {
    auto columns = w.call(client, proto::OpenMailbox{mailbox});
    REQUIRE(columns);
    std::vector<proto::MessageFile> found;
    for (const auto& row : rows_of(*columns)) {
        auto files = w.call(client, proto::OpenMessages{columns->mailbox.id, {{row.uid}}, start, parts});
        REQUIRE(files);
        REQUIRE(files->messages.size() == 1);
        found.push_back(std::move(files->messages[0]));
    }
    return found;
}

/// Waits until nothing is left to be compressed.
void wait_compressed(World& w, const std::string& account = "alice") {
    for (int i = 0; i < 200; i++) {
        w.settle();
        auto next = w.wait(w.server->accounts().find(account)->run(
            storaged::Access::read, [](storaged::MailStore& store) { return store.next_compressible(0); }));
        REQUIRE(next);
        if (!*next) return w.settle();
    }
    FAIL("messages are not compressed");
}

void expunge_all(World& w, Client& client, const std::string& mailbox) {
    auto columns = w.call(client, proto::OpenMailbox{mailbox});
    REQUIRE(columns);
    proto::MailboxId id = columns->mailbox.id;
    std::vector<proto::UidRange> all = {{1, UINT32_MAX}};
    REQUIRE(w.call(client, proto::StoreFlags{id, all, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt}));
    REQUIRE(w.call(client, proto::Expunge{id, all}));
    w.settle();
}

}  // namespace

TEST_CASE("small messages are compressed in their pack, and read as they came") {
    TemporaryDirectory directory;
    World w({}, proto::Compression::on);
    std::vector<std::string> texts = {letter(20000), noise(5000), letter(300), "short"};
    for (const std::string& text : texts) REQUIRE_FALSE(w.deliver("alice", "", text));
    CHECK(bytes_on_disk() < 10000);
    CHECK(bytes_on_disk() > 5000);
    auto alice = w.open("alice");
    auto files = files_of(w, *alice, "INBOX");
    REQUIRE(files.size() == texts.size());
    for (size_t i = 0; i < texts.size(); i++) {
        CHECK(text_of(files[i]) == texts[i]);
        CHECK(files[i].size == texts[i].size());
    }
    auto beginnings = files_of(w, *alice, "INBOX", 100, proto::MessageParts::beginning);
    for (size_t i = 0; i < texts.size(); i++)
        CHECK((beginnings[i].packed || beginnings[i].start == texts[i].substr(0, 100)));
    CHECK(text_of(beginnings[0]) == texts[0]);  // what is compressed comes as it is
    CHECK(w.stored("alice") == texts.size());
    CHECK(w.server->metrics().find("packed_bytes_total 25305\n") != std::string::npos);
}

TEST_CASE("one delivery to several is compressed for all; what was stored before stays readable") {
    TemporaryDirectory directory;
    {
        World w;
        REQUIRE_FALSE(w.deliver("alice", "", letter(9000, 1)));
        CHECK(bytes_on_disk() > 9000);
    }
    World w({}, proto::Compression::on);
    auto outcomes = w.deliver_to({{"alice", "", "A: a\r\n"}, {"bob", "", "B: b\r\n"}}, letter(9000, 2));
    REQUIRE(outcomes);
    CHECK(bytes_on_disk() < 11000);
    auto alice = w.open("alice");
    auto files = files_of(w, *alice, "INBOX");
    REQUIRE(files.size() == 2);
    CHECK(text_of(files[0]) == letter(9000, 1));
    CHECK(text_of(files[1]) == letter(9000, 2));
    auto bob = w.open("bob");
    CHECK(text_of(files_of(w, *bob, "INBOX").at(0)) == letter(9000, 2));
}

TEST_CASE("compressed messages move with their pack") {
    TemporaryDirectory directory;
    storaged::Options options;
    options.packs = {.max_size = 10000, .small_size = 3000, .small_ones = 2, .slice_bytes = 66000};
    World w(options, proto::Compression::on);
    for (int i = 0; i < 10; i++) REQUIRE_FALSE(w.deliver("alice", "", letter(20000, i)));
    auto alice = w.open("alice");
    auto inbox = w.call(*alice, proto::OpenMailbox{"INBOX"});
    REQUIRE(w.call(*alice, proto::StoreFlags{
                               inbox->mailbox.id, {{1, 8}}, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt}));
    REQUIRE(w.call(*alice, proto::Expunge{inbox->mailbox.id, {{1, 8}}}));
    w.rewrite_packs("alice");
    auto files = files_of(w, *alice, "INBOX");
    REQUIRE(files.size() == 2);
    CHECK(text_of(files[0]) == letter(20000, 8));
    CHECK(text_of(files[1]) == letter(20000, 9));
    CHECK(w.stored("alice") == 2);
}

TEST_CASE("a large message is compressed some time after it came, and read as it came") {
    TemporaryDirectory directory;
    World w(at_once(), proto::Compression::on);
    std::string text = letter(1000000);
    REQUIRE_FALSE(w.deliver("alice", "", text));
    auto alice = w.open("alice");
    auto before = files_of(w, *alice, "INBOX");
    wait_compressed(w);
    CHECK(count_files(kFiles) == 1);
    CHECK(bytes_on_disk() < 400000);
    CHECK(w.server->metrics().find("mox_storage_compressed_total 1\n") != std::string::npos);
    auto after = files_of(w, *alice, "INBOX", 1000);
    REQUIRE(after.size() == 1);
    CHECK(after[0].stored == bytes_on_disk());
    CHECK(after[0].size == text.size());
    CHECK(after[0].start == text.substr(0, 1000));
    CHECK(text_of(after[0]) == text);
    CHECK(text_of(before.at(0)) == text);  // who has it open reads on
    auto beginning = files_of(w, *alice, "INBOX", 1000, proto::MessageParts::beginning);
    CHECK_FALSE(beginning.at(0).file);
    CHECK(beginning.at(0).start == text.substr(0, 1000));
    CHECK(w.stored("alice") == 1);
    w.restart();
    CHECK(text_of(files_of(w, *w.open("alice"), "INBOX").at(0)) == text);
    CHECK(w.stored("alice") == 1);
}

TEST_CASE("a large message that compression does not make a third smaller stays as it is") {
    TemporaryDirectory directory;
    World w(at_once(), proto::Compression::on);
    std::string text = noise(900000);
    REQUIRE_FALSE(w.deliver("alice", "", text));
    // Its beginning would be worth it; all of it is not.
    REQUIRE_FALSE(w.deliver("alice", "", letter(200000) + noise(700000)));
    wait_compressed(w);
    CHECK(bytes_on_disk() == 1800000);
    CHECK(w.server->metrics().find("mox_storage_compressed_total 0\n") != std::string::npos);
    auto alice = w.open("alice");
    auto files = files_of(w, *alice, "INBOX");
    CHECK(files.at(0).stored == 0);
    CHECK(text_of(files.at(0)) == text);
    CHECK(count_files("spool") == 0);
}

TEST_CASE("a file that several accounts share stays one file") {
    TemporaryDirectory directory;
    World w(at_once(), proto::Compression::on);
    std::string text = letter(300000);
    REQUIRE(w.deliver_to({{"alice", "", ""}, {"bob", "", ""}}, text));
    auto tries = [](storaged::MailStore& store) -> Result<uint64_t> {
        auto row = store.db().query("SELECT tries FROM to_compress");
        return row.next() ? row.number(0) : 0;
    };
    auto alice = w.server->accounts().find("alice");
    for (int i = 0; i < 100 && w.wait(alice->run(storaged::Access::read, tries)).value_or(0) == 0; i++) w.settle();
    CHECK(w.wait(alice->run(storaged::Access::read, tries)) == 1u);
    CHECK(bytes_on_disk() == text.size());
    for (const auto& entry : fs::recursive_directory_iterator(kFiles))
        if (entry.is_regular_file()) CHECK(entry.hard_link_count() == 2);
    // The other one does not need it any more: it is tried again when the next one comes.
    auto bob = w.open("bob");
    expunge_all(w, *bob, "INBOX");
    REQUIRE_FALSE(w.deliver("alice", "", letter(300000, 2)));
    wait_compressed(w);
    CHECK(bytes_on_disk() < 300000);
    CHECK(text_of(files_of(w, *w.open("alice"), "INBOX").at(0)) == text);
}

TEST_CASE("what is expunged before it was compressed, or behind that, leaves nothing") {
    TemporaryDirectory directory;
    storaged::Options options;
    options.packs.compress_after = std::chrono::milliseconds(200);
    World w(options, proto::Compression::on);
    REQUIRE_FALSE(w.deliver("alice", "", letter(300000)));
    auto alice = w.open("alice");
    expunge_all(w, *alice, "INBOX");
    CHECK(count_files(kFiles) == 0);
    wait_compressed(w);
    REQUIRE_FALSE(w.deliver("alice", "", letter(300000)));
    wait_compressed(w);
    CHECK(bytes_on_disk() < 200000);
    CHECK(count_files(kFiles) == 1);
    auto copied = files_of(w, *alice, "INBOX");
    expunge_all(w, *alice, "INBOX");
    CHECK(count_files(kFiles) == 0);
    CHECK(w.stored("alice") == 0);
    CHECK(text_of(copied.at(0)) == letter(300000));
}

TEST_CASE("a compressed file that is damaged is found, and nothing wrong is read out of it") {
    TemporaryDirectory directory;
    World w(at_once(), proto::Compression::on);
    std::string text = letter(500000);
    REQUIRE_FALSE(w.deliver("alice", "", text));
    wait_compressed(w);
    fs::path path;
    for (const auto& entry : fs::recursive_directory_iterator(kFiles))
        if (entry.is_regular_file()) path = entry.path();
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(fs::file_size(path) / 2));
        file.put('x');
        file.put('y');
    }
    auto alice = w.open("alice");
    std::string got = text_of(files_of(w, *alice, "INBOX").at(0));
    CHECK(got.size() < text.size());
    CHECK(text.starts_with(got));
    auto inbox = w.call(*alice, proto::OpenMailbox{"INBOX"});
    fs::resize_file(path, fs::file_size(path) - 1);
    auto files = w.call(*alice, proto::OpenMessages{inbox->mailbox.id, {{1}}});
    REQUIRE(files);
    CHECK(files->damaged.size() == 1);
    fs::resize_file(path, fs::file_size(path) + 1);  // the tail has another last byte now
    files = w.call(*alice, proto::OpenMessages{inbox->mailbox.id, {{1}}});
    REQUIRE(files);
    CHECK(files->damaged.size() == 1);
    auto work = [](storaged::MailStore& store) -> Result<uint64_t> {
        storaged::Problems problems;
        for (const auto& file : storaged::check_directory(store, 0, proto::Strays::leave, problems).unread)
            storaged::check_contents(store, file, problems);
        if (problems.empty()) return 0;
        return permanent(ErrorCode::io, problems.take().front());
    };
    auto checked = w.wait(w.server->accounts().find("alice")->run(storaged::Access::read, work));
    CHECK(error_of(checked).text.ends_with("is damaged"));
}

TEST_CASE("what an earlier process did not come to is compressed behind the next change") {
    TemporaryDirectory directory;
    {
        World w({}, proto::Compression::on);
        REQUIRE_FALSE(w.deliver("alice", "", letter(300000, 1)));
    }
    World w(at_once(), proto::Compression::on);
    REQUIRE_FALSE(w.deliver("alice", "", letter(300, 2)));
    wait_compressed(w);
    CHECK(bytes_on_disk() < 200000);
    CHECK(w.stored("alice") == 2);
    auto files = files_of(w, *w.open("alice"), "INBOX");
    CHECK(text_of(files.at(0)) == letter(300000, 1));
    CHECK(text_of(files.at(1)) == letter(300, 2));
}
