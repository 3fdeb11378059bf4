#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;
using namespace std::chrono_literals;

namespace {

bool has(const Lines& lines, std::string_view line) {
    return std::ranges::find(lines, line) != lines.end();
}

}  // namespace

TEST_CASE("commands of the wrong state and no commands at all") {
    World world;
    auto client = world.login();
    for (std::string_view text :
         {"FETCH 1 FLAGS", "SEARCH ALL", "STORE 1 FLAGS ()", "EXPUNGE", "CLOSE", "CHECK", "UID COPY 1 x"})
        CHECK(client.answer(text) == "BAD no mailbox is selected");
    CHECK(client.answer("LOGIN a b") == "BAD already logged in");
    CHECK(client.answer("STARTTLS") == "BAD already logged in");
    CHECK(client.answer("NONSENSE") == "BAD unknown command");
    client.write("* NOOP\r\n");
    CHECK(client.line() == "* BAD missing tag");
    CHECK(has(client.ok("NAMESPACE"), R"(* NAMESPACE (("" "/")) (("#users/" "/")) NIL)"));
    CHECK(client.ok("ENABLE X-FOO") == Lines{"* ENABLED"});
    CHECK(client.ok("ID NIL").front().starts_with("* ID ("));
    CHECK(client.ok("CAPABILITY").front().find(" UIDPLUS ") != std::string::npos);
    CHECK(world.counters.commands[{"FETCH", "BAD"}] == 1);
}

TEST_CASE("what came behind the login command is the first input") {
    World world;
    auto client = world.login({}, "a NOOP\r\nb NO");
    client.write("OP\r\n");
    CHECK(client.line() == "a OK done");
    CHECK(client.line() == "b OK done");
}

TEST_CASE("logging out") {
    World world;
    auto client = world.login();
    auto lines = client.command("LOGOUT");
    CHECK(lines == Lines{"* BYE see you", "OK logged out"});
    CHECK(client.closed());
    world.settle();
    CHECK(world.sessions_left() == 0);
}

TEST_CASE("SELECT tells what RFC 3501 6.3.1 wants") {
    World world;
    auto& box = inbox(world);
    world.store.add(box, std::string(kPlain), proto::kSeen);
    world.store.add(box, std::string(kPlain));
    auto client = world.login();
    auto lines = client.command("SELECT inbox");
    CHECK(lines.back().starts_with("OK [READ-WRITE]"));
    CHECK(has(lines, "* 2 EXISTS"));
    CHECK(has(lines, "* 0 RECENT"));
    CHECK(has(lines, "* OK [UNSEEN 2] first unseen"));
    CHECK(has(lines, "* OK [UIDNEXT 3] next UID"));
    CHECK(lines.front().starts_with("* FLAGS (\\Answered"));
    CHECK(client.answer("SELECT nowhere") == "NO [NONEXISTENT] no such mailbox");
    CHECK(client.answer("FETCH 1 FLAGS") == "BAD no mailbox is selected");
    CHECK(client.command("EXAMINE INBOX").back().starts_with("OK [READ-ONLY]"));
    for (std::string_view text : {"STORE 1 FLAGS ()", "EXPUNGE", "MOVE 1 x"})
        CHECK(client.answer(text).starts_with("NO [READ-ONLY]"));
    world.store.seal = false;
    CHECK(client.answer("SELECT INBOX").starts_with("NO [SERVERBUG]"));
}

TEST_CASE("a STORE and its answers") {
    World world;
    inbox(world, 3);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("STORE 1:2 +FLAGS (\\Seen)") == Lines{"* 1 FETCH (FLAGS (\\Seen))", "* 2 FETCH (FLAGS (\\Seen))"});
    CHECK(client.ok("UID STORE 2 FLAGS \\Deleted") == Lines{"* 2 FETCH (UID 2 FLAGS (\\Deleted))"});
    CHECK(client.ok("STORE 2 -FLAGS.SILENT (\\Deleted)").empty());
    auto lines = client.ok("STORE 3 +FLAGS (word)");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].starts_with("* FLAGS ("));
    CHECK(lines[0].ends_with(" word)"));
    CHECK(lines[2] == "* 3 FETCH (FLAGS (word))");
    CHECK(client.ok("STORE 1 +FLAGS.SILENT (WORD)").empty());
    CHECK(world.store.find("INBOX")->keywords == std::vector<std::string>{"word"});
    CHECK(client.answer("STORE 4 FLAGS ()") == "BAD message number out of range");
    CHECK(client.ok("UID STORE 99 FLAGS ()").empty());
    CHECK(client.ok("NOOP").empty());
    world.store.fail_next = true;
    CHECK(client.answer("STORE 1 FLAGS ()").starts_with("NO [UNAVAILABLE]"));
}

