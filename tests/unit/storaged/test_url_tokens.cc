// Tokens of URLs (RFC 4467): what they open, for whom, until when, and what not.
#include <ctime>

#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;

namespace {

struct Urls : private TemporaryDirectory, public World {
    std::unique_ptr<Client> alice, bob, relay;
    Urls() {
        accounts = {{.name = "alice", .quota = 0, .expiries = {}, .addresses = {"alice@example.org"}},
                    {.name = "bob", .quota = 0, .expiries = {}, .addresses = {"bob@elsewhere.example"}},
                    {.name = "relay",
                     .quota = 0,
                     .expiries = {},
                     .addresses = {},
                     .submission_server = proto::SubmissionServer::yes}};
        configure();
        alice = open("alice");
        bob = open("bob");
        relay = open("relay");
        REQUIRE(call(*alice, proto::CreateMailbox{"box", 0}));
        REQUIRE_FALSE(deliver("alice", "box", "first"));
        REQUIRE_FALSE(deliver("alice", "box", "second"));
    }
    static proto::AuthorizedUrl url() {
        proto::AuthorizedUrl url{};
        url.user = "alice@example.org";
        url.host = "mail.example.org";
        url.mailbox = "box";
        url.uid = {1};
        url.section = "1.2";
        url.access = proto::UrlAccess::authuser;
        return url;
    }
    std::string token(const proto::AuthorizedUrl& url) {
        auto made = call(*alice, proto::MakeUrlToken{url});
        REQUIRE(made);
        return made->token;
    }
    /// The text of what it opens; empty for nothing.
    std::string opened(Client& client, const proto::AuthorizedUrl& url, const std::string& token) {
        auto files = call(client, proto::OpenUrl{url, token});
        if (files) {
            REQUIRE(files->messages.size() == 1);
            return text_of(files->messages[0]);
        }
        CHECK(files.error().code == ErrorCode::not_found);
        CHECK(files.error().text == "the URL leads to no message that this account may fetch");
        return "";
    }
};

}  // namespace

TEST_CASE("a token opens its message to another account, and nothing else") {
    Urls w;
    auto url = Urls::url();
    std::string token = w.token(url);
    CHECK(token.size() == 33);
    CHECK(w.token(url) == token);
    CHECK(w.opened(*w.bob, url, token) == "first");
    CHECK(w.opened(*w.alice, url, token) == "first");
    // Whatever it says otherwise.
    using Change = void (*)(proto::AuthorizedUrl&);
    const Change changes[] = {
        [](auto& u) { u.uid = {2}; },
        [](auto& u) { u.user = "alice"; },
        [](auto& u) { u.user = "nobody"; },
        [](auto& u) { u.user = "bob"; },
        [](auto& u) { u.host = "other.example.org"; },
        [](auto& u) { u.mailbox = "INBOX"; },
        [](auto& u) { u.mailbox = "nowhere"; },
        [](auto& u) { u.mailbox = "#users/alice/box"; },
        [](auto& u) { u.uidvalidity = 1; },
        [](auto& u) { u.section = "1.1"; },
        [](auto& u) { u.section = ""; },
        [](auto& u) { u.partial = "0.1"; },
        [](auto& u) { u.expire = std::time(nullptr) + 1000; },
        [](auto& u) { u.access = proto::UrlAccess::anonymous; },
        [](auto& u) {
            u.access = proto::UrlAccess::user;
            u.access_user = "bob";
        },
    };
    for (auto change : changes) {
        auto other = url;
        change(other);
        CHECK(w.opened(*w.bob, other, token) == "");
    }
    for (size_t i = 0; i < token.size(); i++) {
        auto other = token;
        other[i] = static_cast<char>(other[i] ^ 1);
        CHECK(w.opened(*w.bob, url, other) == "");
    }
    for (std::string other : {std::string(), token.substr(0, 32), token + "x", std::string(33, '\1')})
        CHECK(w.opened(*w.bob, url, other) == "");
}

TEST_CASE("who may fetch a URL") {
    Urls w;
    auto with = [&](proto::UrlAccess access, std::string user) {
        auto url = Urls::url();
        url.access = access;
        url.access_user = std::move(user);
        return url;
    };
    auto opens = [&](Client& client, const proto::AuthorizedUrl& url) {
        return !w.opened(client, url, w.token(url)).empty();
    };
    using proto::UrlAccess;
    CHECK(opens(*w.bob, with(UrlAccess::anonymous, "")));
    CHECK(opens(*w.bob, with(UrlAccess::user, "bob")));
    CHECK(opens(*w.bob, with(UrlAccess::user, "Bob@Elsewhere.example")));
    CHECK_FALSE(opens(*w.bob, with(UrlAccess::user, "alice")));
    CHECK_FALSE(opens(*w.bob, with(UrlAccess::user, "nobody")));
    CHECK(opens(*w.alice, with(UrlAccess::user, "alice@example.org")));
    CHECK_FALSE(opens(*w.alice, with(UrlAccess::user, "bob")));
    CHECK(opens(*w.relay, with(UrlAccess::submit, "alice")));
    CHECK_FALSE(opens(*w.bob, with(UrlAccess::submit, "bob")));
    CHECK_FALSE(opens(*w.alice, with(UrlAccess::submit, "alice")));
    // That is moxd's word of now.
    auto url = with(UrlAccess::submit, "alice");
    std::string token = w.token(url);
    w.accounts.back().submission_server = proto::SubmissionServer::no;
    w.configure();
    CHECK(w.opened(*w.relay, url, token) == "");
}

