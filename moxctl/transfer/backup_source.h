// Messages out of a backup, as the source of an import.
#pragma once

#include <deque>
#include <memory>

#include "moxctl/transfer/backup_directory.h"
#include "moxctl/transfer/source.h"

namespace mox::moxctl {

class BackupSource : public Source {
  public:
    /// `messages` are what storaged said of the staged database.
    BackupSource(const StoredCopy& copy, std::deque<proto::StagedMessage> messages, std::string mailbox)
        : copy_(copy), messages_(std::move(messages)), mailbox_(std::move(mailbox)) {}
    bool next(SourceMessage& message) override;
    std::string_view read() override;

  private:
    const StoredCopy& copy_;
    std::deque<proto::StagedMessage> messages_;
    std::string mailbox_;
    std::string prefix_;
    bool prefix_given_ = false;
    std::unique_ptr<Bytes> bytes_;
};

}  // namespace mox::moxctl
