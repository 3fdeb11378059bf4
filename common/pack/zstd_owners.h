// Owners of libzstd's objects.
#pragma once

#include <memory>
#include <new>
#include <zstd.h>

namespace mox::pack {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* what) const {
        Free(what);
    }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, Freed<ZSTD_freeCCtx>>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, Freed<ZSTD_freeDCtx>>;
using CompressorDictionary = std::unique_ptr<ZSTD_CDict, Freed<ZSTD_freeCDict>>;
using DecompressorDictionary = std::unique_ptr<ZSTD_DDict, Freed<ZSTD_freeDDict>>;

/// What libzstd made. Throws when there was no memory.
template <class Owner>
Owner owned(typename Owner::pointer made) {
    if (made == nullptr) throw std::bad_alloc();
    return Owner(made);
}

/// For one message at a time; made when the thread first needs it, some 100 KB.
inline ZSTD_DCtx* decompressor_of_thread() {
    thread_local const auto kContext = owned<Decompressor>(ZSTD_createDCtx());
    return kContext.get();
}

}  // namespace mox::pack
