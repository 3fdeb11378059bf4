// Channel: typed messages over a stream socket pair to one other process.
//
// Frames are a fixed header (length, kind, flags, descriptors, request id) and a payload; descriptors travel beside it.
// Both ends may call and serve. A call returns the reply or an Error; on a lost channel it fails with channel_lost,
// after its deadline with timeout, both temporary. What does not decode, or what the peer's role may not send, ends the
// channel (a "violation", logged): the sender is treated as taken over, and nothing else is touched. Bounds: frame
// size, requests served at the same time and their bytes (then reading pauses), bytes waiting to go out (then callers
// wait). A channel must not be destroyed while a call on it is under way; close() it, or hold it in a Link, which takes
// care of that.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "common/async/fd.h"
#include "common/async/loop.h"
#include "common/async/task.h"
#include "common/ipc/frame.h"
#include "common/ipc/message.h"

namespace mox::ipc {

constexpr size_t kMaxServed = 512;             // requests under way per channel
constexpr size_t kMaxServedBytes = 32u << 20;  // and bytes of them
constexpr size_t kHighWater = 1u << 20;        // bytes waiting to go out before callers wait
constexpr size_t kMaxQueued = 64u << 20;       // bytes waiting to go out before the peer counts as stuck

/// Both ends of a new socket pair, non-blocking and close-on-exec.
std::pair<Fd, Fd> make_socket_pair();

/// Who is at the other end, as moxd said.
struct PeerId {
    Role role = Role::kEnd;
    std::string name;  // for logs: the role, with a number or account where there are several
};

class Channel {
  public:
    Channel(Fd socket, PeerId peer);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// Requests of the peer go to handler.on(Message), which returns Result<Reply>, Task<Result<Reply>>, or void for
    /// messages without reply. The handler outlives the channel. Call before start().
    template <class Handler, class... M>
    void serve(Messages<M...>, Handler& handler) {
        dispatch_ = [this, &handler](Kind kind, uint32_t id, std::string_view payload) {
            return (try_serve<M>(handler, kind, id, payload) || ...);
        };
    }

    /// Begins to read and write.
    void start();

    /// Asks the peer and waits for its reply.
    template <class M>
    async::Task<Result<typename M::Reply>> call(M message, async::Deadline deadline) {
        Encoder encoder;
        encoder.put(message);
        auto reply = co_await exchange(M::kKind, std::move(encoder), deadline);
        if (!reply) co_return std::unexpected(std::move(reply.error()));
        typename M::Reply value{};
        Decoder decoder(reply->payload, &reply->fds);
        if (!decoder.get(value) || !decoder.at_end() || !reply->fds.empty()) {
            violation(M::kName, "reply does not decode");
            co_return temporary(ErrorCode::channel_lost, "malformed reply");
        }
        co_return value;
    }

    /// Sends a message that has no reply. On a lost channel nothing happens.
    template <class M>
        requires std::is_same_v<typename M::Reply, NoReply>
    void send(M message) {
        Encoder encoder;
        encoder.put(message);
        enqueue(M::kKind, 0, 0, std::move(encoder));
    }

    bool lost() const { return lost_; }
    /// Notified once, when the channel is lost.
    async::Notify& on_lost() { return lost_event_; }
    /// Waits until all that was sent has been handed to the kernel, or the channel is lost.
    async::Task<void> drain(async::Deadline deadline);
    void close(std::string_view reason);
    /// Nothing is under way: no call either way, nor the reply to one that was given up, no frame or part of one that
    /// has been read and not taken, or waits to go out. Then the socket can be given to somebody else.
    bool quiet() const;
    /// The socket once more; not valid when the kernel refuses.
    Fd duplicate() const { return Fd(::dup(socket_.get())); }
    const PeerId& peer() const { return peer_; }

  private:
    struct Outgoing {
        std::string bytes;
        std::vector<Fd> fds;
    };
    struct ReplyFrame {
        std::string payload;
        std::deque<Fd> fds;
    };
    struct Pending {
        async::Notify arrived;
        std::optional<Result<ReplyFrame>> result;
    };

    async::Task<Result<ReplyFrame>> exchange(Kind kind, Encoder encoder, async::Deadline deadline);
    async::Task<void> read_loop();
    async::Task<void> write_loop();
    bool receive();
    bool take_frames();
    void handle_reply(uint32_t id, uint8_t flags, std::string_view payload, std::deque<Fd> fds);
    void enqueue(Kind kind, uint8_t flags, uint32_t id, Encoder encoder);
    bool write_some();
    void violation(std::string_view message, std::string_view what);

