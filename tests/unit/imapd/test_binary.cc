// BINARY and BINARY.SIZE (RFC 3516 4.2, RFC 9051 6.4.5): parts with their transfer encoding undone.
#include "imapd/worker/decoded_part.h"
#include "tests/unit/imapd/harness.h"

using namespace mox;
using namespace mox::imapd;
using namespace mox::imapd::fake;

namespace {

const std::string kMixed =
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhay=\r\nstack =3D\r\n"
    "--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n"
    "--b\r\nContent-Type: application/y\r\nContent-Transfer-Encoding: x-own\r\n\r\n????\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n";

}  // namespace

TEST_CASE("parts decoded") {
    World world;
    world.store.add(*world.store.find("INBOX"), kMixed);
    auto client = world.login();
    client.ok("SELECT INBOX");
    CHECK(client.ok("FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])") ==
          Lines{"* 1 FETCH (BINARY[1] {10}\r\nhaystack = BINARY.SIZE[1] 10)"});
    CHECK(client.ok("FETCH 1 (BINARY.PEEK[2])") ==
          Lines{"* 1 FETCH (BINARY[2] ~{4}\r\n" + std::string("\0\1\2\3", 4) + ")"});
    CHECK(client.ok("FETCH 1 (BINARY.PEEK[1]<3.5>)") == Lines{"* 1 FETCH (BINARY[1]<3> {5}\r\nstack)"});
    CHECK(client.ok("FETCH 1 (BINARY.PEEK[1]<99.5>)") == Lines{"* 1 FETCH (BINARY[1]<99> {0}\r\n)"});
    CHECK(client.ok("FETCH 1 (BINARY.PEEK[4])") == Lines{"* 1 FETCH (BINARY[4] {5}\r\nplain)"});
    CHECK(client.ok("FETCH 1 (BINARY.SIZE[])") ==
          Lines{"* 1 FETCH (BINARY.SIZE[] " + std::to_string(kMixed.size()) + ")"});
    CHECK(client.ok("FETCH 1 (BINARY.PEEK[9])") == Lines{"* 1 FETCH (BINARY[9] NIL)"});
    CHECK(client.command("FETCH 1 (BINARY.PEEK[3])") ==
          Lines{"* 1 FETCH (BINARY[3] NIL)", "NO [UNKNOWN-CTE] a part cannot be decoded"});
    CHECK(world.store.find("INBOX")->messages[0].row.flags == 0);
    CHECK(client.ok("FETCH 1 (BINARY[4])").front().starts_with("* 1 FETCH (FLAGS (\\Seen) BINARY[4] {5}"));
    for (std::string_view text : {"BINARY[TEXT]", "BINARY[1.MIME]", "BINARY.SIZE[1]<0.5>", "BINARY[0]"})
        CHECK(client.answer("FETCH 1 (" + std::string(text) + ")").starts_with("BAD"));
}

TEST_CASE("a large part is decoded in pieces") {
    World world;
    std::string encoded;
    for (int i = 0; i < 4000; i++)
        encoded += "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5\r\n";
    world.store.add(*world.store.find("INBOX"),
                    "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded);
    auto client = world.login();
    client.ok("EXAMINE INBOX");
    auto line = client.ok("FETCH 1 (BINARY[1])").front();
    CHECK(line.starts_with("* 1 FETCH (BINARY[1] {204000}\r\nabcdefghijklmnopqrstuvwxyzabc"));
    CHECK(line.size() == 204000 + std::string_view("* 1 FETCH (BINARY[1] {204000}\r\n)").size());
    line = client.ok("FETCH 1 (BINARY[1]<203998.100>)").front();
    CHECK(line == "* 1 FETCH (BINARY[1]<203998> {2}\r\nxy)");
}
