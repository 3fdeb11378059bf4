// Every cell of the authority table: each message kind, sent by each role, reaches its handler or ends the channel.
#include <set>

#include "common/ipc/channel.h"
#include "proto/account.h"
#include "proto/admin.h"
#include "proto/auth.h"
#include "proto/control.h"
#include "proto/dns.h"
#include "proto/queue.h"
#include "proto/storage.h"
#include "proto/supervise.h"
#include "tests/unit/catch.h"

using namespace mox;
using ipc::Role;

namespace {

/// Counts what reaches it, whatever it is.
struct AnyHandler {
    int calls = 0;
    template <class M>
    auto on(M) {
        calls++;
        if constexpr (!std::is_same_v<typename M::Reply, ipc::NoReply>)
            return Result<typename M::Reply>(temporary(ErrorCode::unavailable, "test"));
    }
};

template <class M, class List>
void check_cell(List messages, Role role) {
    async::Loop loop;
    auto [here, there] = ipc::make_socket_pair();
    AnyHandler handler;
    ipc::Channel server(std::move(there), {role, "peer"});
    server.serve(messages, handler);
    server.start();
    M message{};
    ipc::Encoder encoder;
    encoder.put(message);
    ipc::FrameHeader header{static_cast<uint32_t>(encoder.bytes.size()), 1, M::kKind, 0, 0};
    std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
    frame += encoder.bytes;
    REQUIRE(write(here.get(), frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()));
    for (int i = 0; i < 3; i++) event_base_loop(loop.base(), EVLOOP_NONBLOCK);
    INFO(M::kName << " from " << ipc::to_string(role));
    bool permitted = M::kSenders.has(role);
    CHECK(handler.calls == (permitted ? 1 : 0));
    CHECK(server.lost() == !permitted);
}

template <class M, class List>
void check_row(List messages, std::set<ipc::Kind>& kinds) {
    CHECK(M::kSenders.bits != 0);
    kinds.insert(M::kKind);
    for (size_t r = 0; r < ipc::kRoleCount; r++) check_cell<M>(messages, static_cast<Role>(r));
}

template <class... M>
void check_table(ipc::Messages<M...> messages) {
    std::set<ipc::Kind> kinds;
    (check_row<M>(messages, kinds), ...);
    // No two messages of one table share a number.
    CHECK(kinds.size() == sizeof...(M));
}

/// A message's own default value comes back from its encoding; garbage behind it does not.
template <class... M>
void check_encoding(ipc::Messages<M...>) {
    auto check = []<class Message>(Message message) {
        ipc::Encoder encoder;
        encoder.put(message);
        Message back{};
        ipc::Decoder decoder(encoder.bytes);
        CHECK((decoder.get(back) && decoder.at_end()));
        std::string longer = encoder.bytes + "x";
        Message other{};
        ipc::Decoder too_long(longer);
        CHECK_FALSE((too_long.get(other) && too_long.at_end()));
    };
    (check(M{}), ...);
}

template <class List>
void check_all(List list) {
    check_table(list);
    check_encoding(list);
}

}  // namespace

TEST_CASE("storaged: who may send what") {
    check_all(proto::StorageMessages{});
    check_all(proto::ToStoraged{});
    check_all(proto::StoreAdminMessages{});
}
TEST_CASE("account channel: who may send what") {
    check_all(proto::AccountMessages{});
    check_all(proto::AccountEventMessages{});
    check_all(proto::AdminAccountMessages{});
}
TEST_CASE("authd: who may send what") {
    check_all(proto::AuthMessages{});
    check_all(proto::SignMessages{});
    check_all(proto::ToAuthd{});
}
TEST_CASE("dnsd: who may send what") {
    check_all(proto::DnsMessages{});
    check_all(proto::ToDnsd{});
}
TEST_CASE("queued: who may send what") {
    check_all(proto::QueueEventMessages{});
    check_all(proto::ToQueued{});
}
TEST_CASE("fronts and workers: who may send what") {
    check_all(proto::ToSmtpd{});
    check_all(proto::ToImapd{});
    check_all(proto::ToImapdWorker{});
    check_all(proto::ToHttpd{});
}
TEST_CASE("moxd: who may send what") {
    check_all(proto::ToMoxd{});
    check_all(proto::ControlMessages{});
}
