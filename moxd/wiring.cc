#include "moxd/wiring.h"

#include <algorithm>
#include <array>

namespace mox::moxd {

using ipc::Role;
using proto::ChannelUse;

namespace {

struct Edge {
    Role client;
    Role server;
    ChannelUse use;
};
constexpr std::array kWiring = {
    Edge{Role::smtpd, Role::storaged, ChannelUse::calls},   Edge{Role::smtpd, Role::authd, ChannelUse::calls},
    Edge{Role::smtpd, Role::authd, ChannelUse::signatures}, Edge{Role::smtpd, Role::dnsd, ChannelUse::calls},
    Edge{Role::imapd, Role::authd, ChannelUse::calls},      Edge{Role::imapd, Role::authd, ChannelUse::signatures},
    Edge{Role::httpd, Role::authd, ChannelUse::signatures}, Edge{Role::queued, Role::storaged, ChannelUse::calls},
    Edge{Role::queued, Role::authd, ChannelUse::calls},     Edge{Role::queued, Role::dnsd, ChannelUse::calls},
    Edge{Role::authd, Role::storaged, ChannelUse::calls},
};

}  // namespace

bool is_front(Role role) {
    return role == Role::smtpd || role == Role::imapd || role == Role::httpd;
}

bool is_wired(Role client, Role server, ChannelUse use) {
    return std::ranges::any_of(
        kWiring, [&](const Edge& edge) { return edge.client == client && edge.server == server && edge.use == use; });
}

void connect(Child& client, Child& server) {
    for (ChannelUse use : {ChannelUse::calls, ChannelUse::signatures})
        if (is_wired(client.spec().role, server.spec().role, use)) connect(client, server, use);
}

void connect(Child& client, Child& server, ChannelUse use) {
    Role from = client.spec().role;
    Role to = server.spec().role;
    auto [here, there] = ipc::make_socket_pair();
    if (use == ChannelUse::calls) {
        client.link().send(proto::GivePeer{to, server.name(), std::move(here)});
        server.link().send(proto::GivePeer{from, client.name(), std::move(there)});
    } else {
        client.link().send(proto::GiveSigner{std::move(here)});
        server.link().send(proto::GiveSignClient{from, client.name(), std::move(there)});
    }
}

}  // namespace mox::moxd
