#include <sstream>

#include "moxctl/output.h"
#include "tests/unit/catch.h"

namespace mox::moxctl {

TEST_CASE("sizes for people") {
    struct {
        uint64_t bytes;
        const char* text;
    } cases[] = {
        {0, "0"},           {1023, "1023"},    {1024, "1.0K"},    {1536, "1.5K"},     {10188, "9.9K"},
        {10240, "10K"},     {1048575, "1.0M"}, {1048576, "1.0M"}, {50u << 20, "50M"}, {uint64_t{5} << 40, "5.0T"},
        {UINT64_MAX, "16E"}};
    for (const auto& c : cases) CHECK(human_size(c.bytes) == c.text);
}

TEST_CASE("durations for people") {
    struct {
        int64_t seconds;
        const char* text;
    } cases[] = {{-5, "0s"},      {0, "0s"},         {59, "59s"},      {60, "1m00s"},           {3599, "59m59s"},
                 {3600, "1h00m"}, {86399, "23h59m"}, {86400, "1d00h"}, {400 * 86400, "400d00h"}};
    for (const auto& c : cases) CHECK(human_duration(std::chrono::seconds(c.seconds)) == c.text);
}

TEST_CASE("control characters never reach the terminal") {
    CHECK(printable("a\x1b[31m\tb\x7f\n") == "a?[31m?b??");
    CHECK(printable("\xc2\x9b"
                    "31m") == "?31m");  // CSI as one code point
    CHECK(printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    CHECK(printable("\xc2\xa0") == "\xc2\xa0");
    std::ostringstream out, errors;
    Output output(out, errors);
    output.complain("two\nlines\x1b\n");
    CHECK(errors.str() == "two\nlines?\n");
}

TEST_CASE("tables are aligned") {
    Table table({{"NAME"}, {"N", Align::right}, {"LAST"}});
    table.add({"\xc3\xbc", "5", ""});
    table.add({"long name", "12345", "x"});
    CHECK(table.take() ==
          "NAME           N  LAST\n"
          "\xc3\xbc              5  -\n"
          "long name  12345  x\n");
    table.add({"a", "1", "b"});
    CHECK(table.take() == "a              1  b\n");
}

TEST_CASE("JSON survives bytes that are no UTF-8") {
    CHECK(to_text({{"a", "\xff"}}) == "{\n  \"a\": \"\xef\xbf\xbd\"\n}");
}

}  // namespace mox::moxctl
