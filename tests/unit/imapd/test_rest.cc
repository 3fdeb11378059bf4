// Sessions that rest and go on: what the client sees is as if nothing had been.
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

TEST_CASE("packed UIDs") {
    std::vector<SequenceRange> sets[] = {{}, {{1, 1}}, {{1, 4}, {6, 6}, {300, 70000}}, {{UINT32_MAX, UINT32_MAX}}};
    for (const auto& set : sets) {
        auto back = unpack_uids(pack_uids(set));
        REQUIRE(back);
        CHECK(*back == set);
    }
    CHECK(pack_uids(sets[2]).size() == 9);
    CHECK_FALSE(unpack_uids("\x01"));                          // half a range
    CHECK_FALSE(unpack_uids(std::string_view("\0\1", 2)));     // does not ascend
    CHECK_FALSE(unpack_uids("\xff\xff\xff\xff\xff\xff\x01"));  // more than 32 bits
    CHECK_FALSE(unpack_uids("\xff\xff\xff\xff\x0f\x01"));      // ends above them
    CHECK_FALSE(unpack_uids("\x80"));
}

TEST_CASE("a session goes on where it rested") {
    World world;
    auto& box = inbox(world, 3);
    auto a = world.login();
    auto b = world.login();
    SECTION("without a mailbox") {
        world.move(0);
        CHECK(a.ok("NOOP").empty());
        CHECK(a.answer("FETCH 1 FLAGS") == "BAD no mailbox is selected");
    }
    SECTION("nothing happened") {
        a.ok("SELECT INBOX");
        world.move(0);
        CHECK(a.ok("NOOP").empty());
        CHECK(a.ok("FETCH 3 UID") == Lines{"* 3 FETCH (UID 3)"});
    }
    SECTION("news wait for the next command") {
        a.ok("SELECT INBOX");
        b.ok("SELECT INBOX");
        world.move(0, [&] {
            b.ok("STORE 3 +FLAGS (\\Flagged word)");
            b.ok("STORE 1 +FLAGS (\\Deleted)");
            b.ok("EXPUNGE");
            world.store.add(box, std::string(kPlain));
            world.store.add(box, std::string(kPlain));
            b.ok("NOOP");
            b.ok("STORE 3 +FLAGS.SILENT (\\Deleted)");
            b.ok("UID EXPUNGE 4");
        });
        world.settle();
        CHECK(a.command("FETCH 2 FLAGS")[0] == "* 2 FETCH (FLAGS ())");  // not a word of the EXPUNGE yet
        CHECK(a.ok("NOOP").front().starts_with("* 1 EXPUNGE"));
        CHECK(a.ok("FETCH 1:* UID") == Lines{"* 1 FETCH (UID 2)", "* 2 FETCH (UID 3)", "* 3 FETCH (UID 5)"});
    }
    SECTION("news that were fetched, but may not be told yet") {
        a.ok("SELECT INBOX");
        b.ok("SELECT INBOX");
        b.ok("STORE 1 +FLAGS (\\Deleted new)");
        b.ok("STORE 2 +FLAGS (\\Flagged)");
        b.ok("EXPUNGE");
        world.settle();
        CHECK(a.ok("FETCH 3 UID").front() == "* 3 FETCH (UID 3)");
        world.move(0);
        world.move(0, [&] { world.store.add(box, std::string(kPlain)); });
        auto lines = a.ok("NOOP");
        CHECK(std::ranges::find(lines, "* 1 EXPUNGE") != lines.end());
        CHECK(std::ranges::find(lines, "* 3 EXISTS") != lines.end());
        CHECK(a.ok("NOOP").empty());
    }
    SECTION("read-only stays so, and so do modseqs and the saved result") {
        a.ok("EXAMINE INBOX");
        a.ok("ENABLE CONDSTORE");
        a.ok("SEARCH RETURN (SAVE) 2:3");
        world.move(0);
        CHECK(a.answer("STORE 1 +FLAGS (\\Seen)").starts_with("NO [READ-ONLY]"));
        CHECK(a.ok("FETCH $ UID") == Lines{"* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"});
        b.ok("SELECT INBOX");
        b.ok("STORE 1 +FLAGS (\\Seen)");
        auto lines = a.ok("NOOP");
        REQUIRE(lines.size() == 1);
        CHECK(lines[0].find("MODSEQ (") != std::string::npos);
    }
    SECTION("the mailbox was renamed") {
        a.ok("SELECT INBOX");
        world.move(0, [&] { box.mailbox.name = "Elsewhere"; });
        CHECK(a.ok("FETCH 1 UID") == Lines{"* 1 FETCH (UID 1)"});
    }
    SECTION("the mailbox is gone") {
        b.ok("CREATE Other");
        world.store.add(*world.store.find("Other"), std::string(kPlain));
        a.ok("SELECT Other");
        world.move(0, [&] { b.ok("DELETE Other"); });
        CHECK(a.ok("NOOP") == Lines{"* 1 EXPUNGE"});
    }
    SECTION("what the client sent meanwhile is read") {
        a.ok("SELECT INBOX");
        world.move(0, [&] { a.write("x FETCH 1 UID\r\ny NOOP\r\n"); });
        CHECK(a.until("x") == Lines{"* 1 FETCH (UID 1)", "x OK fetched"});
        CHECK(a.line() == "y OK done");
    }
}

