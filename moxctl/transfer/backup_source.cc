#include "moxctl/transfer/backup_source.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>

namespace mox::moxctl {

bool BackupSource::next(SourceMessage& message) {
    if (messages_.empty()) return false;
    proto::StagedMessage staged = std::move(messages_.front());
    messages_.pop_front();
    message = {fmt::format("message {}", staged.uid), mailbox_, staged.flags, staged.keywords, staged.received};
    if (!copy_.missing({{staged.file, staged.file_size}}).empty())
        throw Skipped(message.origin, "its file is missing in the backup, or has the wrong size");
    Fd file(open(copy_.path_of(staged.file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) throw Skipped(message.origin, std::strerror(errno));
    prefix_ = std::move(staged.prefix);
    prefix_given_ = false;
    file_ = std::make_unique<FileBytes>(std::move(file), message.origin);
    return true;
}

std::string_view BackupSource::read() {
    if (!prefix_given_) {
        prefix_given_ = true;
        if (!prefix_.empty()) return prefix_;
    }
    return file_->read();
}

}  // namespace mox::moxctl
