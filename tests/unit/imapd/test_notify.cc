// NOTIFY (RFC 5465): what is told between commands, of which mailboxes, and what is not.
#include "imapd/worker/mailbox_watch.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

const std::string kMail = "From: a@x.example\r\nTo: b@x.example\r\nSubject: s\r\n\r\nbody\r\n";

proto::Mailbox mailbox(uint64_t id, std::string name, uint32_t uidnext = 1, uint64_t messages = 0, uint64_t modseq = 1,
                       uint64_t unseen = 0) {
    proto::Mailbox out{};
    out.id = {id};
    out.name = std::move(name);
    out.uidvalidity = static_cast<uint32_t>(1000 + id);
    out.uidnext = uidnext;
    out.messages = messages;
    out.highest_modseq = modseq;
    out.unseen = unseen;
    return out;
}

MailboxWatch watch(std::string_view groups) {
    auto command = parse_command("a NOTIFY SET " + std::string(groups));
    return MailboxWatch(std::get<NotifyArguments>(command.arguments).groups);
}

// "name<old" for each affected name, then "name:items".
std::string told(const MailboxWatch::News& news) {
    std::string out;
    for (const auto& [name, old] : news.names) out += name + (old.empty() ? "" : "<" + old) + ' ';
    for (const auto& status : news.statuses) out += status.mailbox.name + ':' + std::to_string(status.items) + ' ';
    return out;
}

std::string refusal(std::string_view command) {
    try {
        parse_command("a NOTIFY " + std::string(command));
    } catch (const SyntaxError& error) {
        return error.text;
    }
    return {};
}

constexpr uint32_t kCounts = kStatusUidValidity | kStatusUidNext | kStatusMessages;

}  // namespace

TEST_CASE("the grammar of NOTIFY") {
    for (std::string_view right :
         {"NONE", "set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)",
          "SET (SELECTED (MessageNew MessageExpunge FlagChange))", "SET (selected-delayed (messagenew messageexpunge))",
          "SET (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))",
          "SET (selected (Messagenew (uid flags) messageExpunge)) (personal (MessageNew FlagChange MessageExpunge))",
          "SET (subtree (a \"b c\") (MailboxName)) (inboxes NONE) (subscribed (MailboxMetadataChange))",
          "SET STATUS (personal (ServerMetadataChange))", "SET (personal (FutureEvent))", "SET (selected NONE)"})
        CHECK(refusal(right).empty());
    for (std::string_view wrong : {"",
                                   "SET",
                                   "SET STATUS",
                                   "MAYBE",
                                   "NONE x",
                                   "SET (selected)",
                                   "SET (selected ())",
                                   "SET selected (MessageNew)",
                                   "SET (personal (MessageNew))",
                                   "SET (personal (MessageExpunge))",
                                   "SET (personal (FlagChange))",
                                   "SET (personal (AnnotationChange))",
                                   "SET (selected (MailboxName))",
                                   "SET (personal (MessageNew (uid) MessageExpunge))",
                                   "SET (mailboxes (MessageNew MessageExpunge))",
                                   "SET (selected NONE) (selected-delayed NONE)",
                                   "SET (selected NONE) (selected NONE)",
                                   "SET (subtree-one a (MailboxName))",
                                   "SET (everything (MailboxName))",
                                   "SET (selected (MessageNew (bogus) MessageExpunge))",
                                   "SET (personal (MailboxName)) x",
                                   "SET (mailboxes () (MailboxName))"})
        CHECK_FALSE(refusal(wrong).empty());
    std::string many = "SET";
    for (int i = 0; i < 101; i++) many += " (personal (MailboxName))";
    CHECK(refusal(many) == "too many groups of events");
    many = "SET (mailboxes (";
    for (int i = 0; i < 1001; i++) many += "a ";
    many.back() = ')';
    CHECK(refusal(many + " (MailboxName))") == "too many mailboxes");
}

TEST_CASE("mailboxes that a filter means") {
    using Kind = MailboxFilter::Kind;
    MailboxFilter subtree{Kind::subtree, {"a/b"}};
    CHECK(matches(subtree, "a/b", false));
    CHECK(matches(subtree, "a/b/c/d", false));
    CHECK_FALSE(matches(subtree, "a/bc", false));
    CHECK_FALSE(matches(subtree, "a", false));
    MailboxFilter one{Kind::subtree_one, {"a"}};
    CHECK(matches(one, "a/b", false));
    CHECK_FALSE(matches(one, "a/b/c", false));
    MailboxFilter named{Kind::mailboxes, {"x*", "y"}};
    CHECK(matches(named, "x*", false));
    CHECK_FALSE(matches(named, "xy", false));  // RFC 5465 6.6: no wildcards
    CHECK(matches({Kind::subscribed, {}}, "z", true));
    CHECK_FALSE(matches({Kind::subscribed, {}}, "z", false));
    CHECK(matches({Kind::inboxes, {}}, "z", false));
    CHECK_FALSE(matches({Kind::selected, {}}, "z", true));
}

