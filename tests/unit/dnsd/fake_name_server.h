// A name server for tests.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>

#include "common/async/fd.h"
#include "common/async/loop.h"
#include "tests/unit/dnsd/packet.h"

namespace mox::dnsd::testing {

/// A name server on loopback: answers A for names that begin with "ok", "no such name" for others, nothing for
/// "silent".
class FakeNameServer {
  public:
    FakeNameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        check(static_cast<bool>(socket_));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        check(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        socklen_t size = sizeof address;
        getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        scope_.spawn(run());
    }
    std::string address() const { return "127.0.0.1@" + std::to_string(port_); }
    int asked = 0;

  private:
    static void check(bool ok) {
        if (!ok) throw std::runtime_error("no socket on loopback");
    }
    async::Task<void> run() {
        for (;;) {
            co_await async::readable(socket_.get(), async::kNever);
            char query[1500];
            sockaddr_in from{};
            socklen_t size = sizeof from;
            ssize_t n = recvfrom(socket_.get(), query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (n < 17) continue;
            asked++;
            answer(std::string(query, static_cast<size_t>(n)), from);
        }
    }
    void answer(const std::string& query, const sockaddr_in& from) {
        std::string first(query.substr(13, static_cast<unsigned char>(query[12])));
        if (first == "silent") return;
        bool cut = first == "tcp";
        size_t end = query.find('\0', 12) + 1;
        bool ok = first == "ok" && query.substr(end, 2) == u16(1);
        std::string reply = query.substr(0, 2) +
                            u16(cut  ? 0x8380
                                : ok ? 0x8180
                                     : 0x8183) +
                            u16(1) + u16(ok) + u32(0) + query.substr(12, end + 4 - 12);
        if (ok) reply += kQuestionPointer + u16(1) + u16(1) + u32(300) + u16(4) + std::string("\xc0\x00\x02\x09", 4);
        sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from), sizeof from);
    }
    Fd socket_;
    uint16_t port_ = 0;
    async::Scope scope_;
};

}  // namespace mox::dnsd::testing
