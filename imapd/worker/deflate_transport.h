// A transport that compresses what goes out and undoes the compression of what comes in (COMPRESS=DEFLATE, RFC 4978),
// over another transport.
//
// Memory: about 100 KiB a connection, however well the peer's bytes are compressed: no more is inflated than is asked
// for. What is not DEFLATE raises ConnectionLost.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <zlib.h>

#include "common/async/stream.h"

namespace mox::imapd {

class DeflateTransport : public async::Transport {
  public:
    explicit DeflateTransport(std::unique_ptr<async::Transport> below);
    ~DeflateTransport() override;
    DeflateTransport(const DeflateTransport&) = delete;
    DeflateTransport& operator=(const DeflateTransport&) = delete;

    async::IoResult read(std::span<char> into) override;
    async::IoResult write(std::string_view bytes) override;
    /// What the peer sent in plain text behind the last of its compressed bytes; nothing when the two cannot be told
    /// apart, because its DEFLATE goes on.
    std::optional<std::string> plain_rest() const;
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
    size_t taken_ = 0;     // bytes of the writer that pending_ stands for
};

}  // namespace mox::imapd