TEST_CASE("what differs of the messages of mailboxes") {
    auto w =
        watch("(mailboxes (a b) (MessageNew MessageExpunge)) (mailboxes f (MessageNew MessageExpunge FlagChange))");
    MailboxWatch::Context plain;
    MailboxWatch::Context condstore{{}, true};
    REQUIRE(w.take_list({{mailbox(1, "a", 5, 4, 10), mailbox(2, "f", 5, 4, 10, 2), mailbox(3, "other")}, {}}, plain));
    CHECK_FALSE(w.watches({3}));
    auto a = "a:" + std::to_string(kCounts) + ' ';
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 6, 5, 11)}, plain)) == a);
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 6, 4, 12)}, plain)) == a);
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 7, 4, 13)}, plain)) == a);  // one came, one went
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 7, 4, 14)}, plain)).empty());
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 7, 4, 15)}, condstore)).empty());
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 8, 5, 16)}, condstore)) ==
          "a:" + std::to_string(kCounts | kStatusHighestModSeq) + ' ');
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 9, 6, 17)}, {{{1}}, false})).empty());  // it is selected
    CHECK(told(w.take_mailboxes({mailbox(3, "other", 2, 1, 17)}, plain)).empty());
    // RFC 5465 5.1
    CHECK(told(w.take_mailboxes({mailbox(2, "f", 5, 4, 18, 2)}, plain)).empty());
    CHECK(told(w.take_mailboxes({mailbox(2, "f", 5, 4, 19, 1)}, plain)) ==
          "f:" + std::to_string(kStatusUidValidity | kStatusUnseen) + ' ');
    CHECK(told(w.take_mailboxes({mailbox(2, "f", 5, 4, 20, 1)}, condstore)) ==
          "f:" + std::to_string(kStatusUidValidity | kStatusHighestModSeq) + ' ');
    auto anew = mailbox(2, "f", 5, 4, 21, 1);
    anew.uidvalidity = 7;
    CHECK(told(w.take_mailboxes({anew}, plain)) == "f:" + std::to_string(kCounts) + ' ');
    // its own doing, and what another did at the same time
    w.note_added({1}, {8, 9});
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 10, 7, 22)}, plain)).empty());
    w.note_added({1}, {10, 10});
    CHECK(told(w.take_mailboxes({mailbox(1, "a", 12, 9, 23)}, plain)) == a);
}

