// Who may talk to whom: the one table of it, and the making of channels between two children.
#pragma once

#include "common/ipc/message.h"
#include "moxd/child.h"
#include "proto/supervise.h"

namespace mox::moxd {

/// A program that accepts connections from outside.
bool is_front(ipc::Role role);
/// Whether the client asks and the server answers: by calls, or for the signatures of TLS handshakes.
bool is_wired(ipc::Role client, ipc::Role server, proto::ChannelUse use);
/// Gives both a new channel for each use they are wired for. A channel they have for it is replaced.
void connect(Child& client, Child& server);
void connect(Child& client, Child& server, proto::ChannelUse use);

}  // namespace mox::moxd
