#include "common/error.h"
#include "common/text/ascii.h"
#include "common/text/hash.h"
#include "tests/unit/catch.h"

using namespace mox;

TEST_CASE("case-insensitive comparison knows ASCII letters only") {
    CHECK(text::iequals("MAIL", "mail"));
    CHECK_FALSE(text::iequals("\xc4", "\xe4"));
    CHECK_FALSE(text::iequals("a", "ab"));
    CHECK(text::istarts_with("RCPT TO:", "rcpt"));
}

TEST_CASE("numbers are whole and bounded") {
    CHECK(text::parse_number<uint8_t>("255") == 255);
    CHECK_FALSE(text::parse_number<uint8_t>("256"));
    CHECK_FALSE(text::parse_number<uint32_t>(""));
    CHECK_FALSE(text::parse_number<uint32_t>("+1"));
    CHECK_FALSE(text::parse_number<uint32_t>("1 "));
}

TEST_CASE("a result carries the persistence of its error") {
    Result<int> r = temporary(ErrorCode::io, "disk");
    REQUIRE_FALSE(r);
    CHECK(r.error().is_temporary());
}

TEST_CASE("hashes stay as they are: they are kept") {
    CHECK(text::hash64("abc") == 0x2b8d2bc691b74acf);
    CHECK(text::hash64("") != text::hash64(std::string_view("\0", 1)));
}