TEST_CASE("what differs of the names of mailboxes") {
    auto w = watch("(personal (MailboxName SubscriptionChange))");
    MailboxWatch::Context plain;
    auto take = [&](std::vector<proto::Mailbox> boxes, std::vector<std::string> subscribed) {
        auto news = w.take_list({std::move(boxes), std::move(subscribed)}, plain);
        REQUIRE(news);
        return told(*news);
    };
    auto inbox = mailbox(1, "INBOX");
    CHECK(take({inbox}, {}).empty());
    CHECK(take({inbox, mailbox(2, "a")}, {"a"}) == "a ");
    CHECK(take({inbox, mailbox(2, "a"), mailbox(3, "a/b"), mailbox(4, "a/b/c")}, {"a"}) == "a a/b a/b/c ");
    // RFC 5465 5.4: children move along without a word
    CHECK(take({inbox, mailbox(2, "z"), mailbox(3, "z/b"), mailbox(4, "z/b/c")}, {"a"}) == "z<a ");
    CHECK(take({inbox, mailbox(2, "z"), mailbox(3, "z/b"), mailbox(4, "z/b/d")}, {"a"}) == "z/b/d<z/b/c ");
    CHECK(take({inbox, mailbox(2, "z"), mailbox(3, "z/b")}, {"a", "nowhere"}) == "nowhere z/b z/b/d ");
    CHECK(take({inbox, mailbox(2, "z"), mailbox(3, "z/b")}, {}) == "a nowhere ");
    w.note_created({mailbox(5, "mine")});
    CHECK(take({inbox, mailbox(2, "z"), mailbox(3, "z/b"), mailbox(5, "mine")}, {"mine"}).empty());
    w.note_renamed("z", "y");
    CHECK(take({inbox, mailbox(2, "y"), mailbox(3, "y/b"), mailbox(5, "mine")}, {"mine"}).empty());
    w.note_subscription("mine", proto::Subscription::unsubscribe);
    w.note_deleted("y/b");
    CHECK(take({inbox, mailbox(2, "y"), mailbox(5, "mine")}, {}).empty());
    // what another session did to the same name is told all the same
    w.note_created({mailbox(6, "short")});
    CHECK(take({inbox, mailbox(2, "y"), mailbox(5, "mine")}, {}) == "short ");

    // RFC 5465 5.4: INBOX stays when it is renamed
    w.note_inbox_renamed("short", MailboxWatch::By::another);
    w.note_inbox_renamed("own", MailboxWatch::By::client);
    CHECK(take({inbox, mailbox(2, "y"), mailbox(5, "mine"), mailbox(7, "short"), mailbox(8, "own")}, {}) ==
          "short<INBOX ");

    auto part = watch("(subtree s (MailboxName)) (subscribed (MessageNew MessageExpunge))");
    REQUIRE(part.take_list({{mailbox(1, "s"), mailbox(2, "t")}, {}}, plain));
    CHECK(told(*part.take_list({{mailbox(1, "s"), mailbox(2, "t"), mailbox(3, "t/x")}, {}}, plain)).empty());
    CHECK(told(*part.take_list({{mailbox(1, "s"), mailbox(2, "s/t"), mailbox(3, "s/t/x")}, {"s"}}, plain)) == "s/t<t ");
    CHECK(part.watches({1}));  // RFC 5465 6.4: subscribed meanwhile
    CHECK_FALSE(part.watches({2}));
    std::vector<std::string> many(kMaxWatched + 1, "n");
    CHECK_FALSE(part.take_list({{}, many}, plain));
}

TEST_CASE("new messages of the selected mailbox are told between commands") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, kMail);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client
              .ok("NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From Subject)]) MessageExpunge "
                  "FlagChange))")
              .empty());
    world.store.add(box, kMail);
    CHECK(client.line() == "* 2 EXISTS");
    CHECK(client.line() ==
          "* 2 FETCH (UID 2 BODY[HEADER.FIELDS (From Subject)] {33}\r\nFrom: a@x.example\r\nSubject: s\r\n\r\n)");
    world.store.remove(box, 2);
    CHECK(client.line() == "* 2 EXPUNGE");
    CHECK(client.ok("NOOP").empty());
    // RFC 5465 5.2: no FETCH of what the client added itself
    auto lines = client.ok("APPEND INBOX {6+}\r\na: b\r\n");
    CHECK(lines == Lines{"* 2 EXISTS"});
    lines = client.ok("UID COPY 1 INBOX");
    CHECK(lines == Lines{"* 3 EXISTS"});
}

TEST_CASE("flags of the selected mailbox are told between commands") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, kMail);
    auto client = world.login();
    auto other = world.login();
    client.ok("SELECT INBOX");
    other.ok("SELECT INBOX");
    client.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))");
    other.ok("STORE 1 +FLAGS ($Junk)");
    CHECK(client.line() == "* 1 FETCH (UID 1 FLAGS ($Junk))");  // RFC 5465 5.1
    client.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))");
    other.ok("STORE 1 +FLAGS (\\Seen)");
    world.settle();
    CHECK(client.ok("NOOP").empty());
    // RFC 5465 3.1: what was withheld comes with the next NOTIFY
    CHECK(client.ok("NOTIFY SET (SELECTED NONE)") == Lines{"* 1 FETCH (UID 1 FLAGS (\\Seen $Junk))"});
    other.ok("STORE 1 +FLAGS (\\Deleted)");
    other.ok("APPEND INBOX {6+}\r\na: b\r\n");
    other.ok("EXPUNGE");
    world.settle();
    CHECK(client.ok("NOOP").empty());
    CHECK(client.ok("NOTIFY NONE").empty());
    CHECK(client.ok("CHECK").empty());
    CHECK(client.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge))") == Lines{"* 1 EXPUNGE", "* 1 EXISTS"});
}

TEST_CASE("its own changes are told to a client that wants to hear nothing") {
    World world;
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 3; i++) world.store.add(box, kMail);
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("NOTIFY NONE");
    CHECK(client.ok("STORE 2 +FLAGS (\\Deleted)") == Lines{"* 2 FETCH (FLAGS (\\Deleted))"});
    CHECK(client.ok("EXPUNGE") == Lines{"* 2 EXPUNGE"});
    CHECK(client.ok("APPEND INBOX {6+}\r\na: b\r\n") == Lines{"* 3 EXISTS"});
    world.store.remove(box, 1);
    world.settle();
    CHECK(client.ok("NOOP").empty());
}