TEST_CASE("what the client did itself is not told to it after a rest") {
    World world;
    auto& box = inbox(world, 4);
    auto a = world.login();
    auto b = world.login();
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    std::string silent = GENERATE("", ".SILENT");
    SECTION("nobody else changed anything") {
        a.ok("STORE 1:2,4 +FLAGS" + silent + " (\\Seen)");
        world.move(0);
        CHECK(a.ok("NOOP").empty());
        world.move(0);
        CHECK(a.ok("NOOP").empty());
    }
    SECTION("news of others that it has not been told stand beside it") {
        // The removal may not be told by a STORE, so all that comes later stays untold.
        b.ok("STORE 3 +FLAGS.SILENT (\\Deleted)");
        b.ok("EXPUNGE");
        world.settle();
        a.ok("STORE 1:2 +FLAGS" + silent + " (\\Seen)");
        a.ok("STORE 4 +FLAGS" + silent + " (\\Draft)");
        world.move(0);
        world.move(0, [&] { b.ok("STORE 1 +FLAGS (\\Answered)"); });
        CHECK(a.ok("NOOP") == Lines{"* 3 EXPUNGE", "* 1 FETCH (UID 1 FLAGS (\\Answered \\Seen))"});
        CHECK(a.ok("NOOP").empty());
    }
    SECTION("with modseqs") {
        a.ok("ENABLE CONDSTORE");
        a.ok("STORE 2 +FLAGS" + silent + " (\\Seen)");
        world.move(0, [&] { b.ok("STORE 4 +FLAGS (\\Seen)"); });
        auto lines = a.ok("NOOP");
        REQUIRE(lines.size() == 1);
        CHECK(lines[0].starts_with("* 4 FETCH (UID 4 FLAGS (\\Seen) MODSEQ ("));
    }
    SECTION("messages it added, removed and moved") {
        a.ok("APPEND INBOX {2+}\r\nhi");
        b.ok("CREATE Other");
        a.ok("MOVE 1 Other");
        a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        a.ok("EXPUNGE");
        world.move(0);
        CHECK(a.ok("NOOP").empty());
        CHECK(a.ok("FETCH 1:* UID").size() == box.messages.size());
    }
}

TEST_CASE("a session with more changes of its own than are kept stays") {
    World world;
    inbox(world, kMaxRestedChanges + 1);
    auto a = world.login();
    a.ok("SELECT INBOX");
    a.ok("NOOP");
    world.store.quiet = true;  // so that it is not brought up to date in between
    auto rests = [&] {
        world.settle();
        return world.sessions[0]->rest().has_value();
    };
    for (size_t i = 1; i <= kMaxRestedChanges; i++) a.ok("STORE " + std::to_string(i) + " +FLAGS.SILENT (\\Seen)");
    CHECK(rests());
    a.ok("STORE " + std::to_string(kMaxRestedChanges + 1) + " +FLAGS.SILENT (\\Seen)");
    CHECK_FALSE(rests());
}

