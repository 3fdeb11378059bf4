// Builds DNS packets for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dnsd/answer.h"

namespace mox::dnsd::testing {

inline std::string u16(unsigned v) {
    return {static_cast<char>(v >> 8), static_cast<char>(v & 255)};
}
inline std::string u32(uint32_t v) {
    return u16(v >> 16) + u16(v & 0xffff);
}
/// A name without compression.
inline std::string name(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto label = text.substr(0, text.find('.'));
        out += static_cast<char>(label.size());
        out += label;
        text.remove_prefix(std::min(text.size(), label.size() + 1));
    }
    return out + '\0';
}
inline std::string record(std::string_view owner, RecordType type, uint32_t ttl, const std::string& data) {
    return name(owner) + u16(static_cast<unsigned>(type)) + u16(1) + u32(ttl) +
           u16(static_cast<unsigned>(data.size())) + data;
}
/// Where the name of the question stands, as a compression pointer.
inline const std::string kQuestionPointer("\xc0\x0c", 2);

struct Packet {
    std::string question;
    RecordType type;
    unsigned rcode = 0;
    unsigned answers = 0;
    unsigned authorities = 0;
    std::string records;

    std::string bytes() const {
        return u16(7) + u16(0x8180 | rcode) + u16(1) + u16(answers) + u16(authorities) + u16(0) + name(question) +
               u16(static_cast<unsigned>(type)) + u16(1) + records;
    }
    Packet& answer(const std::string& r) {
        records += r;
        answers++;
        return *this;
    }
};

}  // namespace mox::dnsd::testing
