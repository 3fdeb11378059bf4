// What an administrator asks of the store: checking, backup, restoring.
#include <fcntl.h>
#include <fstream>
#include <sqlite3.h>

#include "proto/admin.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
namespace fs = std::filesystem;

namespace {

constexpr size_t kLarge = 64 * 1024 + 1;  // a message that has a file of its own

struct Admin {
    explicit Admin(World& world) : w(world) {
        auto opened = w.server->open_for_admin();
        REQUIRE(opened);
        channel = std::make_unique<ipc::Channel>(std::move(opened->channel), ipc::PeerId{Role::storaged, "storaged"});
        channel->start();
    }
    template <class M>
    auto ask(M message) {
        return w.call(*channel, std::move(message));
    }
    std::vector<std::string> problems(const std::string& account, proto::Strays strays = proto::Strays::leave) {
        auto checked = ask(proto::CheckStore{account, strays});
        REQUIRE(checked);
        return checked->problems;
    }
    World& w;
    std::unique_ptr<ipc::Channel> channel;
};

/// Changes a database behind storaged's back.
void spoil(const std::string& sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open("accounts/alice/index.db", &db) == SQLITE_OK);
    char* error = nullptr;
    int result = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
    INFO((error != nullptr ? error : ""));
    CHECK(result == SQLITE_OK);
    sqlite3_close(db);
}

bool mentions(const std::vector<std::string>& problems, std::string_view text) {
    return std::ranges::any_of(problems, [&](const auto& p) { return p.find(text) != std::string::npos; });
}

std::vector<proto::FileRow> rows_of(const Fd& list, uint64_t count) {
    std::vector<proto::FileRow> rows(count);
    size_t size = count * sizeof(proto::FileRow);
    if (count > 0) REQUIRE(pread(list.get(), rows.data(), size, 0) == static_cast<ssize_t>(size));
    return rows;
}

std::string whole(const Fd& fd) {
    struct stat st{};
    REQUIRE(fstat(fd.get(), &st) == 0);
    std::string text(static_cast<size_t>(st.st_size), '\0');
    REQUIRE(pread(fd.get(), text.data(), text.size(), 0) == st.st_size);
    return text;
}

struct Copy {
    std::string database;
    std::map<uint64_t, std::string> files;
};

Copy back_up(Admin& admin, const std::string& account) {
    auto begun = admin.ask(proto::BeginBackup{account});
    REQUIRE(begun);
    Copy copy{whole(begun->database), {}};
    auto rows = rows_of(begun->files, begun->count);
    auto opened = admin.ask(proto::OpenBackupFiles{begun->backup, rows});
    REQUIRE(opened);
    CHECK(opened->files.size() == rows.size());
    for (const auto& file : opened->files) copy.files[file.number] = whole(file.file);
    admin.channel->send(proto::EndBackup{begun->backup});
    return copy;
}

Fd file_with(const std::string& text) {
    Fd fd(memfd_create("test", MFD_CLOEXEC));
    World::write_all(fd, text);
    return fd;
}

Result<proto::Done> restore(Admin& admin, const std::string& account, const Copy& copy) {
    auto staged = admin.ask(proto::StageDatabase{account, file_with(copy.database), copy.database.size()});
    if (!staged) return std::unexpected(staged.error());
    CHECK(staged->problems.empty());
    proto::StageFiles files{staged->stage, {}};
    for (const auto& [number, text] : copy.files) files.files.push_back({number, text.size(), file_with(text)});
    if (auto done = admin.ask(std::move(files)); !done) return done;
    return admin.ask(proto::InstallStage{staged->stage});
}

uint64_t count(World& w, const std::string& account, uint32_t* uidvalidity = nullptr) {
    auto client = w.open(account);
    auto columns = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(columns);
    if (uidvalidity != nullptr) *uidvalidity = columns->mailbox.uidvalidity;
    return columns->count;
}

}  // namespace

