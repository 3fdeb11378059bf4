#include "common/ipc/channel.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/log/log.h"

namespace mox::ipc {
namespace {

constexpr size_t kReadChunk = 65536;
constexpr auto kWaitForPeer = std::chrono::seconds(5);

}  // namespace

std::pair<Fd, Fd> make_socket_pair() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return {};
    return {Fd(ends[0]), Fd(ends[1])};
}

Channel::Channel(Fd socket, PeerId peer) : socket_(std::move(socket)), peer_(std::move(peer)) {}

Channel::~Channel() {
    close("dropped");
}

void Channel::start() {
    scope_.spawn(write_loop());
    scope_.spawn(read_loop());
}

void Channel::close(std::string_view reason) {
    if (lost_) return;
    lost_ = true;
    log::debug("channel closed", {{"peer", peer_.name}, {"reason", reason}});
    ::shutdown(socket_.get(), SHUT_RDWR);
    for (auto& [id, pending] : pending_) {
        if (pending->result) continue;  // answered in time
        pending->result = temporary(ErrorCode::channel_lost, peer_.name + " went away");
        pending->arrived.notify_all();
    }
    lost_event_.notify_all();
    output_moved_.notify_all();
    output_ready_.notify_all();
}

void Channel::violation(std::string_view message, std::string_view what) {
    log::error("channel violation: the sender loses the channel",
               {{"peer", peer_.name}, {"message", message}, {"what", what}});
    close("violation");
}

async::Task<Result<Channel::ReplyFrame>> Channel::exchange(Kind kind, Encoder encoder, async::Deadline deadline) {
    if (lost_) co_return temporary(ErrorCode::channel_lost, peer_.name + " went away");
    if (encoder.bytes.size() > kMaxFrame || encoder.fds.size() > kMaxFdsPerFrame)
        co_return permanent(ErrorCode::bad_request, "too large for a message to " + peer_.name);
    Pending pending;
    uint32_t id = next_id_++;
    if (next_id_ == 0) next_id_ = 1;
    struct Registration {
        Channel& channel;
        uint32_t id;
        ~Registration() { channel.pending_.erase(id); }
    } registration{*this, id};
    try {
        while (output_bytes_ > kHighWater && !lost_) co_await output_moved_.wait(deadline);
        pending_.emplace(id, &pending);
        enqueue(kind, 0, id, std::move(encoder));
        unanswered_++;
        while (!pending.result) {
            if (lost_) co_return temporary(ErrorCode::channel_lost, peer_.name + " went away");
            co_await pending.arrived.wait(deadline);
        }
    } catch (const async::DeadlinePassed&) {
        co_return temporary(ErrorCode::timeout, peer_.name + " did not answer in time");
    }
    co_return std::move(*pending.result);
}

void Channel::enqueue(Kind kind, uint8_t flags, uint32_t id, Encoder encoder) {
    if (lost_) return;
    if (encoder.bytes.size() > kMaxFrame || encoder.fds.size() > kMaxFdsPerFrame) {
        log::error("frame too large to send", {{"peer", peer_.name}, {"kind", kind}, {"bytes", encoder.bytes.size()}});
        close("frame too large");
        return;
    }
    FrameHeader header{static_cast<uint32_t>(encoder.bytes.size()), id, kind, flags,
                       static_cast<uint8_t>(encoder.fds.size())};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += encoder.bytes;
    output_bytes_ += bytes.size();
    output_.push_back({std::move(bytes), std::move(encoder.fds)});
    if (output_bytes_ > kMaxQueued) {
        log::error("peer does not read", {{"peer", peer_.name}, {"bytes", output_bytes_}});
        close("peer does not read");
        return;
    }
    output_ready_.notify_all();
}

// One sendmsg takes the frames up to the next one with descriptors: those go with the first byte of their frame.
bool Channel::write_some() {
    iovec parts[64];
    size_t count = 0;
    for (auto& frame : output_) {
        if (count == std::size(parts)) break;
        if (count > 0 && !frame.fds.empty()) break;
        size_t skip = count == 0 ? output_sent_ : 0;
        parts[count++] = {frame.bytes.data() + skip, frame.bytes.size() - skip};
        if (!frame.fds.empty()) break;
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsPerFrame)];
    auto& fds = output_.front().fds;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        for (size_t i = 0; i < fds.size(); i++) {
            int fd = fds[i].get();
            std::memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
        }
    }
    ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) close(std::strerror(errno));
        return false;
    }
    fds.clear();
    auto left = static_cast<size_t>(n);
    output_bytes_ -= left;
    while (left > 0) {
        size_t rest = output_.front().bytes.size() - output_sent_;
        if (left < rest) {
            output_sent_ += left;
            break;
        }
        left -= rest;
        output_sent_ = 0;
        output_.pop_front();
    }
    output_moved_.notify_all();
    return true;
}

