// LIST-EXTENDED (RFC 5258, its own examples), SPECIAL-USE, STATUS, ENABLE and names in UTF-8.
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

// The lines without \HasChildren and \HasNoChildren, which the RFC's examples leave out.
Lines without_children(Lines lines) {
    for (auto& line : lines) {
        for (std::string_view attribute : {"\\HasNoChildren", "\\HasChildren"}) {
            auto at = line.find(attribute);
            if (at == std::string::npos) continue;
            bool after_space = line[at - 1] == ' ';
            line.erase(after_space ? at - 1 : at, attribute.size() + (after_space ? 1 : 0));
        }
    }
    return lines;
}

}  // namespace

TEST_CASE("the examples of RFC 5258 5") {
    World world;
    auto client = world.login();
    SECTION("2: subscribed") {
        for (std::string name :
             {"Fruit", "Fruit/Apple", "Fruit/Banana", "Tofu", "Vegetable", "Vegetable/Broccoli", "Vegetable/Corn"})
            world.store.make(name);
        world.store.subscribed = {"INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"};
        CHECK(without_children(client.ok("LIST (SUBSCRIBED) \"\" *")) ==
              Lines{R"(* LIST (\Subscribed) "/" Fruit/Banana)", R"(* LIST (\NonExistent \Subscribed) "/" Fruit/Peach)",
                    R"(* LIST (\Subscribed) "/" INBOX)", R"(* LIST (\Subscribed) "/" Vegetable)",
                    R"(* LIST (\Subscribed) "/" Vegetable/Broccoli)"});
        CHECK(client.ok("LIST () \"\" % RETURN (CHILDREN)") ==
              Lines{R"(* LIST (\HasChildren) "/" Fruit)", R"(* LIST (\HasNoChildren) "/" INBOX)",
                    R"(* LIST (\HasNoChildren) "/" Tofu)", R"(* LIST (\HasChildren) "/" Vegetable)"});
        // 6: what is only subscribed is not there without the selection option
        auto all = without_children(client.ok("LIST (REMOTE) \"\" * RETURN (SUBSCRIBED)"));
        CHECK(all.size() == 8);
        CHECK(std::ranges::find(all, R"(* LIST (\Subscribed) "/" Fruit/Banana)") != all.end());
    }
    SECTION("8: CHILDINFO") {
        for (std::string name : {"Foo", "Foo/Bar", "Foo/Baz", "Moo"}) world.store.make(name);
        world.store.subscribed = {"Foo/Baz"};
        CHECK(client.ok("LIST (SUBSCRIBED) \"\" %").empty());
        CHECK(without_children(client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %")) ==
              Lines{R"(* LIST () "/" Foo ("CHILDINFO" ("SUBSCRIBED")))"});
        world.store.subscribed = {"Foo", "Foo/Baz"};
        CHECK(without_children(client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %")) ==
              Lines{R"(* LIST (\Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED")))"});
        world.store.subscribed = {};
        CHECK(client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %").empty());
        world.store.subscribed = {"Foo", "Moo"};
        CHECK(client.ok("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (CHILDREN)") ==
              Lines{R"(* LIST (\Subscribed \HasChildren) "/" Foo)", R"(* LIST (\Subscribed \HasNoChildren) "/" Moo)"});
    }
    SECTION("9: CHILDINFO where a child is not returned itself") {
        for (std::string name : {"foo2", "foo2/bar1", "foo2/bar2", "baz2", "baz2/bar2", "baz2/bar22", "baz2/bar222",
                                 "eps2", "eps2/mamba", "qux2/bar2"})
            world.store.make(name);
        world.store.subscribed = {"foo2/bar1",   "foo2/bar2", "baz2/bar2",  "baz2/bar22",
                                  "baz2/bar222", "eps2",      "eps2/mamba", "qux2/bar2"};
        CHECK(without_children(client.ok("LIST (RECURSIVEMATCH SUBSCRIBED) \"\" \"*2\"")) ==
              Lines{R"(* LIST (\Subscribed) "/" baz2/bar2)", R"(* LIST (\Subscribed) "/" baz2/bar22)",
                    R"(* LIST (\Subscribed) "/" baz2/bar222)",
                    R"(* LIST (\Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED")))",
                    R"(* LIST () "/" foo2 ("CHILDINFO" ("SUBSCRIBED")))", R"(* LIST (\Subscribed) "/" foo2/bar2)",
                    R"(* LIST (\Subscribed) "/" qux2/bar2)"});
    }
    CHECK(client.answer("LIST (RECURSIVEMATCH) \"\" *").starts_with("BAD"));
    CHECK(client.answer("LIST (RECURSIVEMATCH REMOTE) \"\" *").starts_with("BAD"));
    CHECK(client.answer("LIST (X-NONSENSE) \"\" *").starts_with("BAD"));
}

