// The C library's calls that change files, as this program and its libraries call them: each is led through the
// recorder.
//
// The program must be linked so that its own symbols come first for shared libraries too (export_dynamic).
// Both names of each call are defined here, and neither by the headers.
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/recorder.h"

using mox::crash::Recorder;

namespace {

template <class F>
F real(const char* name) {
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

/// Calls for nothing but what is recorded pass by.
template <class F>
auto recorded(F call) {
    std::unique_lock<std::recursive_mutex> lock(Recorder::get().mutex());
    return call(Recorder::get());
}

/// Fails the call when it is its turn; true then.
bool is_to_fail(Recorder& r) {
    int error = r.next_failure();
    if (error == 0) return false;
    errno = error;
    return true;
}

bool regular(int fd, struct stat& st) {
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int open_recorded(const char* path, int flags, mode_t mode) {
    static auto call = real<int (*)(const char*, int, ...)>("open64");
    std::string name;
    if (!Recorder::get().is_on() || (flags & O_CREAT) == 0) return call(path, flags, mode);
    return recorded([&](Recorder& r) {
        if (!r.relative(path, name)) return call(path, flags, mode);
        struct stat st{};
        bool existed = lstat(path, &st) == 0;
        if (!existed && is_to_fail(r)) return -1;
        int fd = call(path, flags, mode);
        if (fd >= 0 && !existed && fstat(fd, &st) == 0) r.created(name, st.st_ino);
        if (fd >= 0 && existed && (flags & O_TRUNC) != 0) r.truncated(st.st_ino, 0);
        return fd;
    });
}

ssize_t write_recorded(int fd, const void* bytes, size_t size, off_t offset) {
    static auto call = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite64");
    if (!Recorder::get().is_on()) return call(fd, bytes, size, offset);
    return recorded([&](Recorder& r) -> ssize_t {
        struct stat st{};
        if (!regular(fd, st)) return call(fd, bytes, size, offset);
        if (is_to_fail(r)) return -1;
        ssize_t n = call(fd, bytes, size, offset);
        if (n > 0) r.wrote(st.st_ino, static_cast<uint64_t>(offset), bytes, static_cast<size_t>(n));
        return n;
    });
}

int truncate_recorded(int fd, off_t size) {
    static auto call = real<int (*)(int, off_t)>("ftruncate64");
    if (!Recorder::get().is_on()) return call(fd, size);
    return recorded([&](Recorder& r) {
        struct stat st{};
        int result = call(fd, size);
        if (result == 0 && regular(fd, st)) r.truncated(st.st_ino, static_cast<uint64_t>(size));
        return result;
    });
}

int sync_recorded(int fd, int (*call)(int)) {
    if (!Recorder::get().is_on()) return call(fd);
    return recorded([&](Recorder& r) {
        if (is_to_fail(r)) return -1;
        // On the disk that is made up, not on the real one: that would only take time.
        struct stat st{};
        if (fstat(fd, &st) != 0) return -1;
        if (S_ISREG(st.st_mode)) r.synced(st.st_ino);
        if (S_ISDIR(st.st_mode)) {
            std::string link = "/proc/self/fd/" + std::to_string(fd);
            char path[4096];
            ssize_t n = readlink(link.c_str(), path, sizeof path - 1);
            std::string name;
            if (n > 0 && r.relative(std::string(path, static_cast<size_t>(n)).c_str(), name)) r.synced_directory(name);
        }
        return 0;
    });
}

/// What a path means to the calls that take a directory as well.
std::string path_at(int directory, const char* path) {
    if (directory == AT_FDCWD || path[0] == '/') return path;
    char above[4096];
    ssize_t n = readlink(("/proc/self/fd/" + std::to_string(directory)).c_str(), above, sizeof above - 1);
    return n < 0 ? path : std::string(above, static_cast<size_t>(n)) + "/" + path;
}

int unlink_recorded(int directory, const char* path, int flags) {
    static auto call = real<int (*)(int, const char*, int)>("unlinkat");
    if (!Recorder::get().is_on()) return call(directory, path, flags);
    return recorded([&](Recorder& r) {
        struct stat st{};
        std::string name;
        bool known = fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                     r.relative(path_at(directory, path).c_str(), name);
        int result = call(directory, path, flags);
        if (result == 0 && known) r.unlinked(name, st.st_ino, S_ISDIR(st.st_mode) || st.st_nlink == 1);
        return result;
    });
}

int rename_recorded(const char* from, const char* to, unsigned flags) {
    static auto call = real<int (*)(int, const char*, int, const char*, unsigned)>("renameat2");
    std::string from_name;
    std::string to_name;
    if (!Recorder::get().is_on()) return call(AT_FDCWD, from, AT_FDCWD, to, flags);
    return recorded([&](Recorder& r) {
        if (is_to_fail(r)) return -1;
        int result = call(AT_FDCWD, from, AT_FDCWD, to, flags);
        if (result == 0 && r.relative(from, from_name) && r.relative(to, to_name)) r.moved(from_name, to_name);
        return result;
    });
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_recorded(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_recorded(path, flags, mode);
}
// NOLINTBEGIN(bugprone-reserved-identifier): the names are glibc's
int __open64_2(const char* path, int flags) {
    return open_recorded(path, flags, 0);
}
int __open_2(const char* path, int flags) {
    return open_recorded(path, flags, 0);
}
// NOLINTEND(bugprone-reserved-identifier)
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
    return write_recorded(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
    return write_recorded(fd, bytes, size, offset);
}
ssize_t write(int fd, const void* bytes, size_t size) {
    static auto call = real<ssize_t (*)(int, const void*, size_t)>("write");
    struct stat st{};
    if (!Recorder::get().is_on() || !regular(fd, st)) return call(fd, bytes, size);
    return recorded([&](Recorder& r) -> ssize_t {
        off_t offset = lseek(fd, 0, SEEK_CUR);
        if (is_to_fail(r)) return -1;
        ssize_t n = call(fd, bytes, size);
        if (n > 0) r.wrote(st.st_ino, static_cast<uint64_t>(offset), bytes, static_cast<size_t>(n));
        return n;
    });
}
int ftruncate(int fd, off_t size) noexcept {
    return truncate_recorded(fd, size);
}
int ftruncate64(int fd, off_t size) noexcept {
    return truncate_recorded(fd, size);
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
    static auto call = real<int (*)(int, int, off_t, off_t)>("fallocate64");
    if (!Recorder::get().is_on()) return call(fd, mode, offset, size);
    return recorded([&](Recorder& r) { return is_to_fail(r) ? -1 : call(fd, mode, offset, size); });
}
int fallocate64(int fd, int mode, off_t offset, off_t size) {
    return fallocate(fd, mode, offset, size);
}
int fsync(int fd) {
    return sync_recorded(fd, real<int (*)(int)>("fsync"));
}
int fdatasync(int fd) {
    return sync_recorded(fd, real<int (*)(int)>("fdatasync"));
}
int syncfs(int fd) noexcept {
    if (!Recorder::get().is_on()) return real<int (*)(int)>("syncfs")(fd);
    return recorded([&](Recorder& r) {
        if (is_to_fail(r)) return -1;
        r.synced_all();
        return 0;
    });
}
int link(const char* from, const char* to) noexcept {
    static auto call = real<int (*)(const char*, const char*)>("link");
    std::string from_name;
    std::string to_name;
    if (!Recorder::get().is_on()) return call(from, to);
    return recorded([&](Recorder& r) {
        if (is_to_fail(r)) return -1;
        int result = call(from, to);
        if (result == 0 && r.relative(from, from_name) && r.relative(to, to_name)) r.linked(from_name, to_name);
        return result;
    });
}
int rename(const char* from, const char* to) noexcept {
    return rename_recorded(from, to, 0);
}
int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
    return rename_recorded(from, to, flags);
}
int unlink(const char* path) noexcept {
    return unlink_recorded(AT_FDCWD, path, 0);
}
int unlinkat(int directory, const char* path, int flags) noexcept {
    return unlink_recorded(directory, path, flags);
}
int rmdir(const char* path) noexcept {
    return unlink_recorded(AT_FDCWD, path, AT_REMOVEDIR);
}
ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags) {
    static auto call = real<ssize_t (*)(int, off64_t*, int, off64_t*, size_t, unsigned)>("copy_file_range");
    if (!Recorder::get().is_on()) return call(from, from_offset, to, to_offset, size, flags);
    return recorded([&](Recorder& r) -> ssize_t {
        off_t offset = to_offset != nullptr ? *to_offset : lseek(to, 0, SEEK_CUR);
        if (is_to_fail(r)) return -1;
        ssize_t n = call(from, from_offset, to, to_offset, size, flags);
        struct stat st{};
        if (n <= 0 || fstat(to, &st) != 0) return n;
        std::string bytes(static_cast<size_t>(n), '\0');
        // What was written may be open for writing only.
        int again = open(("/proc/self/fd/" + std::to_string(to)).c_str(), O_RDONLY | O_CLOEXEC);
        if (again < 0 || pread(again, bytes.data(), bytes.size(), offset) != n) abort();
        close(again);
        r.wrote(st.st_ino, static_cast<uint64_t>(offset), bytes.data(), bytes.size());
        return n;
    });
}
int mkdir(const char* path, mode_t mode) noexcept {
    static auto call = real<int (*)(const char*, mode_t)>("mkdir");
    std::string name;
    if (!Recorder::get().is_on()) return call(path, mode);
    return recorded([&](Recorder& r) {
        struct stat st{};
        if (lstat(path, &st) != 0 && is_to_fail(r)) return -1;
        int result = call(path, mode);
        if (result == 0 && r.relative(path, name)) r.made_directory(name);
        return result;
    });
}

}  // extern "C"
