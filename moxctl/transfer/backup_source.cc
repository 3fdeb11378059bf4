#include "moxctl/transfer/backup_source.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

#include "common/mail/stored_file.h"
#include "common/pack/compression.h"

namespace mox::moxctl {
namespace {

/// A message that is in memory.
class TextBytes : public Bytes {
  public:
    explicit TextBytes(std::string text) : text_(std::move(text)) {}
    std::string_view read() override { return std::exchange(given_, true) ? std::string_view() : text_; }

  private:
    std::string text_;
    bool given_ = false;
};

/// A message that has a file of its own.
class StoredBytes : public Bytes {
  public:
    StoredBytes(mail::StoredFile file, uint64_t size, std::string origin)
        : file_(std::move(file)), size_(size), origin_(std::move(origin)), piece_(pack::kFrameContent, '\0') {}
    std::string_view read() override {
        size_t n = file_.read(at_, piece_);
        if (n == 0 && at_ < size_) throw Skipped(origin_, "its file is damaged in the backup");
        at_ += n;
        return std::string_view(piece_).substr(0, n);
    }

  private:
    mail::StoredFile file_;
    uint64_t size_;
    std::string origin_;
    std::string piece_;
    uint64_t at_ = 0;
};

std::string read_record(const Fd& pack, const proto::StagedMessage& message, const std::string& origin) {
    std::string bytes(pack::kRecordHead + std::min<uint64_t>(message.place.length, pack::kMaxContent), '\0');
    auto offset = static_cast<off_t>(message.place.offset);
    ssize_t n = pack ? pread(pack.get(), bytes.data(), bytes.size(), offset) : -1;
    auto record = pack::parse_record(std::string_view(bytes).substr(0, n > 0 ? static_cast<size_t>(n) : 0));
    bool right = record && record->head.content == message.content && record->head.size == message.file_size;
    auto text = right ? pack::restore(*record) : std::nullopt;
    if (!text) throw Skipped(origin, "it is missing in the backup, or damaged");
    return std::move(*text);
}

}  // namespace

bool BackupSource::next(SourceMessage& message) {
    if (messages_.empty()) return false;
    proto::StagedMessage staged = std::move(messages_.front());
    messages_.pop_front();
    message = {fmt::format("message {}", staged.uid), mailbox_, staged.flags, staged.keywords, staged.received};
    Fd file(open(copy_.path_of(staged.place.file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno != ENOENT) throw Skipped(message.origin, std::strerror(errno));
    prefix_ = std::move(staged.prefix);
    prefix_given_ = false;
    if (staged.place.kind == proto::FileKind::pack) {
        bytes_ = std::make_unique<TextBytes>(read_record(file, staged, message.origin));
        return true;
    }
    if (!copy_.missing({{staged.place.file, staged.place.length, staged.place.kind}}).empty())
        throw Skipped(message.origin, "its file is missing in the backup, or has the wrong size");
    bool is_compressed = staged.place.kind == proto::FileKind::compressed;
    mail::StoredFile stored(std::move(file), staged.file_size, is_compressed ? staged.place.length : 0);
    bytes_ = std::make_unique<StoredBytes>(std::move(stored), staged.file_size, message.origin);
    return true;
}

std::string_view BackupSource::read() {
    if (!prefix_given_) {
        prefix_given_ = true;
        if (!prefix_.empty()) return prefix_;
    }
    return bytes_->read();
}

}  // namespace mox::moxctl