TEST_CASE("SELECTED-DELAYED waits with EXPUNGE") {
    World world;
    auto& box = *world.store.find("INBOX");
    for (int i = 0; i < 2; i++) world.store.add(box, kMail);
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("NOTIFY SET (SELECTED-DELAYED (MessageNew (UID) MessageExpunge))");
    world.store.remove(box, 1);
    world.store.add(box, kMail);
    CHECK(client.line() == "* 3 EXISTS");
    CHECK(client.line() == "* 3 FETCH (UID 3)");
    CHECK(client.ok("FETCH 2 (UID)") == Lines{"* 2 FETCH (UID 2)"});
    CHECK(client.ok("NOOP") == Lines{"* 1 EXPUNGE"});
    client.write("i IDLE\r\n");
    CHECK(client.line() == "+ idling");
    world.store.remove(box, 2);
    CHECK(client.line() == "* 1 EXPUNGE");
    client.write("DONE\r\n");
    CHECK(client.line() == "i OK idled");
}

TEST_CASE("messages of other mailboxes are told with STATUS") {
    World world;
    auto& lemonade = world.store.make("Lists/Lemonade");
    world.store.make("Lists/Im2000");
    auto& misc = world.store.make("misc");
    world.store.add(lemonade, kMail);
    auto client = world.login();
    // RFC 5465 3.1, with the parentheses and the pairs of events that its grammar wants
    CHECK(client.ok("notify set status (selected (MessageNew (uid body.peek[header.fields (from to subject)]) "
                    "MessageExpunge)) (subtree Lists (MessageNew MessageExpunge))") ==
          Lines{"* STATUS Lists/Im2000 (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1003)",
                "* STATUS Lists/Lemonade (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1002)"});
    client.ok("SELECT INBOX");
    world.store.add(lemonade, kMail);
    CHECK(client.line() == "* STATUS Lists/Lemonade (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1002)");
    world.store.add(misc, kMail);
    world.settle();
    CHECK(client.ok("NOOP").empty());
    client.ok("NOTIFY SET (selected (MessageNew MessageExpunge)) (mailboxes misc (MessageNew MessageExpunge))");
    world.store.remove(misc, 1);
    CHECK(client.line() == "* STATUS misc (MESSAGES 0 UIDNEXT 2 UIDVALIDITY 1004)");
    client.ok("ENABLE CONDSTORE");
    world.store.add(misc, kMail);
    CHECK(client.line().starts_with("* STATUS misc (MESSAGES 1 UIDNEXT 3 UIDVALIDITY 1004 HIGHESTMODSEQ "));
    // the selected mailbox is SELECTED's alone, and known as it was told when it is left
    client.ok("SELECT misc");
    world.store.add(misc, kMail);
    CHECK(client.line() == "* 2 EXISTS");
    CHECK(client.ok("UNSELECT").empty());
    world.settle();
    CHECK(client.ok("NOOP").empty());
    client.ok("APPEND misc {6+}\r\na: b\r\n");
    world.settle();
    CHECK(client.ok("NOOP").empty());
    world.store.add(misc, kMail);
    CHECK(client.line().starts_with("* STATUS misc (MESSAGES 4 UIDNEXT 6 "));
}

TEST_CASE("names of mailboxes are told with LIST") {
    World world;
    world.store.subscribe_created = true;
    auto client = world.login();
    auto other = world.login();
    client.ok("NOTIFY SET (personal (MailboxName SubscriptionChange))");
    other.ok("CREATE NewMailbox");
    CHECK(client.line() == R"(* LIST (\Subscribed \HasNoChildren) "/" NewMailbox)");
    other.ok("CREATE NewMailbox/below");
    CHECK(client.line() == R"(* LIST (\Subscribed \HasChildren) "/" NewMailbox)");
    CHECK(client.line() == R"(* LIST (\Subscribed \HasNoChildren) "/" NewMailbox/below)");
    other.ok("RENAME NewMailbox Moved");
    CHECK(client.line() == R"(* LIST (\HasChildren) "/" Moved ("OLDNAME" (NewMailbox)))");
    other.ok("UNSUBSCRIBE NewMailbox");
    CHECK(client.line() == R"(* LIST (\NonExistent \HasNoChildren) "/" NewMailbox)");
    other.ok("DELETE Moved/below");
    CHECK(client.line() == R"(* LIST (\HasNoChildren) "/" Moved)");
    CHECK(client.line() == R"(* LIST (\NonExistent \HasNoChildren) "/" Moved/below)");
    // RFC 5465 5: not what the client did itself
    client.ok("CREATE mine");
    client.ok("SUBSCRIBE Moved");
    client.ok("RENAME mine ours");
    client.ok("DELETE ours");
    world.settle();
    CHECK(client.ok("NOOP").empty());
}

