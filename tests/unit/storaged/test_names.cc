#include "storaged/names.h"
#include "tests/unit/catch.h"

using namespace mox::storaged;

TEST_CASE("mailbox names: what is allowed, and INBOX in any case") {
    struct Case {
        std::string name;
        std::string canonical;  // empty: refused
    };
    const Case cases[] = {
        {"INBOX", "INBOX"},
        {"inbox", "INBOX"},
        {"iNbOx/Sub", "INBOX/Sub"},
        {"Inboxes", "Inboxes"},
        {"a/inbox", "a/inbox"},
        {"Entwürfe/日本", "Entwürfe/日本"},
        {"a&b *%", "a&b *%"},
        {"", ""},
        {"/a", ""},
        {"a/", ""},
        {"a//b", ""},
        {"a/../b", ""},
        {".", ""},
        {"..a", "..a"},
        {"#news", ""},
        {"a\nb", ""},
        {"a\x7f", ""},
        {"a\xc2\x85", ""},      // U+0085
        {"a\xe2\x80\xa8", ""},  // U+2028
        {"a\xff", ""},          // not UTF-8
        {std::string("a\0b", 3), ""},
        {std::string(255, 'a'), std::string(255, 'a')},
        {std::string(256, 'a'), ""},
    };
    for (const Case& c : cases) {
        auto canonical = canonical_mailbox_name(c.name);
        CAPTURE(c.name);
        CHECK(canonical.has_value() == !c.canonical.empty());
        if (canonical) CHECK(*canonical == c.canonical);
    }
    std::string deep = "a";
    for (size_t i = 1; i < kMaxMailboxDepth; i++) deep += "/a";
    CHECK(canonical_mailbox_name(deep));
    CHECK_FALSE(canonical_mailbox_name(deep + "/a"));
}

TEST_CASE("the mailboxes above a mailbox") {
    CHECK(parents_of("a").empty());
    CHECK(parents_of("a/b/c") == std::vector<std::string>{"a", "a/b"});
}

TEST_CASE("keywords are atoms") {
    CHECK(is_keyword("$Label1"));
    CHECK(is_keyword("a+b"));
    for (const char* bad : {"", "a b", "\\Seen", "a]", "a(b", "a\"", "a*", "\xc3\xa4", "a\r"})
        CHECK_FALSE(is_keyword(bad));
    CHECK_FALSE(is_keyword(std::string(101, 'a')));
}

TEST_CASE("account names are names of directories") {
    CHECK(is_account_name("alice"));
    CHECK(is_account_name("alice@example.org"));
    for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a\nb", "\xff"}) CHECK_FALSE(is_account_name(bad));
}
