#include "smtpd/data_reader.h"
#include "tests/unit/catch.h"

using mox::smtpd::DataReader;

namespace {

struct Read {
    std::string out;
    size_t taken;
    bool done, bare;
    bool operator==(const Read&) const = default;
};

Read read_in_steps(std::string_view input, size_t step) {
    DataReader reader;
    Read r{};
    while (r.taken < input.size() && !reader.done()) {
        size_t n = reader.feed(input.substr(r.taken, step), r.out);
        if (n == 0) break;
        r.taken += n;
    }
    r.done = reader.done();
    r.bare = reader.has_bare_line_end();
    return r;
}

}  // namespace

TEST_CASE("only CRLF . CRLF ends a message, whatever the split") {
    struct Case {
        std::string input;
        std::string out;
        bool done;
        bool bare;
        size_t left;  // bytes behind the end
    };
    const std::vector<Case> cases = {
        {"hello\r\n.\r\nQUIT\r\n", "hello\r\n", true, false, 6},
        {".\r\n", "", true, false, 0},
        {"..\r\n.\r\n", ".\r\n", true, false, 0},
        {".x\r\n..\r\n...\r\n.\r\n", "x\r\n.\r\n..\r\n", true, false, 0},
        {"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", true, true, 0},
        {"a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", true, true, 0},
        {"a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", true, true, 0},
        {"a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", true, true, 0},
        {"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true, true, 0},
        {"a\r\r\n.\r\n", "a\r\r\n", true, true, 0},
        {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", true, true, 0},
        {"no end\r\n", "no end\r\n", false, false, 0},
        {"no end\r\n.\r", "no end\r\n", false, false, 0},
        {"\r\n\r\n.\r\n", "\r\n\r\n", true, false, 0},
    };
    for (const auto& c : cases) {
        INFO(c.input);
        for (size_t step : {1u, 2u, 3u, 5u, 1000u}) {
            Read r = read_in_steps(c.input, step);
            CHECK(r.done == c.done);
            CHECK(r.bare == c.bare);
            CHECK(r.out == c.out);
            if (c.done) CHECK(c.input.size() - r.taken == c.left);
        }
    }
}

TEST_CASE("random content reads the same in any split") {
    unsigned state = 1;
    auto next = [&] { return state = state * 1103515245u + 12345u, (state >> 16) & 0x7fff; };
    const char letters[] = {'\r', '\n', '.', 'a', '\r', '\n'};
    for (int i = 0; i < 3000; i++) {
        std::string input;
        for (unsigned n = next() % 40; n > 0; n--) input += letters[next() % sizeof letters];
        input += "\r\n.\r\n";
        Read whole = read_in_steps(input, 1000);
        CHECK(read_in_steps(input, 1) == whole);
        CHECK(read_in_steps(input, 3) == whole);
    }
}
