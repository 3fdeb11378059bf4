#include "common/config/edit.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/config/helpers.h"

using namespace mox;
using namespace mox::config;

namespace {

const std::string kText = R"(# Head of the file.

# The first domain.
domain "a.example" {   # old
    description "x"
} # end of a

domain b.example

# Alice is the boss.
account alice {
    # her own
    address "alice@a.example",   # at work
            "al@b.example"       # at home
    address "*@a.example"
    quota 1G   # enough
}

# Bob.
account bob { address bob@a.example; quota 2G }
account carl

# The end.
)";

std::string edited(const Result<std::string>& result) {
    return result ? *result : "error: " + result.error().text;
}

/// `text` with one part replaced.
std::string with(std::string text, std::string_view from, std::string_view to) {
    size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("adding leaves every other byte as it was") {
    CHECK(edited(add_domain(kText, {.name = "C.example"})) ==
          with(kText, "domain b.example\n", "domain b.example\ndomain \"c.example\"\n"));
    CHECK(edited(add_domain(kText, {.name = "c.example", .disabled = true})) ==
          with(kText, "domain b.example\n", "domain b.example\n\ndomain \"c.example\" {\n    disabled yes\n}\n"));
    CHECK(edited(add_account(kText, {.name = "dora", .addresses = {{"dora", "b.example"}}})) ==
          with(kText, "account carl\n", "account carl\n\naccount \"dora\" {\n    address \"dora@b.example\"\n}\n"));
    CHECK(
        edited(add_address(kText, "alice", {"boss", "B.example"})) ==
        with(kText, "    address \"*@a.example\"\n", "    address \"*@a.example\"\n    address \"boss@b.example\"\n"));
    CHECK(
        edited(add_address(kText, "bob", {"b", "b.example", "Lists"})) ==
        with(kText, "address bob@a.example;", "address bob@a.example; address \"b@b.example\" { mailbox \"Lists\" };"));
    CHECK(edited(add_address(kText, "carl", {"carl", "b.example"})) ==
          with(kText, "account carl\n", "account carl {\n    address \"carl@b.example\"\n}\n"));
}

TEST_CASE("adding works in files of all forms") {
    CHECK(edited(add_domain("", {.name = "a.b"})) == "domain \"a.b\"\n");
    CHECK(edited(add_domain("# c", {.name = "a.b"})) == "# c\n\ndomain \"a.b\"\n");
    CHECK(edited(add_domain("account x", {.name = "a.b"})) == "account x\n\ndomain \"a.b\"\n");
    CHECK(edited(add_domain("domain x.y", {.name = "a.b"})) == "domain x.y\ndomain \"a.b\"\n");
    CHECK(edited(add_domain("domain x.y; account z\n", {.name = "a.b"})) ==
          "domain x.y; account z\n\ndomain \"a.b\"\n");
    CHECK(edited(add_account("account x { quota 1G }\naccount y {\n}\n# c\n", {.name = "z", .full_name = "Z"})) ==
          "account x { quota 1G }\naccount y {\n}\n\naccount \"z\" {\n    full-name \"Z\"\n}\n\n# c\n");
    struct Row {
        std::string_view before, after;
    };
    const Row rows[] = {
        {"account x {}", "account x { address \"q@a.b\";}"},
        {"account x { }", "account x { address \"q@a.b\"; }"},
        {"account x {\n}", "account x {\n    address \"q@a.b\"\n}"},
        {"account x { # c\n  quota 1G\n}", "account x { # c\n    address \"q@a.b\"\n  quota 1G\n}"},
        {"account x { address r@a.b }", "account x { address r@a.b; address \"q@a.b\" }"},
        {"account x { address r@a.b }\n", "account x { address r@a.b; address \"q@a.b\" }\n"},
        {"account x {\n\taddress r@a.b { mailbox L }; # c\n}",
         "account x {\n\taddress r@a.b { mailbox L }; # c\n\taddress \"q@a.b\"\n}"},
        {"account x; account y", "account x {\n    address \"q@a.b\"\n}; account y"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.before);
        CHECK(edited(add_address(row.before, "x", {"q", "a.b"})) == row.after);
    }
}

TEST_CASE("removing takes the comments of what is removed, and no others") {
    CHECK(edited(remove_account(kText, "bob")) ==
          with(kText, "# Bob.\naccount bob { address bob@a.example; quota 2G }\n", ""));
    CHECK(edited(remove_account(kText, "carl")) == with(kText, "account carl\n", ""));
    CHECK(edited(remove_domain(kText, "B.example")) ==
          with(with(kText, "domain b.example\n\n", ""),
               "\"alice@a.example\",   # at work\n            \"al@b.example\"       # at home\n",
               "\"alice@a.example\"   # at work\n"));
    std::string without_a = edited(remove_domain(kText, "a.example"));
    CHECK(without_a == R"(# Head of the file.

domain b.example

# Alice is the boss.
account alice {
    # her own
    address "al@b.example"       # at home
    quota 1G   # enough
}

# Bob.
account bob { quota 2G }
account carl

# The end.
)");
}

TEST_CASE("addresses are removed from lists of all forms") {
    struct Row {
        std::string_view before, after;
    };
    const Row rows[] = {
        {"account x { address q@a.b }", "account x { }"},
        {"account x { address q@a.b; quota 1G }", "account x { quota 1G }"},
        {"account x { quota 1G; address q@a.b }", "account x { quota 1G; }"},
        {"account x {\n    address q@a.b # c\n}\n", "account x {\n}\n"},
        {"account x {\n    quota 1G; address q@a.b\n}\n", "account x {\n    quota 1G;\n}\n"},
        {"account x { address q@a.b, r@a.b }", "account x { address r@a.b }"},
        {"account x { address r@a.b, q@a.b }", "account x { address r@a.b }"},
        {"account x { address r@a.b, q@a.b, s@a.b }", "account x { address r@a.b, s@a.b }"},
        {"account x { address r@a.b, q@a.b { mailbox L } }", "account x { address r@a.b { mailbox L } }"},
        {"account x {\n address r@a.b, # r\n  q@a.b, # q\n  s@a.b # s\n}",
         "account x {\n address r@a.b, # r\n  s@a.b # s\n}"},
        {"account x {\n address r@a.b, # r\n  q@a.b # q\n}", "account x {\n address r@a.b # r\n}"},
        {"account x {\n address r@a.b, # r\n  q@a.b { mailbox L } # q\n}",
         "account x {\n address r@a.b { mailbox L } # q\n}"},
        {"account x {\n address r@a.b, # r\n  q@a.b; quota 1G\n}", "account x {\n address r@a.b # r\n  ; quota 1G\n}"},
        {"account x {\n address q@a.b, # q\n  r@a.b # r\n}", "account x {\n address r@a.b # r\n}"},
    };
    std::string domain = "\ndomain a.b";
    for (const Row& row : rows) {
        CAPTURE(row.before);
        std::string result = edited(remove_address(std::string(row.before) + domain, "Q+x@A.B"));
        CHECK(result == std::string(row.after) + domain);
        auto again = parse_domains(result, "d");
        CHECK(again.has_value());
    }
}

TEST_CASE("a domain's addresses are removed wherever they stand in a list") {
    std::string text =
        "domain a.b\ndomain c.d\naccount x {\n address 1@c.d, # 1\n  2@c.d,\n  3@a.b, # 3\n  4@c.d,\n"
        "  5@a.b, # 5\n  6@c.d, # 6\n  7@c.d # 7\n}\n";
    CHECK(edited(remove_domain(text, "c.d")) == "domain a.b\naccount x {\n address 3@a.b, # 3\n  5@a.b # 5\n}\n");
}

TEST_CASE("changes that cannot be made are refused with the reason") {
    struct Row {
        Result<std::string> result;
        ErrorCode code;
        std::string text;
    };
    const Row rows[] = {
        {add_domain(kText, {.name = "A.EXAMPLE"}), ErrorCode::exists, "the domain a.example exists already"},
        {add_domain(kText, {.name = "a b"}), ErrorCode::bad_request, "'a b' is not a domain name"},
        {add_domain(kText, {.name = "c.example", .description = "two\nlines"}), ErrorCode::bad_request,
         "domains.conf:11:17: a string without an end, expected a closing '\"' in the same line"},
        {remove_domain(kText, "c.example"), ErrorCode::not_found, "there is no domain 'c.example'"},
        {add_account(kText, {.name = "bob"}), ErrorCode::exists, "the account 'bob' exists already"},
        {add_account(kText, {.name = "new", .addresses = {{"ALICE", "a.example"}}}), ErrorCode::exists,
         "the address ALICE@a.example exists already"},
        {add_account(kText, {.name = "../x"}), ErrorCode::bad_request,
         "domains.conf:22:9: '../x' is not a name, expected 1 to 64 of the characters a-z A-Z 0-9 . _ -, not beginning "
         "with '.' or '-'"},
        {remove_account(kText, "Bob"), ErrorCode::not_found, "there is no account 'Bob'"},
        {add_address(kText, "zoe", {"z", "a.example"}), ErrorCode::not_found, "there is no account 'zoe'"},
        {add_address(kText, "alice", {"BOB", "a.example"}), ErrorCode::exists,
         "the address exists already, it belongs to the account 'bob'"},
        {remove_address(kText, "zoe@a.example"), ErrorCode::not_found, "there is no address 'zoe@a.example'"},
        {remove_address(kText, "zoe"), ErrorCode::not_found, "there is no address 'zoe'"},
        {remove_account("acount x", "x"), ErrorCode::bad_request,
         "domains.conf:1:1: unknown keyword 'acount'; did you mean 'account'?, expected domain, account, transport, "
         "expire or "
         "route"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        REQUIRE_FALSE(row.result.has_value());
        CHECK(row.result.error().code == row.code);
        CHECK(row.result.error().text == row.text);
        CHECK_FALSE(row.result.error().is_temporary());
    }
}

TEST_CASE("what was added can be removed, and then the file is as before") {
    auto one = add_domain(kText, {.name = "c.example"});
    REQUIRE(one);
    CHECK(edited(remove_domain(*one, "c.example")) == kText);
    auto two = add_account(kText, {.name = "dora", .full_name = "Dora"});
    REQUIRE(two);
    auto parsed = parse_domains(*two, "d");
    REQUIRE(parsed);
    CHECK(parsed->accounts.back().full_name == "Dora");
    CHECK(edited(remove_account(*two, "dora")) == kText);
    auto three = add_address(kText, "alice", {"x", "b.example"});
    REQUIRE(three);
    CHECK(edited(remove_address(*three, "x@b.example")) == kText);
}
