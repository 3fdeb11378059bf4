#include "common/pack/compression.h"

#include <algorithm>
#include <zstd.h>

#include "common/pack/dictionary.h"
#include "common/pack/zstd_owners.h"

namespace mox::pack {
namespace {

// Of 2 KB, level 1 takes 10 us and saves more than half; level 3 takes half as long again for a hundredth.
constexpr int kLevel = 1;

const ZSTD_CDict* compressor_dictionary() {
    static const auto kDictionary =
        owned<CompressorDictionary>(ZSTD_createCDict(kMailDictionary.data(), kMailDictionary.size(), kLevel));
    return kDictionary.get();
}

const ZSTD_DDict* decompressor_dictionary() {
    static const auto kDictionary =
        owned<DecompressorDictionary>(ZSTD_createDDict(kMailDictionary.data(), kMailDictionary.size()));
    return kDictionary.get();
}

std::optional<std::string> decompress(std::string_view stored, uint64_t size) {
    std::string bytes(size, '\0');
    size_t made = ZSTD_decompress_usingDDict(decompressor_of_thread(), bytes.data(), bytes.size(), stored.data(),
                                             stored.size(), decompressor_dictionary());
    if (ZSTD_isError(made) != 0 || made != size) return std::nullopt;
    return bytes;
}

}  // namespace

std::optional<std::string> compress(std::string_view bytes) {
    thread_local const auto kContext = owned<Compressor>(ZSTD_createCCtx());
    std::string compressed(bytes.size() - bytes.size() / 8, '\0');  // what takes more is not wanted
    size_t made = ZSTD_compress_usingCDict(kContext.get(), compressed.data(), compressed.size(), bytes.data(),
                                           bytes.size(), compressor_dictionary());
    if (ZSTD_isError(made) != 0) return std::nullopt;
    compressed.resize(made);
    return compressed;
}

std::optional<std::string> restore(Method method, std::string_view stored, uint64_t size) {
    if (size > kMaxContent || method > Method::zstd) return std::nullopt;
    if (method == Method::zstd) return decompress(stored, size);
    if (stored.size() != size) return std::nullopt;
    return std::string(stored);
}

std::optional<std::string> restore(const Record& record) {
    return restore(record.head.method, record.stored, record.head.size);
}

}  // namespace mox::pack
