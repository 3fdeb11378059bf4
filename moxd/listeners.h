// The listening sockets: bound by moxd, which may; used by the fronts, which may not bind.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "moxd/settings.h"

namespace mox::moxd {

class Listeners {
  public:
    /// Binds what is new and keeps what is there already. On an error nothing changes; the text names address and port.
    Result<ipc::Done> update(const std::vector<Endpoint>& endpoints);
    /// For a front of this role: its listeners with sockets of its own.
    std::vector<proto::Listener> for_role(const std::vector<Endpoint>& endpoints, ipc::Role role) const;
    void close() { sockets_.clear(); }

  private:
    std::map<std::pair<std::string, uint16_t>, Fd> sockets_;
};

}  // namespace mox::moxd