TEST_CASE("sessions see each other's changes, and EXPUNGE only where it may be") {
    World world;
    inbox(world, 4);
    auto a = world.login();
    auto b = world.login();
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    SECTION("flags") {
        a.ok("STORE 2 +FLAGS (\\Flagged)");
        CHECK(b.ok("NOOP") == Lines{"* 2 FETCH (UID 2 FLAGS (\\Flagged))"});
        CHECK(b.ok("NOOP").empty());
    }
    SECTION("expunge, with the other in the middle of sequence numbers") {
        a.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)");
        b.ok("NOOP");
        CHECK(a.ok("EXPUNGE") == Lines{"* 1 EXPUNGE", "* 2 EXPUNGE"});
        CHECK(b.ok("FETCH 4 (UID)") == Lines{"* 4 FETCH (UID 4)"});
        CHECK(b.ok("SEARCH ALL") == Lines{"* SEARCH 1 2 3 4"});
        CHECK(b.ok("STORE 1,2 +FLAGS (\\Seen)") == Lines{"* 2 FETCH (FLAGS (\\Seen))"});
        auto lines = b.command("FETCH 1:2 (UID BODY.PEEK[TEXT])");
        CHECK(lines == Lines{"* 2 FETCH (UID 2 BODY[TEXT] {6}\r\nbody\r\n)",
                             "NO [EXPUNGEISSUED] some of the messages do not exist any more"});
        CHECK(b.ok("UID FETCH 4 (UID)") == Lines{"* 4 FETCH (UID 4)", "* 1 EXPUNGE", "* 2 EXPUNGE"});
        CHECK(b.ok("FETCH 1:* (UID)") == Lines{"* 1 FETCH (UID 2)", "* 2 FETCH (UID 4)"});
    }
    SECTION("mail arrives while a command may not tell of removals") {
        auto& box = *world.store.find("INBOX");
        world.store.remove(box, 1);
        world.store.add(box, std::string(kPlain));
        world.settle();
        CHECK(b.ok("FETCH 2 (UID)") == Lines{"* 2 FETCH (UID 2)", "* 5 EXISTS"});
        CHECK(b.ok("FETCH 5 (UID)") == Lines{"* 5 FETCH (UID 5)"});
        CHECK(b.ok("CHECK") == Lines{"* 1 EXPUNGE"});
    }
    SECTION("without a word from the store a session of the same worker still knows") {
        world.store.quiet = true;
        a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
        a.ok("EXPUNGE");
        CHECK(b.ok("UID SEARCH ALL") == Lines{"* SEARCH 1 2 3 4", "* 1 EXPUNGE"});
    }
    SECTION("a mailbox deleted under a session") {
        world.store.make("other");
        world.store.add(*world.store.find("other"), std::string(kPlain));
        b.ok("SELECT other");
        a.ok("DELETE other");
        CHECK(b.ok("NOOP") == Lines{"* 1 EXPUNGE"});
        CHECK(b.ok("CLOSE").empty());
    }
}

