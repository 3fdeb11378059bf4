#include <random>
#include <xxhash.h>

#include "common/pack/compression.h"
#include "common/pack/dictionary.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/pack/hex.h"

using namespace mox::pack;
using mox::pack::test::from_hex;

namespace {

const std::string kMail =
    "Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx.example.com (Postfix) with ESMTPS id "
    "4F1\r\n"
    "\tfor <b@example.com>; Thu, 26 Nov 2026 10:00:00 +0100 (CET)\r\nDate: Thu, 26 Nov 2026 10:00:00 +0100\r\n"
    "From: a@example.org\r\nTo: b@example.com\r\nSubject: lunch\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nAt noon?\r\n";

std::string noise(size_t size) {
    std::mt19937_64 random(7);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

}  // namespace

TEST_CASE("what was compressed comes back") {
    for (const std::string& message : {kMail, std::string(kMaxContent, 'x'), kMail + noise(300) + kMail + kMail}) {
        auto stored = compress(message);
        REQUIRE(stored);
        CHECK(stored->size() <= message.size() - message.size() / 8);
        CHECK(restore(Method::zstd, *stored, message.size()) == message);
    }
}

TEST_CASE("what is not worth it stays as it is") {
    CHECK_FALSE(compress(""));
    CHECK_FALSE(compress("hi"));
    CHECK_FALSE(compress(noise(5000)));
    CHECK(restore(Method::raw, "hi", 2) == "hi");
}

TEST_CASE("stored bytes that are not those of the message are noticed") {
    auto stored = *compress(kMail);
    CHECK_FALSE(restore(Method::zstd, stored, kMail.size() - 1));
    CHECK_FALSE(restore(Method::zstd, stored, kMail.size() + 1));
    CHECK_FALSE(restore(Method::zstd, stored.substr(0, stored.size() / 2), kMail.size()));
    CHECK_FALSE(restore(Method::zstd, "", 10));
    CHECK_FALSE(restore(Method::zstd, noise(50), 100));
    CHECK_FALSE(restore(Method::raw, "hi", 3));
    CHECK_FALSE(restore(Method::zstd, stored, kMaxContent + 1));
    CHECK_FALSE(restore(Method::frames, stored, kMail.size()));
}

TEST_CASE("the form on disk stays as it is: what the first version stored is read") {
    std::string stored = from_hex(
        "28b52ffd2080850100b06140626c756e63680d0a0d0a4174206e6f6f6e3f0d0a0800df71"
        "02bc5824e8284917a6081b793ec6c1da34180f3808");
    std::string message =
        "From: a@example.org\r\nTo: b@example.org\r\nSubject: lunch\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\nAt noon?\r\n";
    CHECK(restore(Method::zstd, stored, message.size()) == message);
}

// What was written with the first version can be read by all later ones.
TEST_CASE("the dictionary is part of the form on disk: it stays as it is") {
    CHECK(XXH3_64bits(kMailDictionary.data(), kMailDictionary.size()) == 0x38bde179a33eb9a5);
    CHECK(kMailDictionary.size() == 7889);
}

TEST_CASE("mail is compressed better with the dictionary than what has nothing of it") {
    std::string strange = kMail;
    for (char& c : strange)
        if (c >= 'a' && c <= 'z') c = static_cast<char>('a' + (c - 'a' + 7) % 26);
    auto with = compress(kMail);
    auto without = compress(strange);
    REQUIRE(with);
    CHECK(with->size() * 3 < (without ? without->size() : strange.size()) * 2);
}
