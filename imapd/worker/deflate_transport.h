// A transport that compresses what goes out and undoes the compression of what comes in (COMPRESS=DEFLATE, RFC 4978),
// over another transport.
//
// Memory: about 100 KiB a connection, however well the peer's bytes are compressed: no more is inflated than is asked
// for. What is not DEFLATE raises ConnectionLost. At rest, between two blocks of the peer, all that must be kept is
// what the peer may refer to: the last bytes that it sent. What goes out begins anew, as if it were the first.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <zlib.h>

#include "common/async/stream.h"

namespace mox::imapd {

constexpr size_t kMaxPackedWindow = 12 * 1024;  // bytes of a window that is kept

class DeflateTransport : public async::Transport {
  public:
    /// `window` is that of one before it that rested.
    explicit DeflateTransport(std::unique_ptr<async::Transport> below, std::string_view window = {});
    ~DeflateTransport() override;
    DeflateTransport(const DeflateTransport&) = delete;
    DeflateTransport& operator=(const DeflateTransport&) = delete;

    async::IoResult read(std::span<char> into) override;
    async::IoResult write(std::string_view bytes) override;
    /// What the peer sent in plain text behind the last of its compressed bytes; nothing when the two cannot be told
    /// apart, because its DEFLATE goes on.
    std::optional<std::string> plain_rest() const;
    /// The window, packed; nothing when the peer is within a block, bytes of it wait, or it is too large.
    std::optional<std::string> rest();
    /// Bytes taken from below: those of a part of a block become nothing that is read here.
    uint64_t received() const { return received_; }
    std::unique_ptr<async::Transport> release() { return std::move(below_); }
    void close_write() override { below_->close_write(); }
    int fd() const override { return below_->fd(); }

  private:
    size_t inflate_into(std::span<char> into);
    void deflate_all(std::string_view bytes);

    std::unique_ptr<async::Transport> below_;
    z_stream in_{};
    z_stream out_{};
    std::string input_;    // compressed, read from below; in_ points into it
    std::string pending_;  // compressed, to be written
    size_t sent_ = 0;      // of pending_
    bool ended_ = false;   // the peer's DEFLATE
    bool more_ = false;    // the last piece was full: there may be more without further input
    uint64_t received_ = 0;
    size_t taken_ = 0;  // bytes of the writer that pending_ stands for
};

/// The window that rest() packed; nothing for bytes that it does not make.
std::optional<std::string> unpack_window(std::string_view packed);

}  // namespace mox::imapd
