// Both configuration files: whatever parses is written and read back as the same, and edits of it give files that
// parse. The first byte chooses the file.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/config/config.h"
#include "common/config/edit.h"

using namespace mox;
using namespace mox::config;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check_edits(std::string_view text, const Domains& domains) {
    if (auto added = add_account(text, {.name = "fuzz-account", .full_name = "F"})) {
        auto with_address = add_address(*added, "fuzz-account", {.localpart = "fuzz", .domain = "fuzz.example"});
        if (with_address) require(remove_address(*with_address, "fuzz@fuzz.example").has_value());
        auto removed = remove_account(*added, "fuzz-account");
        require(removed.has_value());
        auto again = parse_domains(*removed, domains.file);
        require(again.has_value() && *again == domains);
    }
    for (const Account& account : domains.accounts) {
        for (const Address& address : account.addresses) {
            auto removed = remove_address(text, address.localpart + "@" + address.domain);
            require(removed.has_value());
            return;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0) {
        auto config = parse_config(text, "mox.conf");
        if (config) {
            validate(*config);
        } else {
            require(!config.error().empty() && config.error().size() <= kMaxDiagnostics + 1);
        }
        return 0;
    }
    auto domains = parse_domains(text, "domains.conf");
    if (!domains) {
        require(!domains.error().empty() && domains.error().size() <= kMaxDiagnostics + 1);
        return 0;
    }
    validate(*domains);
    auto again = parse_domains(write_domains(*domains), "domains.conf");
    require(again.has_value() && *again == *domains);
    if (size < 10'000) check_edits(text, *domains);
    return 0;
}
