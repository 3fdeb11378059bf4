// Any lines as replies of an SMTP server; any bytes through the dot stuffing, whatever the pieces.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/smtp/dot_stuffing.h"
#include "common/smtp/outcome.h"

using namespace mox::smtp;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_reply(std::string_view text) {
    ReplyParser parser;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        auto state = parser.feed(line);
        if (!state) return;
        if (*state == ReplyParser::State::more) continue;
        Reply reply = parser.take();
        require(reply.code >= 200 && reply.code < 600);
        require(!reply.lines.empty() && reply.lines.size() <= kMaxReplyLines);
        for (unsigned char c : to_string(reply)) require(c >= ' ' && c != 0x7f);
        parse_extensions(reply);
        auto outcome = from_reply(reply, Scope::message);
        require(outcome.enhanced.size() >= 5);
    }
}

std::string stuffed(std::string_view text, size_t step) {
    DotStuffing stuffing;
    std::string out;
    for (size_t at = 0; at < text.size(); at += step) stuffing.feed(text.substr(at, step), out);
    stuffing.finish(out);
    return out;
}

void check_stuffing(std::string_view text) {
    std::string out = stuffed(text, 1);
    require(out == stuffed(text, 7) && out == stuffed(text, text.size() + 1));
    require(("\r\n" + out).find("\r\n.\r\n") == out.size() - 3);
    for (size_t i = 0; i < out.size(); i++) {
        if (out[i] == '\n') require(i > 0 && out[i - 1] == '\r');
        if (out[i] == '\r') require(i + 1 < out.size() && out[i + 1] == '\n');
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_reply(text);
    check_stuffing(text);
    return 0;
}
