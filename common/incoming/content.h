// The content of one message while it comes in from the network, on its way to storaged.
//
// A small one (proto::kMaxInlineContent) is kept in memory and travels in the message that delivers it; for a larger
// one a spool file is asked for, and memory stays at one chunk. Whichever it was, give_to() fills in what a Deliver, an
// Enqueue or an AppendItem has to say. A spool file that was not given on goes back to storaged.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/async/fd.h"
#include "common/async/task.h"
#include "common/error.h"
#include "proto/storage.h"

namespace mox::incoming {

/// What does not depend on whom storaged is asked through.
class ContentBase {
  public:
    /// Bytes up to now.
    uint64_t size() const { return size_; }
    /// Why it could not be kept; bytes that are added from then on are counted and dropped.
    const std::optional<Error>& error() const { return error_; }
    /// Reads what has come in up to now, at most `into.size()` bytes at an offset; 0 at the end or when that fails.
    /// Until finish().
    size_t read(uint64_t offset, std::span<char> into) const;
    /// Writes what waits and closes the file: storaged takes it only when nobody can write to it any more. To be called
    /// before give_to().
    void finish();
    /// Sets `spool` and `content` of a message to storaged. The spool file is storaged's from then on.
    template <class M>
    void give_to(M& message) {
        message.spool = spool_;
        message.content = std::move(kept_);
        spool_ = 0;
    }

  protected:
    static constexpr size_t kChunk = 64u << 10;

    /// Whether there is more than may be kept, and no file for it yet.
    bool needs_file() const { return spool_ == 0 && kept_.size() > proto::kMaxInlineContent; }
    void keep(std::string_view bytes);
    void use(Result<proto::SpoolFile> file);
    uint64_t spool_ = 0;

  private:
    void write_out();
    Fd file_;
    std::string kept_;
    uint64_t size_ = 0;
    std::optional<Error> error_;
};

/// `Peer` asks storaged: an ipc::Link or what has call() and send() like it, and outlives this.
template <class Peer>
class Content : public ContentBase {
  public:
    explicit Content(Peer& storage) : storage_(storage) {}
    ~Content() {
        if (spool_ != 0) storage_.send(proto::DropSpool{spool_});
    }
    Content(const Content&) = delete;
    Content& operator=(const Content&) = delete;

    /// `bytes` must stay until this returns.
    async::Task<void> add(std::string_view bytes) {
        keep(bytes);
        if (needs_file()) use(co_await storage_.call(proto::CreateSpool{}, kLimit));
    }

  private:
    static constexpr auto kLimit = std::chrono::seconds(60);
    Peer& storage_;
};

}  // namespace mox::incoming