TEST_CASE("what no worker leaves is not taken") {
    World world;
    inbox(world, 3);
    auto a = world.login();
    a.ok("SELECT INBOX");
    a.write("i1 IDLE\r\n");
    CHECK(a.line() == "+ idling");
    world.settle();
    auto rested = world.sessions[0]->rest();
    REQUIRE(rested);
    auto taken = [&](const RestedSession& session) { return parse_rested(ipc::encode(session)).has_value(); };
    auto bytes = ipc::encode(*rested);
    CHECK(taken(*rested));
    CHECK(ipc::encode(*parse_rested(bytes)) == bytes);
    CHECK_FALSE(parse_rested(bytes + '\0'));
    for (size_t size = 0; size < bytes.size(); size++) CHECK_FALSE(parse_rested(bytes.substr(0, size)));
    auto& view = *rested->view;
    SECTION("another version") {
        rested->version++;
    }
    SECTION("a tag that is none") {
        rested->idle_tag = GENERATE("a b", "a\r\n* BYE", "+", "a{3}");
    }
    SECTION("UIDs that are none") {
        view.uids = "\x01";
    }
    SECTION("saved UIDs that are none") {
        view.saved = std::string(2, '\0');
    }
    SECTION("a message that has yet to arrive") {
        view.uids = pack_uids(std::vector<SequenceRange>{{1, 4}});
    }
    SECTION("more messages than are kept") {
        view.uid_floor = kMaxRestedMessages + 2;
        view.uids = pack_uids(std::vector<SequenceRange>{{1, kMaxRestedMessages}});
        CHECK(taken(*rested));
        view.uids = pack_uids(std::vector<SequenceRange>{{1, kMaxRestedMessages + 1}});
    }
    SECTION("changes of which all was told") {
        view.changes.push_back({view.told_modseq, "\x01\x01"});
    }
    SECTION("changed UIDs that are none") {
        view.changes.push_back({view.told_modseq + 1, "\x01"});
    }
    SECTION("too many changes") {
        view.changes.resize(kMaxRestedChanges + 1, {view.told_modseq + 1, ""});
    }
    SECTION("too many keywords") {
        view.keywords.resize(proto::kMaxKeywords + 1);
    }
    SECTION("too many UIDs") {
        for (uint32_t i = 0; i < kMaxRestedUids; i++) view.saved += "\x02\x01";
    }
    SECTION("too large") {
        rested->hostname.resize(proto::kMaxRestedState);
    }
    CHECK_FALSE(taken(*rested));
}

TEST_CASE("an IDLE goes on") {
    World world;
    auto& box = inbox(world, 2);
    auto a = world.login();
    auto b = world.login();
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    a.write("i IDLE\r\n");
    CHECK(a.line() == "+ idling");
    world.move(0, [&] { world.store.add(box, std::string(kPlain)); });
    CHECK(a.line() == "* 3 EXISTS");
    b.ok("NOOP");
    b.ok("STORE 1 +FLAGS.SILENT (\\Seen)");
    CHECK(a.line() == "* 1 FETCH (UID 1 FLAGS (\\Seen))");
    world.move(0);
    a.write("DONE\r\n");
    CHECK(a.line() == "i OK idled");
    CHECK(a.ok("NOOP").empty());
}

