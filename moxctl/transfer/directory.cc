#include "moxctl/transfer/directory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/text/ascii.h"

namespace mox::moxctl {
namespace {

constexpr size_t kNamesAtOnce = 32u << 20;  // bytes of names that are sorted together

std::string join(const std::string& directory, std::string_view name) {
    return directory.empty() ? std::string(name) : directory + '/' + std::string(name);
}

/// Regular files only; never blocks.
Fd open_file(const std::string& path, struct stat& st) {
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!fd && errno == ENOENT) throw Skipped(path, "gone, or renamed since: import again");
    if (!fd && errno == ELOOP) throw Skipped(path, "a symbolic link");
    if (!fd) throw Skipped(path, std::strerror(errno));
    if (fstat(fd.get(), &st) != 0) throw Skipped(path, std::strerror(errno));
    if (!S_ISREG(st.st_mode)) throw Skipped(path, "not a regular file");
    return fd;
}

bool is_directory(const std::string& path, unsigned char type) {
    if (type != DT_UNKNOWN) return type == DT_DIR;
    struct stat st{};
    return lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

std::string read_small(const Fd& file) {
    std::string text(kMaxKeywordsFile, '\0');
    ssize_t n = pread(file.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
}

}  // namespace

int64_t maildir_time(std::string_view name, int64_t file_time) {
    size_t dot = name.find('.');
    if (dot == std::string_view::npos) return file_time;
    auto named = text::parse_number<uint64_t>(name.substr(0, dot));
    // Names of other kinds begin with other numbers: a time lies between 1980 and 2100.
    constexpr uint64_t kEarliest = 315532800;
    constexpr uint64_t kLatest = 4102444800;
    if (!named || *named < kEarliest || *named > kLatest) return file_time;
    return std::min(static_cast<int64_t>(*named), file_time);
}

DirectorySource::DirectorySource() {
    directories_.emplace_back();
}

void DirectorySource::enter(const std::string& path) {
    if (static_cast<size_t>(std::ranges::count(path, '/')) > kMaxDepth) throw Skipped(path, "nested too deeply");
    Fd fd(open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    DIR* directory = fd ? fdopendir(fd.get()) : nullptr;
    if (directory == nullptr) throw Skipped(path, std::strerror(errno));
    (void)fd.release();
    open_ = {path, std::unique_ptr<DIR, CloseDirectory>(directory)};
    Fd keywords(open(join(path, "dovecot-keywords").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (keywords) tree_.set_keywords(join(path, "dovecot-keywords"), read_small(keywords));
}

/// The next names of the open directory, sorted; false when there are none.
bool DirectorySource::fill_names() {
    size_t bytes = 0;
    while (bytes < kNamesAtOnce) {
        const dirent* entry = readdir(open_.directory.get());
        if (entry == nullptr) break;
        std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        std::string path = join(open_.path, name);
        if (!is_directory(path, entry->d_type)) {
            names_.emplace_back(name);
            bytes += name.size() + sizeof(std::string);
        } else if (is_maildir_ |= name == "cur" || name == "new"; name != "tmp") {
            if (directories_.size() + below_.size() >= 4 * kMaxFolders) throw Broken("too many directories");
            below_.push_back(std::move(path));
        }
    }
    std::ranges::sort(names_, std::greater());
    return !names_.empty();
}

/// True when it was a maildir: then `message` says where its messages, if any, belong.
bool DirectorySource::leave(SourceMessage& message) {
    message = {};
    message.origin = open_.path;
    message.kind = SourceKind::mailbox;
    message.mailbox = tree_.mailbox_of(open_.path);
    open_ = {};
    // What is below comes next, so that a mailbox is done before the next begins.
    std::ranges::sort(below_, std::greater());
    for (std::string& path : below_) directories_.push_front(std::move(path));
    below_.clear();
    return std::exchange(is_maildir_, false);
}

bool DirectorySource::next(SourceMessage& message) {
    file_.reset();
    for (;;) {
        if (mbox_ != nullptr) {
            if (mbox_->next(message)) return true;
            mbox_.reset();
        }
        if (names_.empty() && (open_.directory == nullptr || !fill_names())) {
            if (open_.directory != nullptr && leave(message)) return true;
            if (directories_.empty()) return false;
            std::string path = std::move(directories_.front());
            directories_.pop_front();
            enter(path);
            continue;
        }
        std::string path = join(open_.path, names_.back());
        names_.pop_back();
        if (take_file(path, message)) return true;
    }
}

/// False when the file is not a message by itself.
bool DirectorySource::take_file(const std::string& path, SourceMessage& message) {
    FileKind kind = kind_of(path);
    if (kind == FileKind::ignored || kind == FileKind::keywords) return false;
    struct stat st{};
    Fd file = open_file(path, st);
    message = {};
    message.origin = path;
    if (kind == FileKind::perhaps && st.st_size == 0) return empty_mailbox(tree_, path, message);
    if (kind == FileKind::perhaps) return begin_mbox(std::move(file), path);
    int64_t time = st.st_mtime;
    if (kind == FileKind::message) {
        tree_.describe(path, message);
        time = maildir_time(std::string_view(path).substr(path.rfind('/') + 1), time);
        message.received = proto::Timestamp{time, 0};
    } else {
        message.mailbox = tree_.mailbox_for(path);
    }
    file_ = std::make_unique<FileBytes>(std::move(file), path);
    return true;
}

bool DirectorySource::begin_mbox(Fd file, const std::string& path) {
    char begin[5];
    ssize_t n = pread(file.get(), begin, sizeof begin, 0);
    if (std::string_view(begin, n > 0 ? static_cast<size_t>(n) : 0) != "From ")
        throw Skipped(path, "neither in a maildir nor an mbox");
    mbox_ =
        std::make_unique<MboxSource>(std::make_unique<FileBytes>(std::move(file), path), path, tree_.mailbox_for(path));
    return false;
}

std::string_view DirectorySource::read() {
    if (mbox_ != nullptr) return mbox_->read();
    return file_ != nullptr ? file_->read() : std::string_view();
}

}  // namespace mox::moxctl