    template <class M, class Handler>
    bool try_serve(Handler& handler, Kind kind, uint32_t id, std::string_view payload) {
        if (kind != M::kKind) return false;
        if (!M::kSenders.has(peer_.role)) {
            violation(M::kName, "not permitted to this role");
            return true;
        }
        M message{};
        Decoder decoder(payload, &frame_fds_);
        if (!decoder.get(message) || !decoder.at_end() || !frame_fds_.empty()) {
            violation(M::kName, "does not decode");
            return true;
        }
        if constexpr (std::is_same_v<typename M::Reply, NoReply>) {
            using R = decltype(handler.on(std::move(message)));
            if constexpr (std::is_void_v<R>)
                handler.on(std::move(message));
            else
                scope_.spawn(handler.on(std::move(message)));
        } else {
            served_++;
            served_bytes_ += payload.size();
            scope_.spawn(answer<M>(handler, std::move(message), id, payload.size()));
        }
        return true;
    }

    template <class M, class Handler>
    async::Task<void> answer(Handler& handler, M message, uint32_t id, size_t size) {
        using R = decltype(handler.on(std::move(message)));
        if constexpr (std::is_same_v<R, Result<typename M::Reply>>) {
            reply<M>(handler.on(std::move(message)), id);
        } else {
            auto result = co_await handler.on(std::move(message));
            reply<M>(std::move(result), id);
        }
        served_--;
        served_bytes_ -= size;
        resume_reading_.notify_all();
        co_return;
    }

    template <class M>
    void reply(Result<typename M::Reply> result, uint32_t id) {
        Encoder encoder;
        if (result)
            encoder.put(*result);
        else
            encoder.put(result.error());
        enqueue(M::kKind, result ? kReplyFlag : kReplyFlag | kErrorFlag, id, std::move(encoder));
    }

    Fd socket_;
    PeerId peer_;
    std::function<bool(Kind, uint32_t, std::string_view)> dispatch_;
    bool lost_ = false;
    async::Notify lost_event_;

    std::string input_;
    std::deque<Fd> input_fds_;
    std::deque<Fd> frame_fds_;  // of the frame being dispatched

    std::deque<Outgoing> output_;
    size_t output_bytes_ = 0;
    size_t output_sent_ = 0;  // of the first frame
    async::Notify output_ready_;
    async::Notify output_moved_;

    uint32_t next_id_ = 1;
    std::map<uint32_t, Pending*> pending_;
    size_t unanswered_ = 0;  // requests that are out, those that were given up included
    bool serves_enough() const { return served_ >= kMaxServed || served_bytes_ >= kMaxServedBytes; }
    size_t served_ = 0;
    size_t served_bytes_ = 0;
    async::Notify resume_reading_;
    async::Scope scope_;  // last: its tasks use all of the above
};

/// A peer process that may be replaced: calls go to its present channel and wait a moment for one when there is none.
class Link {
  public:
    explicit Link(Role role) : role_(role) {}

    /// Swaps in a channel; calls under way on the old one fail with channel_lost.
    void attach(std::shared_ptr<Channel> channel);
    void detach() { attach(nullptr); }
    Channel* channel() { return channel_ != nullptr && !channel_->lost() ? channel_.get() : nullptr; }
    Role role() const { return role_; }
    async::Notify& attached() { return attached_; }

    template <class M>
    async::Task<Result<typename M::Reply>> call(M message, async::Clock::duration limit) {
        async::Deadline deadline = async::in(limit);
        if (!co_await wait_for_channel(deadline))
            co_return temporary(ErrorCode::channel_lost, std::string(to_string(role_)) + " is not there");
        std::shared_ptr<Channel> channel = channel_;
        co_return co_await channel->call(std::move(message), deadline);
    }

    template <class M>
    void send(M message) {
        if (Channel* c = channel()) c->send(std::move(message));
    }

  private:
    async::Task<bool> wait_for_channel(async::Deadline deadline);
    Role role_;
    std::shared_ptr<Channel> channel_;  // calls under way keep theirs alive
    async::Notify attached_;
};

}  // namespace mox::ipc
