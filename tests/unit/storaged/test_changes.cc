#include <algorithm>
#include <fcntl.h>
#include <random>
#include <set>

#include "storaged/mail_store.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;
using proto::MailboxId;
using proto::StoreMode;

namespace {

bool operator==(const proto::MessageRow& a, const proto::MessageRow& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

/// A mailbox as a worker sees it: opened once, then kept up to date by asking what changed.
struct View {
    MailboxId id;
    uint64_t seen = 0;
    std::map<uint32_t, proto::MessageRow> rows;

    void follow(World& w, Client& client) {
        for (bool more = true; more;) {
            auto changes = w.call(client, proto::GetChanges{id, seen});
            REQUIRE(changes);
            REQUIRE(std::ranges::is_sorted(changes->changed, {}, &proto::MessageRow::uid));
            REQUIRE(changes->changed.size() <= storaged::kMaxChanges);
            for (const auto& row : changes->changed) {
                REQUIRE(row.modseq > seen);
                REQUIRE(row.modseq <= changes->mailbox.highest_modseq);
                rows[row.uid] = row;
            }
            for (const auto& gone : changes->expunged)
                rows.erase(rows.lower_bound(gone.first), rows.upper_bound(gone.last));
            more = changes->more;
            if (more) REQUIRE(changes->mailbox.highest_modseq > seen);
            seen = changes->mailbox.highest_modseq;
        }
    }

    /// What following gave is what opening gives, and the counters are true.
    void compare(World& w, Client& client, const std::string& name) {
        auto opened = w.call(client, proto::OpenMailbox{name});
        REQUIRE(opened);
        auto fresh = rows_of(*opened);
        REQUIRE(fresh.size() == rows.size());
        REQUIRE(std::ranges::is_sorted(fresh, {}, &proto::MessageRow::uid));
        REQUIRE(opened->mailbox.highest_modseq == seen);
        REQUIRE(opened->mailbox.messages == fresh.size());
        uint64_t unseen = 0;
        uint64_t deleted = 0;
        uint64_t size = 0;
        for (const auto& row : fresh) {
            REQUIRE(rows.contains(row.uid));
            REQUIRE((rows[row.uid] == row));
            unseen += (row.flags & proto::kSeen) == 0 ? 1 : 0;
            deleted += (row.flags & proto::kDeleted) != 0 ? 1 : 0;
            size += row.size;
        }
        REQUIRE(opened->mailbox.unseen == unseen);
        REQUIRE(opened->mailbox.deleted == deleted);
        REQUIRE(opened->mailbox.size == size);
    }
};

struct Model {
    TemporaryDirectory directory;
    World w;
    std::unique_ptr<Client> client = w.open("alice");
    std::mt19937 random;
    std::vector<std::string> names = {"INBOX", "Archive", "Trash"};
    std::vector<View> views;

    explicit Model(unsigned seed) : random(seed) {
        for (const std::string& name : names) {
            auto opened = w.call(*client, proto::OpenMailbox{name});
            REQUIRE(opened);
            views.push_back({opened->mailbox.id, opened->mailbox.highest_modseq, {}});
        }
    }
    size_t pick(size_t n) { return random() % n; }
    proto::UidRange range() {
        auto first = static_cast<uint32_t>(1 + pick(30));
        return {first, first + static_cast<uint32_t>(pick(6))};
    }
    void step() {
        size_t box = pick(names.size());
        MailboxId id = views[box].id;
        std::vector<proto::UidRange> uids{range(), range()};
        switch (pick(8)) {
            case 0:
            case 1:
                REQUIRE_FALSE(w.deliver("alice", names[box], std::string(pick(50), 'x')));
                break;
            case 2:
            case 3: {
                auto mode = static_cast<StoreMode>(pick(3));
                std::vector<std::string> keywords;
                if (pick(2) == 0) keywords.push_back("k" + std::to_string(pick(5)));
                REQUIRE(
                    w.call(*client, proto::StoreFlags{id, uids, mode, static_cast<uint32_t>(pick(16)), keywords, {}}));
                break;
            }
            case 4:
                REQUIRE(w.call(*client, proto::CopyMessages{id, uids, names[pick(names.size())]}));
                break;
            case 5:
                REQUIRE(w.call(*client, proto::MoveMessages{id, uids, names[pick(names.size())]}));
                break;
            case 6:
                REQUIRE(w.call(*client, proto::Expunge{id, uids}));
                break;
            default:
                views[box].follow(w, *client);
        }
    }
    void compare() {
        for (size_t i = 0; i < names.size(); i++) {
            views[i].follow(w, *client);
            views[i].compare(w, *client, names[i]);
        }
    }
    /// Contents with their rows and files, and what is used.
    void check_store() {
        uint64_t stored = 0;
        client.reset();
        w.settle();
        w.wait(World::finish(*w.server));
        w.crash();
        {
            storaged::Journal journal;
            storaged::Database db("accounts/alice/index.db", journal);
            CHECK_FALSE(
                db.query(
                      "SELECT 1 FROM content WHERE copies != (SELECT count(*) FROM message WHERE content = content.id)")
                    .next());
            CHECK_FALSE(db.query("SELECT 1 FROM message WHERE content NOT IN (SELECT id FROM content)").next());
            CHECK_FALSE(
                db.query("SELECT 1 FROM state WHERE used != (SELECT ifnull(sum(size), 0) FROM message)").next());
            auto check = db.query("PRAGMA integrity_check");
            REQUIRE(check.next());
            CHECK(check.bytes(0) == "ok");
            auto contents = db.query("SELECT count(*) FROM content");
            REQUIRE(contents.next());
            stored = contents.number(0);
        }
        w.start();
        CHECK(w.stored("alice") == stored);
    }
};

}  // namespace

TEST_CASE("following the changes gives the same as opening anew, whatever happened") {
    for (unsigned seed : {1u, 2u, 3u}) {
        Model model(seed);
        CAPTURE(seed);
        for (int round = 0; round < 10; round++) {
            for (int i = 0; i < 20; i++) model.step();
            model.compare();
        }
        model.check_store();
    }
}

TEST_CASE("changes of a large mailbox come in bounded pieces, and none is missed") {
    Model model(1);
    World& w = model.w;
    // 25 messages doubled by copying: 25 * 2^10 rows.
    for (int i = 0; i < 25; i++) REQUIRE_FALSE(w.deliver("alice", "", "x"));
    MailboxId inbox = model.views[0].id;
    for (int i = 0; i < 10; i++) REQUIRE(w.call(*model.client, proto::CopyMessages{inbox, {{1, UINT32_MAX}}, "INBOX"}));
    auto changes = w.call(*model.client, proto::GetChanges{inbox, model.views[0].seen});
    REQUIRE(changes);
    CHECK(changes->more);
    model.compare();
    CHECK(model.views[0].rows.size() == 25600);
    auto stored =
        w.call(*model.client, proto::StoreFlags{inbox, {{1, UINT32_MAX}}, StoreMode::add, proto::kDeleted, {}, {}});
    REQUIRE(stored);
    CHECK(stored->rows.size() == 25600);
    model.compare();
    // Every other message: as many ranges as messages.
    REQUIRE(w.call(*model.client, proto::CopyMessages{inbox, {{1, UINT32_MAX}}, "INBOX"}));
    CHECK(error_of(w.call(*model.client,
                          proto::StoreFlags{inbox, {{1, UINT32_MAX}}, StoreMode::remove, proto::kDeleted, {}, {}}))
              .code == ErrorCode::bad_request);
    std::vector<proto::UidRange> odd;
    for (uint32_t uid = 1; uid < 51200; uid += 2) odd.push_back({uid, uid});
    auto expunged = w.call(*model.client, proto::Expunge{inbox, odd});
    REQUIRE(expunged);
    CHECK(expunged->uids.size() == 25600);
    model.compare();
    CHECK(model.views[0].rows.size() == 25600);
}

TEST_CASE("a mailbox that is opened again is what its rows are, whatever happened in between") {
    for (unsigned seed : {4u, 5u}) {
        Model model(seed);
        World& w = model.w;
        for (int i = 0; i < 25; i++) REQUIRE_FALSE(w.deliver("alice", "", "x"));
        for (int i = 0; i < 4; i++)
            REQUIRE(w.call(*model.client, proto::CopyMessages{model.views[0].id, {{1, UINT32_MAX}}, "INBOX"}));
        auto open = [&] {
            auto opened = w.call(*model.client, proto::OpenMailbox{"INBOX"});
            REQUIRE(opened);
            return rows_of(*opened);
        };
        REQUIRE(open().size() == 400);
        for (int round = 0; round < 6; round++) {
            for (int i = 0; i < 15; i++) {
                model.step();
                if (i % 3 == 0) open();
            }
            auto kept = open();
            REQUIRE(open().size() == kept.size());
            model.check_store();  // a new process, which has nothing kept
            model.client = w.open("alice");
            auto fresh = open();
            REQUIRE(fresh.size() == kept.size());
            CHECK(std::memcmp(fresh.data(), kept.data(), fresh.size() * sizeof fresh[0]) == 0);
        }
    }
}

namespace {

std::string whole_of(const proto::MessageFile& message) {
    std::string text(message.size, '\0');
    REQUIRE(pread(message.file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    return text;
}

}  // namespace

TEST_CASE("small messages come in the answer, large ones as files") {
    Model model(1);
    World& w = model.w;
    std::string large(pack::kMaxContent + 1, 'x');
    REQUIRE_FALSE(w.deliver("alice", "", "small"));
    for (size_t i = 0; i < proto::kMaxFilesPerOpen + 2; i++) REQUIRE_FALSE(w.deliver("alice", "", large));
    MailboxId inbox = model.views[0].id;
    std::vector<proto::Uid> all;
    for (uint32_t uid = 1; uid <= proto::kMaxFilesPerOpen + 3; uid++) all.push_back({uid});
    auto files = w.call(*model.client, proto::OpenMessages{inbox, all, proto::kMaxMessageStart});
    REQUIRE(files);
    REQUIRE(files->messages.size() == proto::kMaxFilesPerOpen + 1);  // the rest is asked for again
    CHECK(files->messages[0].start == "small");
    CHECK_FALSE(files->messages[0].file);
    CHECK(files->messages[1].start == large.substr(0, proto::kMaxMessageStart));
    CHECK(whole_of(files->messages[1]) == large);
    CHECK((fcntl(files->messages[1].file.get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
    auto starts = w.call(*model.client, proto::OpenMessages{inbox, all, 10, proto::MessageParts::beginning});
    REQUIRE(starts);
    REQUIRE(starts->messages.size() == all.size());
    CHECK(starts->messages.back().start == "xxxxxxxxxx");
    CHECK_FALSE(starts->messages.back().file);
    CHECK(starts->messages.back().size == large.size());
    CHECK(error_of(w.call(*model.client, proto::OpenMessages{inbox, {{1}}, proto::kMaxMessageStart + 1})).code ==
          ErrorCode::bad_request);
}

TEST_CASE("whatever messages are asked for, in whatever order, are those that exist") {
    Model model(1);
    World& w = model.w;
    MailboxId inbox = model.views[0].id;
    for (int i = 1; i <= 60; i++) REQUIRE_FALSE(w.deliver("alice", "", std::to_string(i)));
    std::vector<proto::UidRange> gone = {{3, 3}, {10, 29}, {60, 60}};
    REQUIRE(w.call(*model.client,
                   proto::StoreFlags{inbox, gone, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt}));
    REQUIRE(w.call(*model.client, proto::Expunge{inbox, gone}));
    std::vector<std::vector<uint32_t>> asked = {
        {1}, {60}, {1, 2, 3, 4}, {1, 9, 18, 27, 36, 45, 54, 63}, {5, 5, 5}, {7, 6, 5}, {2, 31, 33, 32, 4000000000}, {}};
    for (const auto& uids : asked) {
        std::vector<proto::Uid> wanted;
        std::vector<uint32_t> expected, infos, files;
        for (uint32_t uid : uids) {
            wanted.push_back({uid});
            bool exists =
                uid < 60 && std::ranges::none_of(gone, [&](auto g) { return g.first <= uid && uid <= g.last; });
            if (exists) expected.push_back(uid);
        }
        for (const auto& m : w.call(*model.client, proto::FetchInfos{inbox, wanted})->messages)
            infos.push_back(m.uid.value);
        for (const auto& m : w.call(*model.client, proto::OpenMessages{inbox, wanted, 100})->messages) {
            files.push_back(m.uid.value);
            CHECK(text_of(m) == std::to_string(m.uid.value));
        }
        CHECK(infos == expected);
        CHECK(files == expected);
    }
}

TEST_CASE("who asks for more than there is at once is refused") {
    Model model(1);
    std::vector<proto::Uid> many(501, proto::Uid{1});
    CHECK(error_of(model.w.call(*model.client, proto::FetchInfos{model.views[0].id, many})).code ==
          ErrorCode::bad_request);
    many.resize(proto::kMaxMessagesPerOpen + 1);
    CHECK(error_of(model.w.call(*model.client, proto::OpenMessages{model.views[0].id, many})).code ==
          ErrorCode::bad_request);
}