TEST_CASE("what cannot rest") {
    World world;
    inbox(world, 2);
    auto a = world.login();
    auto resting = [&] {
        world.settle();
        return world.sessions[0]->rest().has_value();
    };
    CHECK(resting());
    SECTION("half a line") {
        a.write("t NO");
        CHECK_FALSE(resting());
        a.write("OP\r\n");
        CHECK(a.line() == "t OK done");
        CHECK(resting());
    }
    SECTION("a literal that is waited for") {
        a.write("t LOGIN {3}\r\n");
        CHECK(a.line().starts_with("+"));
        CHECK_FALSE(resting());
    }
    SECTION("a message on its way") {
        a.write("t APPEND INBOX {100+}\r\nSubject:");
        CHECK_FALSE(resting());
    }
    SECTION("news of an IDLE that cannot be had") {
        a.ok("SELECT INBOX");
        world.store.fail_changes = true;
        a.write("i IDLE\r\n");
        CHECK(a.line() == "+ idling");
        CHECK_FALSE(resting());
    }
    SECTION("half a DONE") {
        a.write("i IDLE\r\n");
        CHECK(a.line() == "+ idling");
        CHECK(resting());
        a.write("DO");
        CHECK_FALSE(resting());
    }
    SECTION("more fragments than are kept") {
        auto& box = *world.store.find("INBOX");
        for (int i = 0; i < 20'000; i++) {
            box.mailbox.uidnext++;
            world.store.add(box, "x");
        }
        a.ok("SELECT INBOX");
        CHECK_FALSE(resting());
    }
}

TEST_CASE("the time before an autologout goes on, at rest too") {
    World world;
    auto a = world.login({.idle = std::chrono::seconds(100)});
    world.settle();
    auto left = [&](const std::optional<RestedSession>& rested) {
        REQUIRE(rested);
        return rested->autologout - std::chrono::steady_clock::now().time_since_epoch();
    };
    auto rested = world.sessions[0]->rest();
    CHECK(left(rested) > std::chrono::seconds(90));
    CHECK(left(rested) <= std::chrono::milliseconds(100'001));
    // However often it goes on, the end stays where it was.
    world.move(0);
    world.settle();
    world.move(0);
    world.settle();
    CHECK(world.sessions[0]->rest()->autologout == rested->autologout);
    for (auto when : {std::chrono::milliseconds::min(), std::chrono::milliseconds(0)}) {
        auto copy = *rested;
        copy.autologout = when;
        auto [ours, theirs] = ipc::make_socket_pair();
        Session again(world.account, std::move(copy), std::move(theirs), Fd(), world.counters);
        Client client(world, std::move(ours));
        async::Scope scope;
        scope.spawn(again.run());
        CHECK(client.line() == "* BYE autologout; idle for too long");
    }
    // No state makes a session live longer than another.
    rested->autologout = std::chrono::milliseconds::max();
    auto [ours, theirs] = ipc::make_socket_pair();
    Session again(world.account, std::move(*rested), std::move(theirs), Fd(), world.counters,
                  {.idle = std::chrono::seconds(50)});
    Client client(world, std::move(ours));
    async::Scope scope;
    scope.spawn(again.run());
    world.settle();
    CHECK(left(again.rest()) <= std::chrono::milliseconds(50'001));
}

TEST_CASE("another mailbox than the one that was left is not shown") {
    World world;
    auto& box = inbox(world, 2);
    auto a = world.login();
    a.ok("SELECT INBOX");
    world.move(0, [&] { box.mailbox.uidvalidity++; });
    CHECK(a.line().starts_with("* BYE [SERVERBUG]"));
    CHECK(a.closed());
}

TEST_CASE("a channel that was kept is asked whose it is") {
    World world;
    auto resume = [](Account& account, Fd channel, std::optional<Result<ipc::Done>>& result) -> async::Task<void> {
        result.emplace(co_await account.resume(std::move(channel)));
    };
    for (std::string identity : {"test", "other"}) {
        world.store.identity = identity;
        Account account("test");
        std::optional<Result<ipc::Done>> result;
        async::Scope scope;
        scope.spawn(resume(account, world.store.connect(), result));
        for (int i = 0; i < 1000 && !result; i++) world.step();
        REQUIRE(result);
        CHECK(result->has_value() == (identity == "test"));
        CHECK(account.connected() == (identity == "test"));
    }
    Account account("test");
    std::optional<Result<ipc::Done>> result;
    async::Scope scope;
    auto [ours, theirs] = ipc::make_socket_pair();
    theirs.reset();
    scope.spawn(resume(account, std::move(ours), result));
    for (int i = 0; i < 1000 && !result; i++) world.step();
    REQUIRE(result);
    CHECK(result->error().code == ErrorCode::channel_lost);
}