TEST_CASE("EXPUNGE, UID EXPUNGE, CLOSE, UNSELECT") {
    World world;
    auto& box = inbox(world, 5);
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("STORE 1,3,4 +FLAGS.SILENT (\\Deleted)");
    CHECK(client.ok("UID EXPUNGE 3:3") == Lines{"* 3 EXPUNGE"});
    CHECK(client.ok("EXPUNGE") == Lines{"* 1 EXPUNGE", "* 2 EXPUNGE"});
    CHECK(client.ok("EXPUNGE").empty());
    CHECK(client.ok("UID SEARCH ALL") == Lines{"* SEARCH 2 5"});
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    client.ok("UNSELECT");
    CHECK(box.messages.size() == 2);
    client.ok("EXAMINE INBOX");
    CHECK(client.ok("CLOSE").empty());
    CHECK(box.messages.size() == 2);
    client.ok("SELECT INBOX");
    CHECK(client.ok("CLOSE").empty());
    CHECK(box.messages.size() == 1);
}

TEST_CASE("COPY and MOVE") {
    World world;
    inbox(world, 4);
    world.store.make("to");
    auto client = world.login();
    client.ok("SELECT INBOX");
    auto validity = std::to_string(world.store.find("to")->mailbox.uidvalidity);
    CHECK(client.answer("COPY 1,3:4 to") == "OK [COPYUID " + validity + " 1,3:4 1:3] copied");
    CHECK(client.answer("COPY 1 nowhere") == "NO [TRYCREATE] no such mailbox");
    CHECK(client.command("UID COPY 99 to") == Lines{"OK no such messages"});
    CHECK(client.command("MOVE 2:3 to") ==
          Lines{"* OK [COPYUID " + validity + " 2:3 4:5] moved", "* 2 EXPUNGE", "* 2 EXPUNGE", "OK moved"});
    CHECK(client.ok("NOOP").empty());
    world.store.quiet = true;
    world.store.remove(*world.store.find("INBOX"), 4);
    CHECK(client.command("COPY 2 to").back().starts_with("NO [EXPUNGEISSUED]"));
    // A copy into the selected mailbox itself is announced at once.
    auto lines = client.ok("COPY 1 INBOX");
    CHECK(has(lines, "* 2 EXISTS"));
}

