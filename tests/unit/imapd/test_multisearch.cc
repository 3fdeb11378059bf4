// ESEARCH over several mailboxes (RFC 7377).
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

std::string letter(std::string_view subject) {
    return "From: a@x.example\r\nSubject: " + std::string(subject) + "\r\n\r\nbody\r\n";
}

// folder1 and a tree below folder2, as in RFC 7377 3.
struct Folders {
    World world;
    Client client;
    Folders() : client(world.login()) {
        for (std::string name : {"folder1", "folder2", "folder2/banana", "folder2/peach", "folder2/salmon",
                                 "folder2/salmon/roe", "other"}) {
            auto& box = world.store.make(name);
            world.store.add(box, letter("seen"), proto::kSeen);
            if (name != "folder2" && name != "folder2/peach") world.store.add(box, letter("chad"));
            if (name == "folder1") world.store.add(box, letter("not him"));
        }
    }
};

}  // namespace

TEST_CASE("searching named mailboxes and trees") {
    Folders f;
    // RFC 7377 3: both at once
    f.client.write(
        "tag1 ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") unseen\r\n"
        "tag2 ESEARCH IN (mailboxes \"folder1\" subtree-one \"folder2\") subject \"chad\"\r\n");
    CHECK(f.client.until("tag1") ==
          Lines{R"(* ESEARCH (TAG "tag1" MAILBOX folder1 UIDVALIDITY 1002) UID ALL 2:3)",
                R"(* ESEARCH (TAG "tag1" MAILBOX folder2/banana UIDVALIDITY 1004) UID ALL 2)",
                R"(* ESEARCH (TAG "tag1" MAILBOX folder2/salmon UIDVALIDITY 1006) UID ALL 2)",
                R"(* ESEARCH (TAG "tag1" MAILBOX folder2/salmon/roe UIDVALIDITY 1007) UID ALL 2)", "tag1 OK searched"});
    CHECK(f.client.until("tag2") == Lines{R"(* ESEARCH (TAG "tag2" MAILBOX folder1 UIDVALIDITY 1002) UID ALL 2)",
                                          R"(* ESEARCH (TAG "tag2" MAILBOX folder2/banana UIDVALIDITY 1004) UID ALL 2)",
                                          R"(* ESEARCH (TAG "tag2" MAILBOX folder2/salmon UIDVALIDITY 1006) UID ALL 2)",
                                          "tag2 OK searched"});
    // twice named, searched once; nothing of those without a match
    CHECK(f.client.ok("ESEARCH IN (mailboxes (other other) subtree other) RETURN (MIN MAX COUNT) UNSEEN") ==
          Lines{R"(* ESEARCH (TAG "t1" MAILBOX other UIDVALIDITY 1008) UID MIN 2 MAX 2 COUNT 1)"});
    CHECK(f.client.ok("ESEARCH IN (personal) RETURN (COUNT) SUBJECT nothing").empty());
    CHECK(f.client.ok("ESEARCH IN (mailboxes nowhere) ALL").empty());
    CHECK(f.client.ok("ESEARCH IN (inboxes) RETURN (PARTIAL 1:1) SUBJECT chad").size() == 5);
    f.world.store.subscribed = {"other", "absent", "folder1"};
    CHECK(f.client.ok("ESEARCH IN (subscribed) RETURN (PARTIAL -1:-1) UNSEEN") ==
          Lines{R"(* ESEARCH (TAG "t5" MAILBOX folder1 UIDVALIDITY 1002) UID PARTIAL (-1:-1 3))",
                R"(* ESEARCH (TAG "t5" MAILBOX other UIDVALIDITY 1008) UID PARTIAL (-1:-1 2))"});
    // RFC 7377 2: a range beyond the end is no error
    CHECK(f.client.ok("ESEARCH IN (mailboxes other) 2:100") ==
          Lines{R"(* ESEARCH (TAG "t6" MAILBOX other UIDVALIDITY 1008) UID ALL 2)"});
    CHECK(f.client.ok("ESEARCH IN (mailboxes other) 101:200").empty());
}

TEST_CASE("ESEARCH in the selected mailbox") {
    Folders f;
    CHECK(f.client.answer("ESEARCH UNSEEN").starts_with("BAD"));
    CHECK(f.client.answer("ESEARCH IN (selected) UNSEEN").starts_with("BAD"));
    CHECK(f.client.answer("ESEARCH IN (personal selected) UNSEEN").starts_with("BAD"));
    CHECK(f.client.answer("ESEARCH IN (personal) RETURN (UPDATE) UNSEEN").starts_with("BAD"));
    f.client.ok("SELECT folder1");
    CHECK(f.client.ok("ESEARCH UNSEEN") ==
          Lines{R"(* ESEARCH (TAG "t6" MAILBOX folder1 UIDVALIDITY 1002) UID ALL 2:3)"});
    CHECK(f.client.ok("UID ESEARCH SUBJECT chad 1:100") ==
          Lines{R"(* ESEARCH (TAG "t7" MAILBOX folder1 UIDVALIDITY 1002) UID ALL 2)"});
    CHECK(f.client.ok("ESEARCH RETURN (SAVE) SUBJECT him").empty());
    CHECK(f.client.ok("FETCH $ (UID)") == Lines{"* 3 FETCH (UID 3)"});
    CHECK(f.client.answer("ESEARCH IN (mailboxes folder1) RETURN (SAVE) ALL").starts_with("BAD"));
    CHECK(f.client.answer("ESEARCH IN (selected personal) RETURN (SAVE) ALL").starts_with("BAD"));
    CHECK(f.client.ok("ESEARCH IN (selected mailboxes other) UNSEEN").size() == 2);
    // RFC 5267 4.3, RFC 7377 2.2
    f.client.write("u ESEARCH RETURN (UPDATE COUNT) FLAGGED\r\n");
    CHECK(f.client.until("u") == Lines{"u OK searched"});
    CHECK(f.client.ok("STORE 1 +FLAGS.SILENT (\\Flagged)") ==
          Lines{R"(* ESEARCH (TAG "u" MAILBOX folder1 UIDVALIDITY 1002) UID ADDTO (0 1))"});
    f.client.write("v ESEARCH IN (mailboxes other) RETURN (UPDATE) FLAGGED\r\n");
    CHECK(f.client.until("v").front().starts_with("* NO [NOUPDATE \"v\"] "));
    CHECK(f.client.answer("ESEARCH CHARSET KOI8-R ALL").starts_with("NO [BADCHARSET"));
}

TEST_CASE("ESEARCH that is not right") {
    Folders f;
    f.client.ok("SELECT folder1");
    for (std::string_view bad :
         {"ESEARCH", "ESEARCH IN", "ESEARCH IN ()", "ESEARCH IN () ALL", "ESEARCH IN (selected-delayed) ALL",
          "ESEARCH IN (mailboxes) ALL", "ESEARCH IN (personal) RETURN ALL", "ESEARCH IN (personal (x)) ALL",
          "ESEARCH IN (everywhere) ALL", "ESEARCH IN (personal)"})
        CHECK(f.client.answer(bad).starts_with("BAD"));
    f.client.ok("ENABLE UIDONLY");
    CHECK(f.client.answer("ESEARCH 1:2").starts_with("BAD [UIDREQUIRED]"));
    CHECK(f.client.ok("ESEARCH UNSEEN").size() == 1);
    // a mailbox that is gone when it is its turn
    f.world.store.seal = false;
    CHECK(f.client.answer("ESEARCH IN (personal) ALL").starts_with("NO [SERVERBUG]"));
}