TEST_CASE("a store in order has no problems, each kind of damage is one") {
    TemporaryDirectory directory;
    World w;
    for (int i = 0; i < 3; i++) REQUIRE_FALSE(w.deliver("alice", "a/b", "text"));
    {
        Admin admin(w);
        CHECK(admin.problems("alice").empty());
        CHECK(admin.problems("").empty());
        CHECK(error_of(admin.ask(proto::CheckStore{"nobody", proto::Strays::leave})).code == ErrorCode::not_found);
    }
    struct Damage {
        const char* sql;
        const char* found;
    };
    const Damage kDamages[] = {
        {"UPDATE content SET copies = 2 WHERE id = 1", "number of copies"},
        {"UPDATE message SET size = size + 1 WHERE uid = 1", "wrong size of a message"},
        {"UPDATE mailbox SET messages = 9 WHERE name = 'a/b'", "counters of a mailbox: a/b"},
        {"UPDATE state SET used = used + 1", "sum of sizes"},
        {"UPDATE mailbox SET uidnext = 2 WHERE name = 'a/b'", "uid that is not given out"},
        {"UPDATE state SET next_uidvalidity = 1", "UIDVALIDITY that is not"},
        {"UPDATE message SET modseq = 1000", "order of modseqs"},
        {"INSERT INTO expunged SELECT id, 1, 1, 1 FROM mailbox WHERE name = 'a/b'", "said to be expunged"},
        {"UPDATE message SET keywords = 8", "keyword that does not exist"},
        {"UPDATE mailbox SET name = 'z' WHERE name = 'a'", "without the one above it: a/b"},
        {"UPDATE state SET next_file = 2", "file number that is not"},
        {"UPDATE pack SET live = 2", "counters of a pack"},
        {"UPDATE pack SET live_bytes = 2", "counters of a pack"},
        {"UPDATE content SET offset = offset + 1 WHERE id = 1", "lacks 1 of its messages"},
        {"UPDATE content SET offset = offset + 1000 WHERE id = 3", "in no pack: 3"},
        {"UPDATE content SET file = 77 WHERE id = 3", "in no pack: 3"},
        {"UPDATE state SET pack = 77", "pack that is missing: 77"},
        {"INSERT INTO erase SELECT id FROM pack", "erased that is needed"},
        {"PRAGMA foreign_keys=OFF; DELETE FROM content WHERE id = 1", "message without its content"},
    };
    for (const Damage& damage : kDamages) {
        INFO(damage.sql);
        w.wait(World::finish(*w.server));
        w.crash();
        fs::copy_file("accounts/alice/index.db", "sound.db", fs::copy_options::overwrite_existing);
        spoil(damage.sql);
        w.start();
        CHECK(mentions(Admin(w).problems("alice"), damage.found));
        w.wait(World::finish(*w.server));
        w.crash();
        fs::copy_file("sound.db", "accounts/alice/index.db", fs::copy_options::overwrite_existing);
        w.start();
    }
}

TEST_CASE("files are checked against rows; strays are moved, never deleted") {
    TemporaryDirectory directory;
    World w;
    for (int i = 0; i < 3; i++) REQUIRE_FALSE(w.deliver("alice", "", std::string(kLarge, 'x')));
    Admin admin(w);
    fs::remove("accounts/alice/msg/0/1");
    fs::resize_file("accounts/alice/msg/0/2", 1);
    std::ofstream("accounts/alice/msg/0/77") << "stray";
    auto problems = admin.problems("alice");
    CHECK(problems.size() == 3);
    CHECK(mentions(problems, "message file 1 is missing"));
    CHECK(mentions(problems, "message file 2 has 1 bytes, expected 65537"));
    CHECK(mentions(problems, "file 77 belongs to no message"));
    CHECK(fs::exists("accounts/alice/msg/0/77"));
    auto fixed = admin.ask(proto::CheckStore{"alice", proto::Strays::move_aside});
    REQUIRE(fixed);
    CHECK(fixed->moved_aside == 1);
    CHECK(count_files("accounts/alice/stray") == 1);
    CHECK(admin.problems("alice").size() == 2);
}

TEST_CASE("a backup is as of one moment, while mail comes and goes") {
    TemporaryDirectory directory;
    World w;
    const std::string large(kLarge, 'x');
    for (int i = 0; i < 5; i++) REQUIRE_FALSE(w.deliver("alice", "", "text " + std::to_string(i) + large));
    Admin admin(w);
    auto begun = admin.ask(proto::BeginBackup{"alice"});
    REQUIRE(begun);
    CHECK(begun->count == 5);
    // Expunged since: the copy speaks of it still, so its file stays until the backup ends.
    auto client = w.open("alice");
    auto inbox = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(inbox);
    auto id = inbox->mailbox.id;
    REQUIRE(w.call(*client, proto::StoreFlags{id, {{1, 2}}, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt}));
    REQUIRE(w.call(*client, proto::Expunge{id, {{1, 5}}}));
    REQUIRE_FALSE(w.deliver("alice", "", "later" + large));
    w.settle();
    CHECK(count_files("accounts/alice/msg") == 6);
    auto opened = admin.ask(proto::OpenBackupFiles{begun->backup, rows_of(begun->files, begun->count)});
    REQUIRE(opened);
    REQUIRE(opened->files.size() == 5);
    CHECK(whole(opened->files[0].file) == "text 0" + large);
    admin.channel->send(proto::EndBackup{begun->backup});
    w.settle();
    CHECK(count_files("accounts/alice/msg") == 4);
    CHECK(admin.problems("alice").empty());
    CHECK(count_files("spool") == 0);
}

