// Learning the words of junk: read and said when storaged tells of it, behind whatever clients do.
#include "common/mail/junk_words.h"
#include "common/mail/words.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

TEST_CASE("messages are learned when storaged says so") {
    World world;
    auto& box = inbox(world, 1);
    for (int i = 0; i < 20; i++) world.store.add(box, "Subject: cheap watches\r\n\r\nbuy number" + std::to_string(i));
    auto client = world.login();
    for (size_t i = 0; i < box.messages.size(); i++)
        world.store.want_learned(box, i, i == 0 ? proto::JunkClass::not_junk : proto::JunkClass::junk);
    client.ok("NOOP");
    world.settle();
    REQUIRE(world.store.learned.size() == 21);
    for (size_t i = 0; i < 21; i++) {
        const auto& learned = world.store.learned[i];
        CHECK(learned.content == box.messages[i].id.number);
        CHECK(learned.was == proto::JunkClass::none);
        CHECK(learned.wanted == (i == 0 ? proto::JunkClass::not_junk : proto::JunkClass::junk));
        auto message = box.messages[i];
        message.prefix.clear();
        CHECK(learned.words == mail::junk_words(Store::words_of(message)));
    }
    CHECK(world.store.learned[1].words.size() == 4);
}
