#include "storaged/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <unordered_set>

#include "common/log/log.h"
#include "common/text/ascii.h"

namespace mox::storaged {
namespace {

constexpr size_t kMemoryChunk = 64 * 1024;

/// Numbers that are names in a directory; nothing when there is no such directory.
std::vector<uint64_t> numbers_in(const std::string& path) {
    std::vector<uint64_t> numbers;
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (directory == nullptr) {
        if (errno == ENOENT) return numbers;
        fail_errno("opening a directory");
    }
    while (const dirent* entry = readdir(directory.get()))
        if (auto number = text::parse_number<uint64_t>(entry->d_name)) numbers.push_back(*number);
    return numbers;
}

/// As in the syncer: after a failed sync nothing may be acknowledged any more.
void sync_fd(const Fd& fd) {
    if (fsync(fd.get()) != 0) log::fatal("the disk failed: ending", {{"error", std::strerror(errno)}});
}

/// Directories of message files that exist and are durable in the one above. A directory that another delivery has just
/// made may not be on disk yet, so existence alone says nothing.
class DurableDirectories {
  public:
    void make(const std::string& path) {
        std::lock_guard lock(mutex_);
        if (known_.contains(path)) return;
        if (known_.size() >= kMaxKnown) known_.clear();
        make_directories(path);
        sync_directory(directory_of(path));
        known_.insert(path);
    }
    void forget(const std::string& path) {
        std::lock_guard lock(mutex_);
        known_.erase(path);
    }

  private:
    static constexpr size_t kMaxKnown = 10000;
    std::mutex mutex_;
    std::unordered_set<std::string> known_;
};

DurableDirectories& durable_directories() {
    static DurableDirectories directories;
    return directories;
}

/// Finds a name among the strays that `make` can make: it returns false, with errno, when it cannot.
template <class F>
void make_stray(const FileTree& tree, uint64_t number, F make) {
    make_directories(tree.strays);
    std::string to = fmt::format("{}/{}.{}", tree.strays, number, std::time(nullptr));
    for (int n = 0; !make(to); n++) {
        if (errno != EEXIST || n == 100) fail_errno("putting a stray file aside");
        to = fmt::format("{}/{}.{}.{}", tree.strays, number, std::time(nullptr), n);
    }
}

/// Tries to make the name of `target` with `make`, which returns 0 or an errno; mends what stands in its way: a missing
/// directory, a stray of an interrupted delivery. What `make` returned last.
template <class F>
int make_name(const LinkedFile& target, F make) {
    std::string directory = target.tree.directory_of(target.file);
    durable_directories().make(directory);
    int error = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        error = make();
        if (error == ENOENT && access(directory.c_str(), F_OK) != 0) {
            durable_directories().forget(directory);  // the account was moved aside and made anew
            durable_directories().make(directory);
        } else if (error == EEXIST) {
            put_aside(target.tree, target.file);
        } else {
            break;
        }
    }
    return error;
}

}  // namespace

std::string FileTree::directory_of(uint64_t file) const {
    return fmt::format("{}/{}", root, file >> kDirectoryShift);
}

std::string FileTree::path_of(uint64_t file) const {
    return fmt::format("{}/{}/{}", root, file >> kDirectoryShift, file);
}

Fd open_directory(const std::string& path) {
    Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) fail_errno("opening a directory");
    return fd;
}

std::string directory_of(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? "." : std::string(path.substr(0, slash));
}

void sync_directory(const std::string& path) {
    sync_fd(open_directory(path));
}

void sync_directory(const Fd& directory) {
    sync_fd(directory);
}

void make_directories(const std::string& path) {
    for (size_t at = 0; at != std::string::npos;) {
        at = path.find('/', at + 1);
        std::string part = path.substr(0, at);
        if (mkdir(part.c_str(), 0700) == 0) {
            sync_directory(directory_of(part));
        } else if (errno != EEXIST) {
            fail_errno("making a directory");
        }
    }
}

