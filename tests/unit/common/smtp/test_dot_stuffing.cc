#include "common/smtp/dot_stuffing.h"
#include "tests/unit/catch.h"

using mox::smtp::DotStuffing;

namespace {

std::string wire(std::string_view text, size_t step) {
    DotStuffing stuffing;
    std::string out;
    for (size_t at = 0; at < text.size(); at += step) stuffing.feed(text.substr(at, step), out);
    stuffing.finish(out);
    return out;
}

struct Case {
    std::string_view text, expected;
};

}  // namespace

TEST_CASE("the wire form, whatever the pieces") {
    for (const Case& c : {
             Case{"", ".\r\n"},
             Case{"a", "a\r\n.\r\n"},
             Case{"a\r\n", "a\r\n.\r\n"},
             Case{".", "..\r\n.\r\n"},
             Case{"..\r\n.\r\n.a\r\na.b\r\n", "...\r\n..\r\n..a\r\na.b\r\n.\r\n"},
             Case{"\r\n.\r\n", "\r\n..\r\n.\r\n"},
             // What could end DATA for a server that takes a bare LF or CR for a line end.
             Case{"a\n.\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"},
             Case{"a\r.\rMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"},
             Case{"a\r\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
             Case{"a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"},
             Case{"a\r\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"},
             Case{"a\r", "a\r\n.\r\n"},
             Case{"\n\r", "\r\n\r\n.\r\n"},
         }) {
        for (size_t step : {1, 2, 3, 1000}) {
            CAPTURE(c.text, step);
            CHECK(wire(c.text, step) == c.expected);
        }
    }
}

TEST_CASE("nothing in a message ends DATA early") {
    // All texts of seven of the characters that matter.
    const std::string_view alphabet = "\r\n.a";
    for (unsigned n = 0; n < 1u << 14; n++) {
        std::string text;
        for (unsigned i = 0, rest = n; i < 7; i++, rest /= 4) text += alphabet[rest % 4];
        std::string out = wire(text, 3);
        bool early = ("\r\n" + out).find("\r\n.\r\n") != out.size() - 3;
        // Bare line ends never go out.
        for (size_t i = 0; i < out.size(); i++) {
            if (out[i] == '\n' && (i == 0 || out[i - 1] != '\r')) early = true;
            if (out[i] == '\r' && (i + 1 == out.size() || out[i + 1] != '\n')) early = true;
        }
        if (early) FAIL("text " << n);
    }
}
