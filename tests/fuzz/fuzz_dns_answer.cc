// Any bytes as a DNS packet, for each type that is asked for.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "dnsd/answer.h"

using namespace mox;
using namespace mox::dnsd;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

bool is_host(std::string_view name) {
    return name.size() <= 255 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == name.npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view packet(reinterpret_cast<const char*>(data), size);
    for (auto type :
         {RecordType::a, RecordType::aaaa, RecordType::mx, RecordType::txt, RecordType::ptr, RecordType::tlsa}) {
        auto answer = parse_answer(packet, type);
        if (!answer) {
            require(answer.error().is_temporary());
            continue;
        }
        size_t records = answer->addresses.size() + answer->hosts.size() + answer->texts.size() + answer->names.size() +
                         answer->tlsa.size();
        require(records <= kMaxRecords);
        require(answer->head.status != proto::DnsStatus::found || records > 0);
        for (const auto& h : answer->hosts) require(is_host(h.host));
        for (const auto& n : answer->names) require(!n.empty() && is_host(n));
        size_t text = 0;
        for (const auto& t : answer->texts) text += t.size();
        require(text <= kMaxTextBytes);
    }
    return 0;
}
