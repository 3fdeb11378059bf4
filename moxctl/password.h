// Reading a new password: asked for twice without echo on a terminal, else one line of standard input. Never an
// argument, where other users of the machine could see it.
#pragma once

#include "moxctl/command.h"

namespace mox::moxctl {

constexpr size_t kMaxPassword = 1024;  // bytes

/// From a descriptor: a terminal or anything else that can be read.
class DescriptorPassword : public PasswordSource {
  public:
    explicit DescriptorPassword(int fd) : fd_(fd) {}
    ipc::Secret read() override;

  private:
    int fd_;
};

}  // namespace mox::moxctl
