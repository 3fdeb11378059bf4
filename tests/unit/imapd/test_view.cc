#include "imapd/worker/list_match.h"
#include "imapd/worker/view.h"
#include "tests/unit/catch.h"
#include "tests/unit/imapd/fake_account.h"

using namespace mox;
using namespace mox::imapd;

namespace {

proto::MessageRow row(uint32_t uid, uint32_t flags = 0) {
    proto::MessageRow r{};
    r.uid = uid;
    r.flags = flags;
    return r;
}

proto::MailboxColumns columns(const std::vector<proto::MessageRow>& rows) {
    proto::MailboxColumns c{};
    c.mailbox.id = {1};
    c.mailbox.uidnext = rows.empty() ? 1 : rows.back().uid + 1;
    c.count = rows.size();
    if (rows.empty()) return c;
    c.rows = fake::memory_file({reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof rows[0]});
    fcntl(c.rows.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return c;
}

MailboxView view(const std::vector<uint32_t>& uids) {
    std::vector<proto::MessageRow> rows;
    for (uint32_t uid : uids) rows.push_back(row(uid));
    auto loaded = MailboxView::load(columns(rows), Access::read_write);
    REQUIRE(loaded);
    return std::move(*loaded);
}

std::string news(MailboxView& view, Announce what = Announce::all) {
    std::string out;
    view.announce(out, what, {});
    return out;
}

proto::MailboxChanges changes(std::vector<proto::MessageRow> changed, std::vector<proto::UidRange> expunged) {
    proto::MailboxChanges c{};
    c.mailbox.id = {1};
    c.changed = std::move(changed);
    c.expunged = std::move(expunged);
    return c;
}

}  // namespace

TEST_CASE("columns are checked before they are believed") {
    CHECK(MailboxView::load(columns({}), Access::read_write));
    CHECK(MailboxView::load(columns({row(1), row(5)}), Access::read_write));
    auto unordered = columns({row(5), row(1)});
    CHECK_FALSE(MailboxView::load(std::move(unordered), Access::read_write));
    auto doubled = columns({row(5), row(5)});
    CHECK_FALSE(MailboxView::load(std::move(doubled), Access::read_write));
    auto longer = columns({row(1), row(2)});
    longer.count = 3;
    CHECK_FALSE(MailboxView::load(std::move(longer), Access::read_write));
    auto huge = columns({row(1)});
    huge.count = 1ull << 60;
    CHECK_FALSE(MailboxView::load(std::move(huge), Access::read_write));
    auto absent = columns({row(1)});
    absent.rows.reset();
    CHECK_FALSE(MailboxView::load(std::move(absent), Access::read_write));
    auto unsealed = columns({row(1)});
    auto r = row(1);
    unsealed.rows = fake::memory_file({reinterpret_cast<const char*>(&r), sizeof r});
    CHECK_FALSE(MailboxView::load(std::move(unsealed), Access::read_write));
}

TEST_CASE("sets become rows") {
    auto v = view({2, 4, 6, 8});
    auto select = [&](std::vector<SequenceRange> ranges, Numbers numbers) {
        return v.select({std::move(ranges)}, numbers);
    };
    CHECK(select({{1, 2}, {4, 4}}, Numbers::sequence) == Selection{{0, 2}, {3, 4}});
    CHECK(select({{0, 0}}, Numbers::sequence) == Selection{{3, 4}});
    CHECK_THROWS_AS(select({{5, 5}}, Numbers::sequence), SyntaxError);
    CHECK(select({{3, 6}}, Numbers::uid) == Selection{{1, 3}});
    CHECK(select({{1, 1}, {3, 3}, {9, 9}}, Numbers::uid).empty());
    CHECK(select({{100, 0}}, Numbers::uid) == Selection{{3, 4}});
    auto empty = view({});
    CHECK_THROWS_AS(empty.select({{{0, 0}}}, Numbers::sequence), SyntaxError);
    CHECK(empty.select({{{1, 0}}}, Numbers::uid).empty());
}

TEST_CASE("news are told in numbers that the client can follow") {
    auto v = view({1, 2, 3, 4, 5});
    v.take_changes(changes({row(4, proto::kSeen), row(6), row(7)}, {{2, 3}, {7, 7}}));
    CHECK(v.has_news());
    CHECK(v.is_gone(2));
    CHECK_FALSE(v.is_gone(4));
    CHECK(news(v, Announce::no_expunge) == "* 6 EXISTS\r\n* 4 FETCH (UID 4 FLAGS (\\Seen))\r\n");
    CHECK(v.rows().size() == 6);
    CHECK(news(v) == "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n");
    CHECK(v.rows().size() == 4);
    CHECK_FALSE(v.has_news());
    CHECK(news(v) == "");
}

TEST_CASE("what the session did itself is not told twice") {
    auto v = view({1, 2, 3});
    proto::StoreFlags request{{1}, {{2, 2}}, proto::StoreMode::add, proto::kDeleted, {}, {}};
    v.take_stored({{row(2, proto::kDeleted)}, {}, {}}, request, MailboxView::Told::all);
    v.take_changes(changes({row(2, proto::kDeleted)}, {}));
    CHECK(news(v) == "");
    std::vector<proto::UidRange> gone{{2, 2}};
    v.take_expunged(gone);
    CHECK(news(v) == "* 2 EXPUNGE\r\n");
    v.take_changes(changes({}, {{2, 2}}));
    CHECK(news(v) == "");
    // An answer that was made before the message went cannot bring it back.
    v.take_changes(changes({row(2, proto::kSeen)}, {}));
    CHECK(news(v) == "");
    CHECK(v.rows().size() == 2);
}

TEST_CASE("what came along with a silent STORE is told") {
    auto v = view({1, 2, 3});
    proto::StoreFlags add{{1}, {{1, 3}}, proto::StoreMode::add, proto::kSeen, {}, {}};
    // Another session flagged 2; the storage refused 3, which another session deleted.
    proto::FlagsStored stored{
        {row(1, proto::kSeen), row(2, proto::kSeen | proto::kFlagged), row(3, proto::kDeleted)}, {}, {{3}}};
    v.take_stored(stored, add, MailboxView::Told::foreseen);
    CHECK(news(v) == "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Seen))\r\n* 3 FETCH (UID 3 FLAGS (\\Deleted))\r\n");
    proto::StoreFlags remove{{1}, {{1, 2}}, proto::StoreMode::remove, proto::kSeen, {}, {}};
    v.take_stored({{row(1, 0), row(2, 0)}, {}, {}}, remove, MailboxView::Told::foreseen);
    CHECK(news(v) == "* 2 FETCH (UID 2 FLAGS ())\r\n");
    proto::StoreFlags replace{{1}, {{1, 1}}, proto::StoreMode::replace, proto::kDraft, {}, {}};
    v.take_stored({{row(1, proto::kDraft)}, {}, {}}, replace, MailboxView::Told::foreseen);
    CHECK(news(v) == "");
}

TEST_CASE("a message that came and went unseen was never there") {
    auto v = view({1});
    v.take_changes(changes({row(2)}, {}));
    v.take_changes(changes({}, {{2, 2}}));
    CHECK(news(v) == "");
}

TEST_CASE("the mailbox itself goes") {
    auto v = view({1, 2});
    v.take_changes(changes({row(3)}, {}));
    v.take_deletion();
    CHECK(news(v) == "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n");
    CHECK(v.rows().empty());
}

TEST_CASE("keywords") {
    auto v = view({1});
    auto changed = changes({}, {});
    changed.keywords = {"Word", "", "other"};
    changed.changed = {row(1, proto::kFlagged | proto::kForwarded)};
    changed.changed[0].keywords = 7;
    v.take_changes(std::move(changed));
    auto text = news(v);
    CHECK(text.find("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded $Junk $NotJunk $Phishing "
                    "$MDNSent Word other)\r\n") == 0);
    CHECK(text.find("* 1 FETCH (UID 1 FLAGS (\\Flagged $Forwarded Word other))\r\n") != std::string::npos);
    CHECK(v.spelling("WORD") == "Word");
    CHECK(v.keyword_bit("OTHER") == 4);
    CHECK(v.keyword_bit("none") == 0);
}

TEST_CASE("patterns of LIST") {
    struct Row {
        std::string_view pattern, name;
        bool matches;
    };
    for (const auto& r : {Row{"*", "a/b", true}, Row{"%", "a", true}, Row{"%", "a/b", false}, Row{"%/%", "a/b", true},
                          Row{"a/%", "a/", true}, Row{"a*", "a", true}, Row{"a%b", "axb", true},
                          Row{"a%b", "a/b", false}, Row{"a*b", "a/b", true}, Row{"", "", true}, Row{"", "a", false},
                          Row{"*%*", "abc", true}, Row{"x", "X", false}, Row{"a", "ab", false}}) {
        INFO(r.pattern << " " << r.name);
        CHECK(matches_pattern(r.pattern, r.name) == r.matches);
    }
    std::string stars;
    for (int i = 0; i < 1000; i++) stars += "*a";
    CHECK_FALSE(matches_pattern(stars + "b", std::string(1500, 'a')));
}
