// Stream: buffered reading and writing of a connection, plain or through TLS, with a limit and a deadline on every
// read.
//
// Bytes come from a Transport (a non-blocking descriptor, or TLS over one: common/tls). read_line() and read_some()
// hand out views into the buffer that are valid until the next read. Writes are collected and go out with flush(), so
// pipelined replies share one packet. A peer that is gone raises ConnectionLost, one too slow DeadlinePassed: both end
// the session.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/async/fd.h"
#include "common/async/loop.h"
#include "common/async/task.h"

namespace mox::async {

/// The connection is over: closed or reset by the peer, or broken TLS.
struct ConnectionLost : std::exception {
    explicit ConnectionLost(std::string text) : text_(std::move(text)) {}
    const char* what() const noexcept override { return text_.c_str(); }

  private:
    std::string text_;
};

/// What a transport did with a request that must not block.
struct IoResult {
    enum class State : uint8_t { done, end, want_read, want_write };
    State state;
    size_t count = 0;
};

/// Moves bytes without blocking. Errors raise ConnectionLost.
class Transport {
  public:
    virtual ~Transport() = default;
    virtual IoResult read(std::span<char> into) = 0;
    virtual IoResult write(std::string_view bytes) = 0;
    /// Tells the peer that no more will come (TLS close_notify, shutdown); best effort, never waits.
    virtual void close_write() = 0;
    virtual int fd() const = 0;
};

/// A connected, non-blocking socket.
class SocketTransport : public Transport {
  public:
    explicit SocketTransport(Fd fd) : fd_(std::move(fd)) {}
    IoResult read(std::span<char> into) override;
    IoResult write(std::string_view bytes) override;
    void close_write() override;
    int fd() const override { return fd_.get(); }
    Fd release() { return std::move(fd_); }

  private:
    Fd fd_;
};

/// How read_line() found the end of the line.
enum class LineEnd : uint8_t {
    crlf,      // CRLF, as the protocols demand
    too_long,  // limit bytes without CRLF; nothing was consumed
};

class Stream {
  public:
    explicit Stream(std::unique_ptr<Transport> transport);
    Stream(Stream&&) = default;
    Stream& operator=(Stream&&) = default;

    struct Line {
        std::string_view text;  // without its CRLF; valid until the next read
        LineEnd end;
    };

    /// Reads up to and including CRLF; a bare CR or LF is a byte like any other. Throws ConnectionLost at the end of
    /// input (also inside a line) and DeadlinePassed.
    Task<Line> read_line(size_t limit, Deadline deadline);

    /// Returns what is buffered, or waits for more: at most `limit` bytes, empty only at the end of input. The bytes
    /// are consumed.
    Task<std::string_view> read_some(size_t limit, Deadline deadline);

    /// What has been read and not consumed yet.
    std::string_view buffered() const { return std::string_view(input_).substr(start_); }
    void consume(size_t count);
    /// Gives back bytes that were read: they come again, before what is buffered.
    void put_back(std::string_view bytes);
    /// Reads more into the buffer; false at the end of input.
    Task<bool> fill(Deadline deadline);

    /// Adds to the output, which goes out with flush().
    void write(std::string_view bytes) { output_ += bytes; }
    size_t pending_output() const { return output_.size(); }
    Task<void> flush(Deadline deadline);

    /// Puts another transport under the stream, made from the present one (STARTTLS). Buffered input and output must be
    /// empty: what a peer pipelined behind STARTTLS in plain text is an attack (RFC 3207 section 4.2).
    void replace_transport(std::unique_ptr<Transport> transport);
    std::unique_ptr<Transport> release_transport() { return std::move(transport_); }
    Transport& transport() { return *transport_; }
    int fd() const { return transport_->fd(); }
    void close_write() { transport_->close_write(); }

  private:
    void make_room();
    IoResult read_chunk();
    Task<void> give_way();
    unsigned transfers_ = 0;
    std::unique_ptr<Transport> transport_;
    std::string input_;  // bytes [start_, size) are not consumed yet
    size_t start_ = 0;
    size_t scanned_ = 0;  // of the buffered bytes, how many hold no CRLF
    std::string output_;
};

/// Waits as an IoResult asks for.
Task<void> wait_for(const Transport& transport, IoResult::State state, Deadline deadline);

}  // namespace mox::async
