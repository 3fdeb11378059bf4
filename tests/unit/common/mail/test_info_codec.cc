#include "common/ipc/codec.h"
#include "common/mail/imap_text.h"
#include "common/mail/info_codec.h"
#include "common/mail/mime_parser.h"
#include "tests/unit/catch.h"

using namespace mox;
using namespace mox::mail;

namespace {

const std::string kInner =
    "From: inner@example.org\r\nSubject: inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ninner text\r\n";

const std::vector<std::string> kMessages = {
    "From: a@example.org\r\nTo: b@example.org\r\nSubject: plain\r\nReferences: <1@x> <2@x>\r\n\r\ntext\r\n",
    "From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
    "Content-Type: image/png; name=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n",
    "From: a@example.org\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" + kInner +
        "\r\n--b\r\n\r\n" + kInner + "\r\n--b--\r\n",
    "Content-Type: message/rfc822\r\n\r\n" + kInner,
    "",
};

std::string envelope_of(const MessageInfo& info) {
    std::string text;
    auto root = info.parts[0].envelope;
    append_envelope(text, root ? info.envelopes[*root] : Envelope{}, Utf8::forbidden);
    return text;
}

std::string structure_of(const MessageInfo& info) {
    std::string text;
    append_body(text, info, 0, BodyForm::bodystructure, Utf8::forbidden, ImapRevision::rev1);
    return text;
}

}  // namespace

TEST_CASE("what is wanted of a parse is the same without the rest") {
    for (const std::string& message : kMessages) {
        MessageInfo info = parse_message(message);
        std::string encoded = ipc::encode(info);
        CHECK(decode_info(encoded) == info);
        CHECK(envelope_of(decode_info(encoded, InfoNeeds::envelope)) == envelope_of(info));
        CHECK(decode_info(encoded, InfoNeeds::envelope).date == info.date);
        CHECK(structure_of(decode_info(encoded, InfoNeeds::structure)) == structure_of(info));
    }
}

TEST_CASE("a message within a message that has no envelope is shown with an empty one") {
    MessageInfo info = parse_message(kMessages[3]);
    info.envelopes.clear();
    for (Part& part : info.parts) part.envelope.reset();
    std::string encoded = ipc::encode(info);
    for (auto needs : {InfoNeeds::all, InfoNeeds::structure})
        CHECK(structure_of(decode_info(encoded, needs)).find("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)") !=
              std::string::npos);
}

TEST_CASE("a parse from before there were listed fields is read") {
    MessageInfo info = parse_message(kMessages[1]);
    CHECK(decode_info(ipc::encode(info), InfoNeeds::listed).listed_fields == info.listed_fields);
    info.listed_fields.reset();
    std::string encoded = ipc::encode(info);
    for (std::string_view old : {std::string_view(encoded), std::string_view(encoded).substr(0, encoded.size() - 1)}) {
        CHECK(decode_info(old) == info);
        CHECK(decode_info(old, info.size) == info);
        CHECK(envelope_of(decode_info(old, InfoNeeds::envelope)) == envelope_of(info));
        CHECK_FALSE(decode_info(old, InfoNeeds::listed).listed_fields);
    }
}

TEST_CASE("a parse that is damaged stands for an opaque text, whatever is wanted of it") {
    MessageInfo whole = parse_message(kMessages[2]);
    std::string encoded = ipc::encode(whole);
    size_t listed_size = 1 + sizeof(uint32_t) + whole.listed_fields.value().size();
    std::string opaque = structure_of(decode_info("", InfoNeeds::all));
    for (auto needs : {InfoNeeds::all, InfoNeeds::structure, InfoNeeds::envelope}) {
        for (size_t size = 0; size < encoded.size(); size++) {
            auto cut = std::string_view(encoded).substr(0, size);
            CHECK_FALSE(decode_info(cut, InfoNeeds::listed).listed_fields);
            if (size == encoded.size() - listed_size) continue;  // an older one
            MessageInfo info = decode_info(cut, needs);
            REQUIRE(info.parts.size() >= 1);
            REQUIRE(info.envelopes.size() >= 1);
            if (needs == InfoNeeds::all) CHECK(structure_of(info) == opaque);
        }
        // Counts and indexes that lie.
        for (size_t at = 0; at < encoded.size(); at++) {
            std::string lie = encoded;
            lie[at] = static_cast<char>(0xff);
            MessageInfo info = decode_info(lie, needs);
            CHECK(!envelope_of(info).empty());
            CHECK(!structure_of(info).empty());
        }
    }
}
