#include "common/error.h"
#include "common/text/ascii.h"
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
