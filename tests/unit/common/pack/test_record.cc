#include "common/pack/record.h"
#include "tests/unit/catch.h"

using namespace mox::pack;

TEST_CASE("records lie one behind the other and are read back") {
    std::string bytes;
    append_record(bytes, 7, 5, Method::raw, "seven");
    append_record(bytes, 1ull << 40, 0, Method::raw, "");
    REQUIRE(bytes.size() == 2 * kRecordHead + 5);
    auto first = parse_record(bytes);
    REQUIRE(first);
    CHECK(first->head.content == 7);
    CHECK(first->head.size == 5);
    CHECK(first->stored == "seven");
    auto second = parse_record(std::string_view(bytes).substr(first->head.record_size()));
    REQUIRE(second);
    CHECK(second->head.content == 1ull << 40);
    CHECK(second->stored.empty());
}

TEST_CASE("the form on disk stays as it is") {
    std::string bytes;
    append_record(bytes, 0x0102030405060708, 2, Method::raw, "hi");
    std::string head("mxkp\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01\x02\0\0\0\x02\0\0\0", 24);
    CHECK(bytes.substr(0, 24) == head);
    CHECK(bytes.substr(32) == "hi");
}

TEST_CASE("any changed bit of a record is noticed, and so is any missing byte") {
    std::string bytes;
    append_record(bytes, 3, 4, Method::raw, "text");
    for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
        std::string damaged = bytes;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        INFO("bit " << bit);
        CHECK_FALSE(parse_record(damaged));
    }
    for (size_t size = 0; size < bytes.size(); size++) CHECK_FALSE(parse_record(bytes.substr(0, size)));
    CHECK_FALSE(parse_record(std::string(100, '\0')));
}

TEST_CASE("a head that says more than a record may have is none") {
    std::string bytes;
    append_record(bytes, 3, kMaxContent + 1, Method::raw, std::string(kMaxContent + 1, 'x'));
    CHECK_FALSE(parse_head(bytes));
    bytes.clear();
    append_record(bytes, 3, 10, Method::raw, "five!");  // raw bytes are as many as the message has
    CHECK_FALSE(parse_head(bytes));
    bytes.clear();
    append_record(bytes, 3, 1, Method::raw, "x");
    bytes[4] = static_cast<char>(200);  // a method of the future
    CHECK_FALSE(parse_head(bytes));
    bytes.clear();
    append_record(bytes, 3, 1, Method::zstd, "x");  // then it would not have been compressed
    CHECK_FALSE(parse_head(bytes));
}