TEST_CASE("LIST, LSUB, STATUS") {
    World world;
    for (std::string name : {"a", "a/b", "a/b/c", "Sent", "日本"}) world.store.make(name);
    world.store.find("Sent")->mailbox.special_use = proto::kSentUse;
    world.store.subscribed = {"a/b", "gone/x", "INBOX"};
    auto client = world.login();
    CHECK(client.ok("LIST \"\" \"\"") == Lines{R"(* LIST (\Noselect) "/" "")"});
    CHECK(client.ok("LIST \"\" %") ==
          Lines{R"(* LIST (\HasNoChildren) "/" &ZeVnLA-)", R"(* LIST (\HasNoChildren) "/" INBOX)",
                R"(* LIST (\HasNoChildren \Sent) "/" Sent)", R"(* LIST (\HasChildren) "/" a)"});
    CHECK(client.ok("LIST a/ *") == Lines{R"(* LIST (\HasChildren) "/" a/b)", R"(* LIST (\HasNoChildren) "/" a/b/c)"});
    CHECK(client.ok("LIST \"\" inBOX") == Lines{R"(* LIST (\HasNoChildren) "/" INBOX)"});
    CHECK(client.ok("LSUB \"\" *") ==
          Lines{R"(* LSUB () "/" INBOX)", R"(* LSUB () "/" a/b)", R"(* LSUB () "/" gone/x)"});
    CHECK(client.ok("LSUB \"\" %") ==
          Lines{R"(* LSUB () "/" INBOX)", R"(* LSUB (\Noselect) "/" a)", R"(* LSUB (\Noselect) "/" gone)"});
    CHECK(client.ok("LIST (SUBSCRIBED) \"\" *") ==
          Lines{R"(* LIST (\Subscribed \HasNoChildren) "/" INBOX)", R"(* LIST (\Subscribed \HasChildren) "/" a/b)",
                R"(* LIST (\NonExistent \Subscribed \HasNoChildren) "/" gone/x)"});
    CHECK(client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %") ==
          Lines{R"(* LIST (\Subscribed \HasNoChildren) "/" INBOX)",
                R"(* LIST (\HasChildren) "/" a ("CHILDINFO" ("SUBSCRIBED")))",
                R"(* LIST (\NonExistent \HasNoChildren) "/" gone ("CHILDINFO" ("SUBSCRIBED")))"});
    CHECK(client.ok("LIST (SPECIAL-USE) \"\" *") == Lines{R"(* LIST (\HasNoChildren \Sent) "/" Sent)"});
    world.store.add(*world.store.find("a"), std::string(kPlain));
    CHECK(client.ok("LIST \"\" a RETURN (STATUS (MESSAGES UNSEEN))") ==
          Lines{R"(* LIST (\HasChildren) "/" a)", "* STATUS a (MESSAGES 1 UNSEEN 1)"});
    CHECK(client.ok("STATUS a (UIDNEXT RECENT MESSAGES)") == Lines{"* STATUS a (MESSAGES 1 RECENT 0 UIDNEXT 2)"});
    CHECK(client.answer("STATUS x (MESSAGES)") == "NO [NONEXISTENT] no such mailbox");
    client.ok("CREATE new/");
    CHECK(world.store.find("new"));
    CHECK(client.answer("CREATE new").starts_with("NO [ALREADYEXISTS]"));
    CHECK(client.answer("CREATE a//b").starts_with("NO [CANNOT]"));
    CHECK(client.answer("DELETE INBOX").starts_with("NO [CANNOT]"));
    client.ok("RENAME new newer");
    CHECK(client.answer("RENAME new newest").starts_with("NO [NONEXISTENT]"));
    client.ok("SUBSCRIBE newer");
    client.ok("UNSUBSCRIBE a/b");
    CHECK(world.store.subscribed == std::vector<std::string>{"gone/x", "INBOX", "newer"});
}

TEST_CASE("IDLE") {
    World world;
    auto& box = inbox(world, 1);
    auto a = world.login();
    auto b = world.login();
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    a.write("i IDLE\r\n");
    CHECK(a.line() == "+ idling");
    world.settle();
    world.store.add(box, std::string(kPlain));
    CHECK(a.line() == "* 2 EXISTS");
    b.ok("NOOP");
    b.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    CHECK(a.line() == "* 2 FETCH (UID 2 FLAGS (\\Deleted))");
    b.ok("EXPUNGE");
    CHECK(a.line() == "* 2 EXPUNGE");
    a.write("done\r\n");
    CHECK(a.line() == "i OK idled");
    a.write("i IDLE\r\nDONE\r\nj NOOP\r\n");
    CHECK(a.until("i").back() == "i OK idled");
    CHECK(a.line() == "j OK done");
    SECTION("something else than DONE") {
        a.write("k IDLE\r\n");
        CHECK(a.line() == "+ idling");
        a.write("l NOOP\r\n");
        CHECK(a.line() == "k BAD expected DONE");
        CHECK(a.line() == "* BYE expected DONE");
        CHECK(a.closed());
    }
    SECTION("the store goes") {
        a.write("k IDLE\r\n");
        CHECK(a.line() == "+ idling");
        world.settle();
        world.store.cut();
        CHECK(a.line().starts_with("* BYE [UNAVAILABLE]"));
        CHECK(b.line().starts_with("* BYE [UNAVAILABLE]"));
        CHECK(a.closed());
    }
    SECTION("the client goes") {
        a.write("k IDLE\r\n");
        CHECK(a.line() == "+ idling");
        ::shutdown(a.fd(), SHUT_RDWR);
        world.settle();
        CHECK(world.sessions_left() == 1);
    }
}