TEST_CASE("URLs expire") {
    Urls w;
    auto url = Urls::url();
    url.expire = std::time(nullptr) + 1000;
    CHECK(w.opened(*w.bob, url, w.token(url)) == "first");
    url.expire = std::time(nullptr) - 2;
    CHECK(w.opened(*w.bob, url, w.token(url)) == "");
}

TEST_CASE("a token is void when the key, the mailbox, the message or the account is gone") {
    Urls w;
    auto url = Urls::url();
    std::string token = w.token(url);
    REQUIRE(w.call(*w.alice, proto::CreateMailbox{"other", 0}));
    REQUIRE(w.call(*w.alice, proto::ResetUrlKeys{"other"}));
    CHECK(error_of(w.call(*w.alice, proto::ResetUrlKeys{"nowhere"})).code == ErrorCode::not_found);
    CHECK(error_of(w.call(*w.alice, proto::ResetUrlKeys{"#users/alice/box"})).code != ErrorCode::internal);
    CHECK(w.opened(*w.bob, url, token) == "first");
    w.restart();
    w.alice = w.open("alice");
    w.bob = w.open("bob");
    CHECK(w.opened(*w.bob, url, token) == "first");
    SECTION("the key") {
        REQUIRE(w.call(*w.alice, proto::ResetUrlKeys{"box"}));
        CHECK(w.opened(*w.bob, url, token) == "");
        std::string again = w.token(url);
        CHECK(again != token);
        CHECK(w.opened(*w.bob, url, again) == "first");
        CHECK(w.opened(*w.bob, url, token) == "");
    }
    SECTION("all keys") {
        REQUIRE(w.call(*w.alice, proto::ResetUrlKeys{""}));
        CHECK(w.opened(*w.bob, url, token) == "");
    }
    SECTION("the mailbox, and another of its name") {
        REQUIRE(w.call(*w.alice, proto::DeleteMailbox{"box"}));
        CHECK(w.opened(*w.bob, url, token) == "");
        REQUIRE(w.call(*w.alice, proto::CreateMailbox{"box", 0}));
        REQUIRE_FALSE(w.deliver("alice", "box", "new"));
        CHECK(w.opened(*w.bob, url, token) == "");
        CHECK(w.opened(*w.bob, url, w.token(url)) == "new");
        CHECK(w.opened(*w.bob, url, token) == "");
    }
    SECTION("the name of the mailbox") {
        REQUIRE(w.call(*w.alice, proto::RenameMailbox{"box", "moved"}));
        CHECK(w.opened(*w.bob, url, token) == "");
        REQUIRE(w.call(*w.alice, proto::RenameMailbox{"moved", "box"}));
        CHECK(w.opened(*w.bob, url, token) == "first");
    }
    SECTION("the message") {
        auto id = w.call(*w.alice, proto::OpenMailbox{"box"})->mailbox.id;
        REQUIRE(w.call(*w.alice, proto::StoreFlags{id, {{1, 1}}, proto::StoreMode::add, proto::kDeleted, {}, {}}));
        REQUIRE(w.call(*w.alice, proto::Expunge{id, {{1, 1}}}));
        CHECK(w.opened(*w.bob, url, token) == "");
    }
    SECTION("the account") {
        w.accounts.erase(w.accounts.begin());
        w.configure();
        CHECK(w.opened(*w.bob, url, token) == "");
    }
}

TEST_CASE("only the owner makes tokens, and of URLs that are ones") {
    Urls w;
    auto refused = [&](Client& client, proto::AuthorizedUrl url) {
        return error_of(w.call(client, proto::MakeUrlToken{std::move(url)})).code;
    };
    CHECK(refused(*w.bob, Urls::url()) == ErrorCode::not_found);
    // Not of what is shared with it either.
    REQUIRE(w.call(*w.alice, proto::SetAcl{"box", "anyone", proto::AclChange::replace, proto::kAllRights}));
    CHECK(refused(*w.bob, Urls::url()) == ErrorCode::not_found);
    auto url = Urls::url();
    url.mailbox = "nowhere";
    CHECK(refused(*w.alice, url) == ErrorCode::not_found);
    url = Urls::url();
    url.uidvalidity = 1;
    CHECK(refused(*w.alice, url) == ErrorCode::not_found);
    url = Urls::url();
    url.uid = {0};
    CHECK(refused(*w.alice, url) == ErrorCode::bad_request);
    url = Urls::url();
    url.access = proto::UrlAccess::user;
    CHECK(refused(*w.alice, url) == ErrorCode::bad_request);
    url = Urls::url();
    url.access_user = "bob";
    CHECK(refused(*w.alice, url) == ErrorCode::bad_request);
    url = Urls::url();
    url.section.assign(proto::kMaxUrlText + 1, '1');
    CHECK(refused(*w.alice, url) == ErrorCode::bad_request);
}

TEST_CASE("what is refused is refused late, so that the reason takes no time of its own") {
    Urls w;
    std::string token = w.token(Urls::url());
    auto takes = [&](void (*change)(proto::AuthorizedUrl&), const std::string& with) {
        auto url = Urls::url();
        change(url);
        auto begin = async::Clock::now();
        CHECK(w.opened(*w.bob, url, with) == "");
        return async::Clock::now() - begin;
    };
    for (auto change :
         {+[](proto::AuthorizedUrl& u) { u.user = "nobody"; }, +[](proto::AuthorizedUrl& u) { u.mailbox = "nowhere"; },
          +[](proto::AuthorizedUrl& u) { u.uid = {2}; }}) {
        CHECK(takes(change, token) >= 100ms);
    }
    CHECK(takes([](proto::AuthorizedUrl&) {}, "x") >= 100ms);
}