TEST_CASE("an account is put back as it was") {
    TemporaryDirectory directory;
    World w;
    for (int i = 0; i < 3; i++) REQUIRE_FALSE(w.deliver("alice", "", "text " + std::to_string(i)));
    Admin admin(w);
    Copy copy = back_up(admin, "alice");
    uint32_t before = 0;
    CHECK(count(w, "alice", &before) == 3);
    for (int i = 0; i < 2; i++) REQUIRE_FALSE(w.deliver("alice", "", "later"));
    auto client = w.open("alice");
    REQUIRE(restore(admin, "alice", copy));
    w.settle();
    CHECK(client->channel.lost());
    uint32_t after = 0;
    CHECK(count(w, "alice", &after) == 3);
    CHECK(after > before);  // uid 4 and 5 were other messages
    CHECK(admin.problems("alice").empty());
    CHECK(count_files("restore") == 0);
    REQUIRE_FALSE(w.deliver("alice", "", "new"));
    w.restart();
    CHECK(count(w, "alice") == 4);
    // What it had is in removed/, and can be put back in turn.
    Admin again(w);
    auto names = again.ask(proto::ListStores{});
    REQUIRE(names);
    CHECK(names->accounts == std::vector<std::string>{"alice", "bob"});
    REQUIRE(names->removed.size() == 1);
    CHECK(error_of(again.ask(proto::UndeleteAccount{"bob", names->removed[0]})).code == ErrorCode::not_found);
    CHECK(error_of(again.ask(proto::UndeleteAccount{"alice", "alice.1/../x"})).code == ErrorCode::not_found);
    REQUIRE(again.ask(proto::UndeleteAccount{"alice", names->removed[0]}));
    uint32_t last = 0;
    CHECK(count(w, "alice", &last) == 5);
    CHECK(last > after);
    CHECK(again.problems("alice").empty());
}

TEST_CASE("a damaged backup is not put in place") {
    TemporaryDirectory directory;
    World w;
    for (int i = 0; i < 3; i++) REQUIRE_FALSE(w.deliver("alice", "", "text " + std::to_string(i)));
    Admin admin(w);
    Copy copy = back_up(admin, "alice");
    REQUIRE_FALSE(copy.files.empty());
    Copy lacking = copy;
    lacking.files.erase(lacking.files.begin());
    CHECK(error_of(restore(admin, "alice", lacking)).text.find("missing") != std::string::npos);
    CHECK(error_of(restore(admin, "nobody", copy)).code == ErrorCode::not_found);
    Copy torn = copy;
    torn.database.resize(5000);
    CHECK_FALSE(admin.ask(proto::StageDatabase{"alice", file_with(torn.database), torn.database.size()}));
    CHECK_FALSE(admin.ask(proto::StageDatabase{"alice", file_with("short"), 1u << 20}));
    CHECK_FALSE(admin.ask(proto::StageDatabase{"../alice", file_with("x"), 1}));
    CHECK(count(w, "alice") == 3);
}

TEST_CASE("the messages of a backup can be looked at without touching the account") {
    TemporaryDirectory directory;
    World w;
    for (int i = 0; i < 3; i++) REQUIRE_FALSE(w.deliver("alice", "", "text " + std::to_string(i)));
    Admin admin(w);
    Copy copy = back_up(admin, "alice");
    auto staged = admin.ask(proto::StageDatabase{"alice", file_with(copy.database), copy.database.size()});
    REQUIRE(staged);
    auto messages = admin.ask(proto::ListStaged{staged->stage, "INBOX", 1});
    REQUIRE(messages);
    REQUIRE(messages->messages.size() == 2);
    CHECK(messages->messages[0].uid == 2);
    CHECK(messages->messages[0].prefix == "Prefix: x\r\n");
    CHECK(error_of(admin.ask(proto::ListStaged{staged->stage, "Nowhere", 0})).code == ErrorCode::not_found);
    admin.channel->send(proto::DropStage{staged->stage});
    w.settle();
    CHECK(count_files("restore") == 0);
}

TEST_CASE("an account whose place nothing takes is put back") {
    TemporaryDirectory directory;
    World w;
    REQUIRE_FALSE(w.deliver("alice", "", "text"));
    auto nothing = [](uint64_t) -> Result<std::string> { return "restore/none"; };
    CHECK_FALSE(w.wait(w.server->accounts().replace("alice", nothing)));
    CHECK(count(w, "alice") == 1);
    CHECK(count_files("removed") == 0);
    CHECK(Admin(w).problems("alice").empty());
}
