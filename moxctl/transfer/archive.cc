#include "moxctl/transfer/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <clocale>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <iconv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moxctl/transfer/directory.h"

namespace mox::moxctl {
namespace {

constexpr size_t kPiece = 64u << 10;

bool is_maildir_part(std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path == "cur" || path == "new" || path.ends_with("/cur") || path.ends_with("/new");
}

}  // namespace

void prepare_archives() {
    // Names in UTF-8 stay as they are; what converters there are is found out now.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    // A zone with a name is read once; else each look at the clock would look for a changed file.
    setenv("TZ", ":/etc/localtime", 0);
    tzset();
    if (iconv_t converter = iconv_open("UTF-8", "CP437"); converter != reinterpret_cast<iconv_t>(-1))
        iconv_close(converter);
}

/// The bytes of the archive's present entry.
class ArchiveSource::EntryBytes : public Bytes {
  public:
    /// `begin` was read already.
    EntryBytes(ArchiveSource& source, std::string begin) : source_(source), begin_(std::move(begin)) {}
    std::string_view read() override {
        if (!begin_.empty()) {
            buffer_ = std::exchange(begin_, {});
            return buffer_;
        }
        buffer_.resize(kPiece);
        la_ssize_t n = archive_read_data(source_.archive_.get(), buffer_.data(), buffer_.size());
        if (n < 0) source_.fail(n == ARCHIVE_FATAL);
        return std::string_view(buffer_).substr(0, static_cast<size_t>(n));
    }

  private:
    ArchiveSource& source_;
    std::string begin_;
    std::string buffer_;
};

void ArchiveSource::Close::operator()(archive* a) const {
    archive_read_free(a);
}

ArchiveSource::ArchiveSource(Fd file, ArchiveFormat format) : file_(std::move(file)), format_(format) {}

ArchiveSource::~ArchiveSource() = default;

void ArchiveSource::open() {
    archive_.reset(archive_read_new());
    if (archive_ == nullptr) throw Broken("no memory");
    archive* a = archive_.get();
    if (format_ == ArchiveFormat::zip) {
        archive_read_support_format_zip(a);
    } else {
        archive_read_support_format_tar(a);
        archive_read_support_filter_gzip(a);
    }
    if (lseek(file_.get(), 0, SEEK_SET) != 0) throw Broken("the archive must be a file that can be read twice");
    if (archive_read_open_fd(a, file_.get(), kPiece) != ARCHIVE_OK) fail(true);
}

void ArchiveSource::fail(bool fatal) {
    const char* text = archive_error_string(archive_.get());
    std::string reason = text != nullptr ? text : "damaged";
    if (fatal) throw Broken("the archive cannot be read: " + reason);
    throw Skipped(path_, reason);
}

bool ArchiveSource::next_entry() {
    int result = archive_read_next_header(archive_.get(), &entry_);
    if (result == ARCHIVE_EOF) return false;
    if (result == ARCHIVE_FATAL || result == ARCHIVE_RETRY) fail(true);
    const char* name = archive_entry_pathname_utf8(entry_);
    if (name == nullptr) name = archive_entry_pathname(entry_);
    path_ = name != nullptr ? name : "?";
    while (path_.starts_with("./")) path_.erase(0, 2);
    if (result == ARCHIVE_FAILED) fail(false);
    return true;
}

/// The first pass.
void ArchiveSource::look_around() {
    open();
    for (;;) {
        try {
            if (!next_entry()) break;
        } catch (const Skipped&) {
            continue;  // it is said in the second pass
        }
        if (archive_entry_filetype(entry_) == AE_IFDIR && is_maildir_part(path_)) tree_.note_maildir(path_);
        if (archive_entry_filetype(entry_) != AE_IFREG) continue;
        FileKind kind = kind_of(path_);
        if (kind == FileKind::keywords) {
            std::string text(kMaxKeywordsFile, '\0');
            la_ssize_t n = archive_read_data(archive_.get(), text.data(), text.size());
            tree_.set_keywords(path_, std::string_view(text).substr(0, n > 0 ? static_cast<size_t>(n) : 0));
        } else if (kind != FileKind::ignored) {
            tree_.note(path_);
        }
    }
    tree_.strip_common();
    looked_around_ = true;
    open();
}

bool ArchiveSource::next(SourceMessage& message) {
    if (!looked_around_) look_around();
    bytes_.reset();
    for (;;) {
        if (mbox_ != nullptr) {
            if (mbox_->next(message)) return true;
            mbox_.reset();
        }
        if (!next_entry()) return false;
        if (archive_entry_filetype(entry_) == AE_IFDIR) {
            if (take_directory(message)) return true;
            continue;
        }
        if (kind_of(path_) == FileKind::ignored || kind_of(path_) == FileKind::keywords) continue;
        if (archive_entry_filetype(entry_) != AE_IFREG) throw Skipped(path_, "not a regular file");
        if (take_entry(message)) return true;
    }
}

/// The cur or new of a maildir says that there is one, also when no message is in it.
bool ArchiveSource::take_directory(SourceMessage& message) {
    while (path_.ends_with('/')) path_.pop_back();
    if (!is_maildir_part(path_)) return false;
    message = {};
    message.origin = path_;
    message.kind = SourceKind::mailbox;
    message.mailbox = tree_.mailbox_of(directory_of(path_));
    return true;
}

/// False when the entry is not a message by itself.
bool ArchiveSource::take_entry(SourceMessage& message) {
    FileKind kind = kind_of(path_);
    message = {};
    message.origin = path_;
    if (kind == FileKind::perhaps) {
        std::string begin(5, '\0');
        la_ssize_t n = archive_read_data(archive_.get(), begin.data(), begin.size());
        if (n < 0) fail(n == ARCHIVE_FATAL);
        if (n == 0) return empty_mailbox(tree_, path_, message);
        if (begin != "From ") throw Skipped(path_, "neither in a maildir nor an mbox nor a message (.eml)");
        auto bytes = std::make_unique<EntryBytes>(*this, std::move(begin));
        mbox_ = std::make_unique<MboxSource>(std::move(bytes), path_, tree_.mailbox_for(path_));
        return false;
    }
    bytes_ = std::make_unique<EntryBytes>(*this, std::string());
    if (kind == FileKind::single) {
        message.mailbox = tree_.mailbox_for(path_);
        return true;
    }
    tree_.describe(path_, message);
    int64_t time = archive_entry_mtime_is_set(entry_) != 0 ? archive_entry_mtime(entry_) : INT64_MAX;
    time = maildir_time(std::string_view(path_).substr(path_.rfind('/') + 1), time);
    if (time != INT64_MAX) message.received = proto::Timestamp{time, 0};
    return true;
}

std::string_view ArchiveSource::read() {
    if (mbox_ != nullptr) return mbox_->read();
    return bytes_ != nullptr ? bytes_->read() : std::string_view();
}

}  // namespace mox::moxctl
