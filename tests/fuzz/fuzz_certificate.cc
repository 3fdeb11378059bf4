// Feeds what authd takes certificates apart with anything.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/tls/public_key.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto key = mox::tls::read_public_key(std::string(reinterpret_cast<const char*>(data), size));
    if (key ? key->fingerprint.size() != 32 || key->type.empty() : key.error().is_temporary()) std::abort();
    return 0;
}