TEST_CASE("annotations are told by their names") {
    World world;
    world.store.make("box");
    auto client = world.login();
    auto other = world.login();
    client.ok("NOTIFY SET (mailboxes box (MailboxMetadataChange)) (personal (ServerMetadataChange))");
    other.ok("SETMETADATA box (/shared/comment \"x\" /private/comment NIL)");
    CHECK(client.line() == "* METADATA box /private/comment /shared/comment");
    other.ok("SETMETADATA INBOX (/shared/comment \"x\")");
    other.ok("SETMETADATA \"\" (/shared/comment \"x\")");
    CHECK(client.line() == "* METADATA \"\" /shared/comment");
    client.ok("SETMETADATA box (/shared/comment \"y\")");
    world.settle();
    CHECK(client.ok("NOOP").empty());
    for (int i = 0; i < 1001; i++) {
        world.sessions[0]->account().touch_metadata("box", {"/private/n" + std::to_string(i)}, nullptr);
    }
    CHECK(client.line().starts_with("* OK [NOTIFICATIONOVERFLOW]"));
    other.ok("SETMETADATA box (/shared/comment \"z\")");
    world.settle();
    CHECK(client.ok("NOOP").empty());
}

TEST_CASE("what NOTIFY refuses") {
    World world;
    auto client = world.login();
    for (std::string_view event : {"FutureEvent", "MessageNew MessageExpunge AnnotationChange"}) {
        auto answer = client.answer("NOTIFY SET (personal (" + std::string(event) + "))");
        CHECK(
            answer.starts_with("NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
                               "MailboxMetadataChange ServerMetadataChange)] "));
    }
    CHECK(client.answer("NOTIFY SET (personal (MessageNew))").starts_with("BAD"));
    for (size_t i = 0; i < kMaxWatched; i++) world.store.subscribed.push_back("n" + std::to_string(i));
    CHECK(client.answer("NOTIFY SET (personal (MailboxName))").starts_with("NO [NOTIFICATIONOVERFLOW]"));
    CHECK(client.answer("NOTIFY SET (selected (MessageNew MessageExpunge))").starts_with("OK"));
    world.store.subscribed.resize(10);
    client.ok("NOTIFY SET (personal (MailboxName))");
    for (size_t i = 0; i < kMaxWatched; i++) world.store.subscribed.push_back("n" + std::to_string(i));
    world.store.list_changed();
    CHECK(client.line().starts_with("* OK [NOTIFICATIONOVERFLOW]"));
}

TEST_CASE("NOTIFY where message numbers are given up") {
    World world;
    auto& box = *world.store.find("INBOX");
    world.store.add(box, kMail);
    auto client = world.login();
    client.ok("ENABLE UIDONLY");
    client.ok("SELECT INBOX");
    client.ok("NOTIFY SET (SELECTED (MessageNew (FLAGS) MessageExpunge FlagChange))");
    world.store.add(box, kMail, proto::kFlagged);
    CHECK(client.line() == "* 2 EXISTS");
    CHECK(client.line() == "* 2 UIDFETCH (FLAGS (\\Flagged))");
    world.store.remove(box, 1);
    CHECK(client.line() == "* VANISHED 1");
}

TEST_CASE("news and commands of a client at the same time") {
    World world;
    auto& box = *world.store.find("INBOX");
    auto client = world.login();
    client.ok("SELECT INBOX");
    client.ok("NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))");
    size_t seen = 0;
    for (int i = 0; i < 50; i++) {
        world.store.add(box, kMail);
        client.write("x" + std::to_string(i) + " NO");
        if (i % 3 == 0) world.settle();
        client.write("OP\r\n");
        for (auto& line : client.until("x" + std::to_string(i))) seen += line.find(" FETCH (UID ") != std::string::npos;
    }
    CHECK(seen == 50);
    // storaged does not answer for a while
    world.store.fail_changes = true;
    world.store.add(box, kMail);
    world.settle();
    world.store.fail_changes = false;
    CHECK(client.ok("NOOP") == Lines{"* 51 EXISTS", "* 51 FETCH (UID 51)"});
    client.write("z LOGOUT\r\n");
    CHECK(client.until("z").back() == "z OK logged out");
}