bool write_all(const Fd& file, std::string_view bytes, uint64_t offset) {
    while (!bytes.empty()) {
        ssize_t n = pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        offset += static_cast<uint64_t>(n);
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

bool link_file(const std::string& source, const LinkedFile& target) {
    std::string path = target.tree.path_of(target.file);
    int error = make_name(target, [&] { return link(source.c_str(), path.c_str()) == 0 ? 0 : errno; });
    if (error == 0) return true;
    // EMLINK: more names than the file system allows.
    if (error == ENOENT || error == EMLINK) return false;
    errno = error;
    fail_errno("linking a message file");
}

Fd make_file(const LinkedFile& target) {
    std::string path = target.tree.path_of(target.file);
    Fd fd;
    int error = make_name(target, [&] {
        fd = Fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        return fd ? 0 : errno;
    });
    errno = error;
    if (error != 0) fail_errno("making a message file");
    return fd;
}

void remove_files(const std::vector<LinkedFile>& files) {
    for (const LinkedFile& file : files)
        if (unlink(file.tree.path_of(file.file).c_str()) != 0 && errno != ENOENT)
            log::warn("cannot remove a message file", {{"file", file.file}, {"error", std::strerror(errno)}});
}

bool is_size_of(proto::FileKind kind, uint64_t size, uint64_t stated) {
    return kind == proto::FileKind::pack ? size >= stated : size == stated;
}

Fd open_message(const FileTree& tree, uint64_t file, uint64_t size, proto::FileKind kind) {
    Fd fd(open(tree.path_of(file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st{};
    if (!fd) {
        if (errno != ENOENT) fail_errno("opening a message file");
        log::error("a message file is missing", {{"tree", tree.root}, {"file", file}});
    } else if (fstat(fd.get(), &st) != 0 || !is_size_of(kind, static_cast<uint64_t>(st.st_size), size)) {
        log::error("a message file has the wrong size",
                   {{"tree", tree.root}, {"file", file}, {"expected", size}, {"is", st.st_size}});
        fd.reset();
    }
    return fd;
}

std::vector<uint64_t> directories_of(const FileTree& tree) {
    std::vector<uint64_t> directories = numbers_in(tree.root);
    std::ranges::sort(directories);
    return directories;
}

std::vector<uint64_t> files_in(const FileTree& tree, uint64_t directory) {
    std::vector<uint64_t> files = numbers_in(fmt::format("{}/{}", tree.root, directory));
    std::erase_if(files, [&](uint64_t file) { return file >> kDirectoryShift != directory; });
    std::ranges::sort(files);
    return files;
}

std::vector<uint64_t> files_from(const FileTree& tree, uint64_t from) {
    std::vector<uint64_t> found;
    for (uint64_t directory : numbers_in(tree.root)) {
        if (directory < from >> kDirectoryShift) continue;
        for (uint64_t file : numbers_in(fmt::format("{}/{}", tree.root, directory)))
            if (file >= from && file >> kDirectoryShift == directory) found.push_back(file);
    }
    return found;
}

void put_aside(const FileTree& tree, uint64_t file) {
    // RENAME_NOREPLACE: two strays of one number in one second keep both.
    make_stray(tree, file, [&](const std::string& to) {
        return renameat2(AT_FDCWD, tree.path_of(file).c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0;
    });
    log::warn("a file without a row was put aside", {{"tree", tree.root}, {"file", file}});
}

void put_aside(const FileTree& tree, uint64_t content, std::string_view bytes) {
    Fd fd;
    std::string name;
    make_stray(tree, content, [&](const std::string& to) {
        name = to;
        fd = Fd(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        return static_cast<bool>(fd);
    });
    errno = ENOSPC;  // what a short write means
    if (write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
        int error = errno;
        unlink(name.c_str());
        errno = error;
        fail_errno("writing a stray file");
    }
    sync_fd(fd);
    sync_directory(tree.strays);
    log::warn("a message without a row was put aside", {{"tree", tree.root}, {"content", content}});
}

MemoryFile::MemoryFile() : fd_(memfd_create("mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (!fd_) fail_errno("making a memory file");
    buffer_.reserve(kMemoryChunk);
}

void MemoryFile::append(const void* data, size_t size) {
    if (buffer_.size() + size > kMemoryChunk) flush();
    buffer_.append(static_cast<const char*>(data), size);
}

void MemoryFile::flush() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        ssize_t n = write(fd_.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_errno("writing a memory file");
        rest.remove_prefix(static_cast<size_t>(n));
    }
    buffer_.clear();
}

Fd MemoryFile::seal() {
    flush();
    if (fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        fail_errno("sealing a memory file");
    return std::move(fd_);
}

bool SpaceReserve::has_space() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (ms < next_look_) return enough_;
    next_look_ = ms + 1000;
    struct statvfs fs{};
    if (statvfs(".", &fs) == 0) enough_ = fs.f_bavail * fs.f_frsize >= reserve_;
    return enough_;
}

}  // namespace mox::storaged