TEST_CASE("IDLE without a mailbox, and with a store that does not answer") {
    World world;
    inbox(world, 1);
    auto client = world.login();
    client.write("i IDLE\r\nDONE\r\n");
    CHECK(client.line() == "+ idling");
    CHECK(client.line() == "i OK idled");
    client.ok("SELECT INBOX");
    world.store.fail_changes = true;
    client.write("j IDLE\r\n");
    CHECK(client.line() == "+ idling");
    world.settle();
    CHECK(world.store.get_changes <= 2);
    client.write("DONE\r\n");
    CHECK(client.line() == "j OK idled");
    CHECK(client.ok("NOOP").empty());
    world.store.fail_changes = false;
    world.store.add(*world.store.find("INBOX"), std::string(kPlain));
    CHECK(client.ok("NOOP") == Lines{"* 2 EXISTS"});
}

TEST_CASE("time limits") {
    World world;
    auto client = world.login({.idle = 30ms, .idle_command = 30ms});
    CHECK(client.line() == "* BYE autologout; idle for too long");
    CHECK(client.closed());
}

TEST_CASE("limits of lines and literals") {
    World world;
    auto client = world.login();
    client.write("a SELECT {2000000}\r\n");
    CHECK(client.line() == "a BAD [TOOBIG] literal too large");
    client.write("a SELECT {3}\r\n");
    CHECK(client.line() == "+ go ahead");
    client.write("abc\r\n");
    CHECK(client.line().starts_with("a NO [NONEXISTENT]"));
    client.write("a SEARCH " + std::string(70000, 'x') + "\r\n");
    CHECK(client.line() == "* BYE [TOOBIG] command line too long");
    CHECK(client.closed());
    auto second = world.login();
    second.write("a SELECT {2000000+}\r\n");
    CHECK(second.line() == "* BYE [TOOBIG] literal too large");
}

TEST_CASE("pipelined commands are answered in order") {
    World world;
    inbox(world, 2);
    auto client = world.login();
    client.ok("SELECT INBOX");
    std::string many;
    for (int i = 0; i < 500; i++) many += "p" + std::to_string(i) + " FETCH 1:2 (FLAGS)\r\n";
    client.write(many);
    for (int i = 0; i < 500; i++) CHECK(client.until("p" + std::to_string(i)).size() == 3);
}

TEST_CASE("a client that does not read holds up nobody") {
    World world;
    auto& box = inbox(world);
    world.store.add(box, "Subject: big\r\n\r\n" + std::string(3'000'000, 'x') + "\r\n");
    auto lazy = world.login({.write = 500ms});
    auto other = world.login();
    lazy.ok("SELECT INBOX");
    for (int i = 0; i < 20; i++) lazy.write("z FETCH 1 (BODY.PEEK[])\r\n");
    world.settle();
    other.ok("SELECT INBOX");
    other.ok("STORE 1 +FLAGS (\\Flagged)");
    auto end = std::chrono::steady_clock::now() + 5s;
    while (world.sessions_left() > 1 && std::chrono::steady_clock::now() < end) {
        world.settle();
        std::this_thread::sleep_for(5ms);
    }
    CHECK(world.sessions_left() == 1);
}

TEST_CASE("a channel for another account is refused") {
    World world;
    std::optional<Result<ipc::Done>> result;
    async::Scope scope;
    struct Run {
        static async::Task<void> admit(World& w, std::optional<Result<ipc::Done>>& out) {
            out = co_await w.account.admit(w.store.connect("other"));
        }
    };
    scope.spawn(Run::admit(world, result));
    for (int i = 0; i < 100 && !result; i++) world.settle();
    REQUIRE(result);
    REQUIRE_FALSE(*result);
    CHECK(result->error().code == ErrorCode::denied);
    CHECK_FALSE(world.account.connected());
}
