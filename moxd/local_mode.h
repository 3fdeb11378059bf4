// Local mode: a directory with a configuration for trying the suite on this machine, made when it is not there.
#pragma once

#include <string>

#include "common/error.h"
#include "common/ipc/message.h"

namespace mox::moxd {

struct LocalDirectory {
    std::string path;  // absolute
    std::string config_file;
    bool needs_password;  // the account's password is still to be set
};

constexpr const char* kLocalPassword = "moxmoxmox";

/// Makes what is missing: mox.conf, domains.conf, a certificate and its key. Files that are there stay as they are.
Result<LocalDirectory> prepare_local_directory(const std::string& path, unsigned port_offset);
/// The password has been set: not to be set again.
void password_is_set(const LocalDirectory& directory);

}  // namespace mox::moxd