async::Task<void> Channel::write_loop() {
    while (!lost_) {
        if (output_.empty()) {
            co_await output_ready_.wait();
        } else if (!write_some() && !lost_) {
            co_await async::writable(socket_.get(), async::kNever);
        }
    }
}

bool Channel::quiet() const {
    return !lost_ && unanswered_ == 0 && served_ == 0 && output_.empty() && input_.empty() && input_fds_.empty();
}

async::Task<void> Channel::drain(async::Deadline deadline) {
    while (!lost_ && !output_.empty()) co_await output_moved_.wait(deadline);
}

bool Channel::receive() {
    char chunk[kReadChunk];
    iovec part{chunk, sizeof chunk};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)];  // SCM_MAX_FD
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) {
        close(n == 0 ? "closed by the peer" : std::strerror(errno));
        return false;
    }
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            input_fds_.emplace_back(fd);
        }
    }
    if (message.msg_flags & MSG_CTRUNC || input_fds_.size() > 4 * kMaxFdsPerFrame) {
        violation("-", "too many descriptors");
        return false;
    }
    input_.append(chunk, static_cast<size_t>(n));
    return true;
}

bool Channel::take_frames() {
    size_t at = 0;
    size_t incomplete = 0;  // bytes of the frame that is not all there
    while (!lost_ && !serves_enough() && input_.size() - at >= sizeof(FrameHeader)) {
        FrameHeader header;
        std::memcpy(&header, input_.data() + at, sizeof header);
        if (header.length > kMaxFrame || header.fds > kMaxFdsPerFrame || header.flags > (kReplyFlag | kErrorFlag)) {
            violation("-", "malformed header");
            return false;
        }
        if (input_.size() - at - sizeof header < header.length) {
            incomplete = sizeof header + header.length;
            break;
        }
        if (input_fds_.size() < header.fds) {
            violation("-", "descriptors missing");
            return false;
        }
        std::string_view payload(input_.data() + at + sizeof header, header.length);
        std::deque<Fd> fds;
        for (; header.fds > 0; header.fds--) {
            fds.push_back(std::move(input_fds_.front()));
            input_fds_.pop_front();
        }
        if (header.flags & kReplyFlag) {
            handle_reply(header.id, header.flags, payload, std::move(fds));
        } else {
            frame_fds_ = std::move(fds);
            if (!dispatch_ || !dispatch_(header.kind, header.id, payload))
                violation(fmt::format("kind {:#06x}", header.kind), "unknown here");
        }
        at += sizeof header + header.length;
    }
    input_.erase(0, at);
    if (input_.empty()) std::string().swap(input_);
    if (incomplete > input_.capacity()) input_.reserve(incomplete);  // at most kMaxFrame, and touched as it comes
    return !lost_;
}

void Channel::handle_reply(uint32_t id, uint8_t flags, std::string_view payload, std::deque<Fd> fds) {
    auto found = pending_.find(id);
    bool expected = found != pending_.end();
    // Its caller may have given up; but an id that was never used is a lie.
    if (unanswered_ == 0 || (!expected && (id == 0 || id >= next_id_))) return violation("reply", "to no request");
    if (expected && found->second->result) return violation("reply", "twice");
    unanswered_--;
    if (!expected) return;
    Pending& pending = *found->second;
    if (flags & kErrorFlag) {
        auto error = decode<Error>(payload);
        if (!error || !fds.empty()) return violation("reply", "error does not decode");
        pending.result = std::unexpected(std::move(*error));
    } else {
        pending.result = ReplyFrame{std::string(payload), std::move(fds)};
    }
    pending.arrived.notify_all();
}

async::Task<void> Channel::read_loop() {
    while (!lost_) {
        while (serves_enough()) co_await resume_reading_.wait();
        if (!take_frames()) break;
        if (serves_enough()) continue;
        if (receive())
            co_await async::Yield();  // others have their turn, however much a peer sends
        else if (!lost_)
            co_await async::readable(socket_.get(), async::kNever);
    }
}

void Link::attach(std::shared_ptr<Channel> channel) {
    if (channel_ != nullptr) channel_->close("replaced");
    channel_ = std::move(channel);
    attached_.notify_all();
}

async::Task<bool> Link::wait_for_channel(async::Deadline deadline) {
    async::Deadline limit = std::min(deadline, async::in(kWaitForPeer));
    try {
        while (channel() == nullptr) co_await attached_.wait(limit);
    } catch (const async::DeadlinePassed&) {
        co_return false;
    }
    co_return true;
}

}  // namespace mox::ipc