TEST_CASE("special uses select, also those below") {
    World world;
    for (std::string name : {"a", "a/Sent", "Trash"}) world.store.make(name);
    world.store.find("a/Sent")->mailbox.special_use = proto::kSentUse;
    world.store.find("Trash")->mailbox.special_use = proto::kTrashUse;
    world.store.subscribed = {"Trash"};
    auto client = world.login();
    CHECK(client.ok("LIST (SPECIAL-USE RECURSIVEMATCH) \"\" %") ==
          Lines{R"(* LIST (\HasNoChildren \Trash) "/" Trash)",
                R"(* LIST (\HasChildren) "/" a ("CHILDINFO" ("SPECIAL-USE")))"});
    CHECK(client.ok("LIST (SPECIAL-USE SUBSCRIBED) \"\" *") ==
          Lines{R"(* LIST (\Subscribed \HasNoChildren \Trash) "/" Trash)"});
    // RFC 6154 3, 5: a use that is not supported is an answer, no syntax error
    CHECK(client.answer("CREATE all (USE (\\All))").starts_with("NO [USEATTR]"));
    CHECK(world.store.find("all") == nullptr);
    client.ok("CREATE drafts (USE (\\Drafts))");
    CHECK(world.store.find("drafts")->mailbox.special_use == proto::kDraftsUse);
}

TEST_CASE("STATUS: sizes, deleted, limit") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, "Subject: x\r\n\r\nbody\r\n", proto::kDeleted);
    world.store.add(box, "Subject: x\r\n\r\nbody\r\n");
    auto client = world.login();
    CHECK(client.ok("STATUS INBOX (SIZE DELETED APPENDLIMIT)") ==
          Lines{"* STATUS INBOX (SIZE 40 DELETED 1 APPENDLIMIT 1048576)"});
    auto announced = client.ok("CAPABILITY").front();
    for (std::string_view name : {" APPENDLIMIT=1048576", " STATUS=SIZE", " UTF8=ACCEPT", " LIST-EXTENDED"})
        CHECK(announced.find(name) != std::string::npos);
}

TEST_CASE("names in UTF-8 once the client wants them") {
    World world;
    world.store.make("日本");
    auto client = world.login();
    CHECK(client.ok("LIST \"\" &*") == Lines{R"(* LIST (\HasNoChildren) "/" &ZeVnLA-)"});
    CHECK(client.ok("ENABLE utf8=accept X-FOO") == Lines{"* ENABLED UTF8=ACCEPT"});
    CHECK(client.ok("ENABLE UTF8=ACCEPT") == Lines{"* ENABLED"});
    CHECK(client.answer("LIST \"\" 日*").starts_with("BAD"));
    CHECK(client.ok("LIST \"\" \"日%\"") == Lines{"* LIST (\\HasNoChildren) \"/\" \"日本\""});
    CHECK(client.ok("STATUS \"日本\" (MESSAGES)") == Lines{"* STATUS \"日本\" (MESSAGES 0)"});
    client.ok("CREATE \"a&b\"");
    CHECK(world.store.find("a&b") != nullptr);
    client.ok("CREATE {5+}\r\nété");
    CHECK(world.store.find("été") != nullptr);
    client.ok("SUBSCRIBE \"日本\"");
    CHECK(client.ok("LSUB \"\" *") == Lines{"* LSUB () \"/\" \"日本\""});
    CHECK(client.answer("SELECT \"\xff\"") == "BAD mailbox name is not in UTF-8");
    // RFC 6855 3
    client.ok("SELECT INBOX");
    CHECK(client.answer("SEARCH CHARSET UTF-8 ALL").starts_with("BAD"));
}

TEST_CASE("UTF-8 in quoted strings only where it was enabled") {
    World world;
    world.store.add(*world.store.find("INBOX"), "Subject: été\r\n\r\nx\r\n");
    auto client = world.login();
    client.ok("EXAMINE INBOX");
    CHECK(client.ok("FETCH 1 ENVELOPE").front().find("{5}\r\nété") != std::string::npos);
    client.ok("ENABLE UTF8=ACCEPT");
    CHECK(client.ok("FETCH 1 ENVELOPE").front().find("\"été\"") != std::string::npos);
    // RFC 9051 7.1: the mailbox before is closed first
    CHECK(client.ok("SELECT INBOX").front() == "* OK [CLOSED] the mailbox before is closed");
}
