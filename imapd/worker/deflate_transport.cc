#include "imapd/worker/deflate_transport.h"

#include <algorithm>
#include <new>

namespace mox::imapd {
namespace {

constexpr size_t kChunk = 16 * 1024;
constexpr size_t kMaxWrite = 64 * 1024;  // compressed at once
// RFC 4978 4: raw DEFLATE. The peer may use the largest window; ours is smaller, it takes less memory.
constexpr int kReadWindow = -15;
constexpr int kWriteWindow = -13;
constexpr int kMemLevel = 5;
constexpr size_t kWindow = 32 * 1024;
// z_stream::data_type (zlib.h, inflate()): bits that are left of the last byte, and where it stands.
constexpr int kBitsLeft = 63, kInLastBlock = 64, kBetweenBlocks = 128;

Bytef* bytes_of(const char* data) {
    return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

}  // namespace

DeflateTransport::DeflateTransport(std::unique_ptr<async::Transport> below, std::string_view window)
    : below_(std::move(below)) {
    if (inflateInit2(&in_, kReadWindow) != Z_OK) throw std::bad_alloc();
    int result = deflateInit2(&out_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWriteWindow, kMemLevel, Z_DEFAULT_STRATEGY);
    if (result != Z_OK) {
        inflateEnd(&in_);
        throw std::bad_alloc();
    }
    if (!window.empty()) inflateSetDictionary(&in_, bytes_of(window.data()), static_cast<uInt>(window.size()));
}

DeflateTransport::~DeflateTransport() {
    inflateEnd(&in_);
    deflateEnd(&out_);
}

// Not called for nothing: with that inflate() forgets that it stands between blocks.
size_t DeflateTransport::inflate_into(std::span<char> into) {
    if (in_.avail_in == 0 && !more_) return 0;
    in_.next_out = bytes_of(into.data());
    in_.avail_out = static_cast<uInt>(into.size());
    int result = inflate(&in_, Z_SYNC_FLUSH);
    ended_ = result == Z_STREAM_END;
    if (!ended_ && result != Z_OK && result != Z_BUF_ERROR) throw async::ConnectionLost("the peer's DEFLATE is broken");
    more_ = in_.avail_out == 0;
    return into.size() - in_.avail_out;
}

async::IoResult DeflateTransport::read(std::span<char> into) {
    into = into.first(std::min(into.size(), kMaxWrite));
    for (;;) {
        if (ended_) return {async::IoResult::State::end};
        if (size_t n = inflate_into(into); n > 0) return {async::IoResult::State::done, n};
        if (ended_) continue;
        input_.resize(kChunk);
        auto got = below_->read(input_);
        if (got.state != async::IoResult::State::done) return got;
        in_.next_in = bytes_of(input_.data());
        in_.avail_in = static_cast<uInt>(got.count);
        received_ += got.count;
    }
}

std::optional<std::string> DeflateTransport::plain_rest() const {
    if (!ended_ && in_.avail_in > 0) return std::nullopt;
    return std::string(reinterpret_cast<const char*>(in_.next_in), in_.avail_in);
}

std::optional<std::string> DeflateTransport::rest() {
    bool quiet = !ended_ && in_.avail_in == 0 && !more_ && pending_.empty() && taken_ == 0;
    bool between = in_.total_in == 0 || (in_.data_type & (kBitsLeft | kInLastBlock | kBetweenBlocks)) == kBetweenBlocks;
    std::string window(kWindow, '\0');
    auto size = static_cast<uInt>(window.size());
    if (!quiet || !between || inflateGetDictionary(&in_, bytes_of(window.data()), &size) != Z_OK) return std::nullopt;
    std::string packed(compressBound(size), '\0');
    uLongf packed_size = packed.size();
    if (compress(bytes_of(packed.data()), &packed_size, bytes_of(window.data()), size) != Z_OK) return std::nullopt;
    if (packed_size > kMaxPackedWindow) return std::nullopt;
    packed.resize(packed_size);
    return packed;
}

std::optional<std::string> unpack_window(std::string_view packed) {
    if (packed.size() > kMaxPackedWindow) return std::nullopt;
    std::string window(kWindow, '\0');
    uLongf size = window.size();
    uLong taken = packed.size();
    int result = uncompress2(bytes_of(window.data()), &size, bytes_of(packed.data()), &taken);
    if (result != Z_OK || taken != packed.size()) return std::nullopt;
    window.resize(size);
    return window;
}

void DeflateTransport::deflate_all(std::string_view bytes) {
    pending_.clear();
    sent_ = 0;
    out_.next_in = bytes_of(bytes.data());
    out_.avail_in = static_cast<uInt>(bytes.size());
    do {
        size_t size = pending_.size();
        pending_.resize(size + kChunk);
        out_.next_out = bytes_of(pending_.data() + size);
        out_.avail_out = kChunk;
        // The peer can read all that was written: nothing waits in here for more.
        if (deflate(&out_, Z_SYNC_FLUSH) == Z_STREAM_ERROR) throw async::ConnectionLost("DEFLATE failed");
        pending_.resize(pending_.size() - out_.avail_out);
    } while (out_.avail_out == 0);
}

// The writer is told of its bytes when all that stands for them has gone down; until then it comes again with the same.
async::IoResult DeflateTransport::write(std::string_view bytes) {
    if (taken_ == 0) {
        taken_ = std::min(bytes.size(), kMaxWrite);
        deflate_all(bytes.substr(0, taken_));
    }
    while (sent_ < pending_.size()) {
        auto put = below_->write(std::string_view(pending_).substr(sent_));
        if (put.state != async::IoResult::State::done) return put;
        sent_ += put.count;
    }
    std::string().swap(pending_);
    return {async::IoResult::State::done, std::exchange(taken_, 0)};
}

}  // namespace mox::imapd
