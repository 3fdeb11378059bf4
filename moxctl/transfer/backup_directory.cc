#include "moxctl/transfer/backup_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mail/stored_file.h"
#include "common/pack/record.h"
#include "common/text/ascii.h"
#include "moxctl/connection.h"
#include "moxctl/transfer/target.h"

namespace mox::moxctl {
namespace {

[[noreturn]] void fail(const std::string& path) {
    throw Failed(Error{Persistence::temporary, ErrorCode::io, fmt::format("{}: {}", path, std::strerror(errno))});
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (directory == nullptr) {
        if (errno == ENOENT) return names;
        fail(path);
    }
    while (const dirent* entry = readdir(directory.get()))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    std::ranges::sort(names);
    return names;
}

std::vector<uint64_t> numbers_in(const std::string& path) {
    std::vector<uint64_t> numbers;
    for (const std::string& name : names_in(path))
        if (auto number = text::parse_number<uint64_t>(name)) numbers.push_back(*number);
    std::ranges::sort(numbers);
    return numbers;
}

/// A short file; empty when it is not there.
std::string read_note(const std::string& path) {
    Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file && errno == ENOENT) return {};
    std::string bytes(64, '\0');
    ssize_t n = file ? read(file.get(), bytes.data(), bytes.size()) : -1;
    if (n < 0) fail(path);
    bytes.resize(static_cast<size_t>(n));
    return bytes;
}

/// As root by the descriptor itself, else through its name in /proc.
bool link_to(const Fd& file, const std::string& path) {
    if (linkat(file.get(), "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH) == 0) return true;
    std::string name = fmt::format("/proc/self/fd/{}", file.get());
    return linkat(AT_FDCWD, name.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

void copy_bytes(const Fd& from, const Fd& to, uint64_t size, const std::string& path) {
    if (ioctl(to.get(), FICLONE, from.get()) == 0) {
        if (ftruncate(to.get(), static_cast<off_t>(size)) != 0) fail(path);
        return;
    }
    std::string buffer(256u << 10, '\0');
    for (uint64_t offset = 0; offset < size;) {
        size_t piece = std::min<uint64_t>(buffer.size(), size - offset);
        ssize_t n = pread(from.get(), buffer.data(), piece, static_cast<off_t>(offset));
        if (n == 0) errno = EIO;
        if (n <= 0 || write(to.get(), buffer.data(), static_cast<size_t>(n)) != n) fail(path);
        offset += static_cast<uint64_t>(n);
    }
}

/// A new file with the first `size` bytes and, as root, the same owner.
void copy_to(const Fd& from, uint64_t size, const std::string& path) {
    Fd to(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!to) fail(path);
    copy_bytes(from, to, size, path);
    struct stat st{};
    if (geteuid() == 0 && fstat(from.get(), &st) == 0 && fchown(to.get(), st.st_uid, st.st_gid) != 0) fail(path);
}

}  // namespace

StoredCopy::StoredCopy(const std::string& backup, const std::string& account)
    : backup_(backup),
      account_(account),
      directory_(account.empty() ? backup : fmt::format("{}/accounts/{}", backup, account)),
      top_(directory_ + (account.empty() ? "/queue" : "/msg")),
      database_(directory_ + (account.empty() ? "/queue.db" : "/index.db")),
      history_(directory_ + (account.empty() ? "/queue.history" : "/history")),
      half_moved_(backup + "/replaced/" + (account.empty() ? "queue" : "account." + account) + ".part") {}

bool StoredCopy::is_there() const {
    return access(history_.c_str(), F_OK) == 0 || access(database_.c_str(), F_OK) == 0;
}

std::string StoredCopy::take_up(uint64_t history) const {
    std::string text = fmt::format("{:016x}\n", history);
    if (read_note(history_) == text) return {};
    bool is_other = access(database_.c_str(), F_OK) == 0 || access(top_.c_str(), F_OK) == 0;
    std::string aside = is_other || access(half_moved_.c_str(), F_OK) == 0 ? set_aside() : std::string();
    make_directories(directory_);
    NewFile note(history_ + ".new");
    note.write(text);
    note.keep_as(history_, 0);
    sync_all(directory_);
    return aside;
}

// Into replaced/N, which is a backup too, and has this name when it is whole: what was interrupted goes on.
std::string StoredCopy::set_aside() const {
    make_directories(half_moved_ + (account_.empty() ? "" : "/accounts"));
    std::string note = backup_ + "/backup.json";
    struct stat st{};
    if (Fd file(open(note.c_str(), O_RDONLY | O_CLOEXEC)); file && fstat(file.get(), &st) == 0)
        copy_to(file, static_cast<uint64_t>(st.st_size), half_moved_ + "/backup.json");
    StoredCopy there(half_moved_, account_);
    auto move = [](const std::string& from, const std::string& to) {
        if (rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) fail(from);
    };
    if (account_.empty()) {
        move(top_, there.top_);
        move(database_, there.database_);
        move(history_, there.history_);
    } else {
        move(directory_, there.directory_);
    }
    std::string aside;
    for (int number = 1; aside.empty(); number++) {
        std::string name = fmt::format("{}/replaced/{}", backup_, number);
        if (mkdir(name.c_str(), 0700) == 0) {
            aside = name;
        } else if (errno != EEXIST) {
            fail(name);
        }
    }
    // In the place of the empty one.
    if (rename(half_moved_.c_str(), aside.c_str()) != 0) fail(aside);
    sync_all(backup_);
    return aside;
}

std::string StoredCopy::directory_of(uint64_t directory) const {
    return fmt::format("{}/{}", top_, directory);
}

std::string StoredCopy::path_of(uint64_t file) const {
    return fmt::format("{}/{}/{}", top_, file >> proto::kMessageDirectoryShift, file);
}

std::vector<proto::FileRow> StoredCopy::missing(const std::vector<proto::FileRow>& files) const {
    std::vector<proto::FileRow> missing;
    for (const proto::FileRow& row : files) {
        struct stat st{};
        bool there = lstat(path_of(row.number).c_str(), &st) == 0 && S_ISREG(st.st_mode);
        auto size = static_cast<uint64_t>(st.st_size);
        if (!there || (row.kind == proto::FileKind::pack ? size < row.size : size != row.size)) missing.push_back(row);
    }
    return missing;
}

// Dead ones count as well: what they are is known to the database alone.
std::vector<std::string> StoredCopy::damaged(const proto::FileRow& pack) const {
    constexpr size_t kMax = 20;
    std::vector<std::string> damaged;
    Fd file(open(path_of(pack.number).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file && pack.kind == proto::FileKind::compressed) {
        auto reader = pack::FrameReader::open(mail::reader_of(file), pack.size);
        if (!reader || !reader->is_as_written())
            damaged.push_back(fmt::format("message file {} is damaged", pack.number));
        return damaged;
    }
    std::string bytes(pack::kRecordHead + pack::kMaxContent, '\0');
    for (uint64_t offset = 0; file && offset < pack.size && damaged.size() < kMax;) {
        ssize_t n = pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        std::string_view found = std::string_view(bytes).substr(0, n > 0 ? static_cast<size_t>(n) : 0);
        auto head = pack::parse_head(found);
        if (!head || !pack::parse_record(found))
            damaged.push_back(fmt::format("message file {} is damaged at byte {}", pack.number, offset));
        if (!head) break;
        offset += head->record_size();
    }
    return damaged;
}

void StoredCopy::keep(const proto::FileRow& row, const Fd& file) const {
    std::string path = path_of(row.number);
    make_directories(directory_of(row.number >> proto::kMessageDirectoryShift));
    // A pack that has grown: until the new one is whole, the database that is there needs the old one.
    std::string fresh = path + ".new";
    if (unlink(fresh.c_str()) != 0 && errno != ENOENT) fail(fresh);
    if (!link_to(file, fresh)) copy_to(file, row.size, fresh);
    if (rename(fresh.c_str(), path.c_str()) != 0) fail(path);
}

void StoredCopy::keep_database(const Fd& database) const {
    make_directories(top_);
    std::string fresh = database_ + ".new";
    struct stat st{};
    if (fstat(database.get(), &st) != 0) fail(fresh);
    copy_to(database, static_cast<uint64_t>(st.st_size), fresh);
    Fd file(open(fresh.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || fsync(file.get()) != 0) fail(fresh);
    if (rename(fresh.c_str(), database_.c_str()) != 0) fail(database_);
    // Before files go that only the old one speaks of.
    Fd directory(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || fsync(directory.get()) != 0) fail(directory_);
}

std::vector<uint64_t> StoredCopy::others(const std::vector<proto::FileRow>& files) const {
    std::vector<uint64_t> others;
    for (uint64_t directory : numbers_in(top_))
        for (uint64_t file : numbers_in(directory_of(directory)))
            if (!std::ranges::binary_search(files, file, {}, &proto::FileRow::number)) others.push_back(file);
    return others;
}

uint64_t StoredCopy::remove_others(const std::vector<proto::FileRow>& files) const {
    std::vector<uint64_t> numbers = others(files);
    for (uint64_t file : numbers)
        if (unlink(path_of(file).c_str()) != 0 && errno != ENOENT) fail(path_of(file));
    return numbers.size();
}

Fd StoredCopy::open_database(uint64_t& size) const {
    Fd file(open(database_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st{};
    if (!file || fstat(file.get(), &st) != 0) fail(database_);
    size = static_cast<uint64_t>(st.st_size);
    return file;
}

std::vector<std::string> accounts_in(const std::string& backup) {
    return names_in(backup + "/accounts");
}

std::vector<proto::FileRow> read_file_rows(const Fd& list, uint64_t count) {
    std::vector<proto::FileRow> rows(count);
    size_t done = 0;
    size_t bytes = rows.size() * sizeof(proto::FileRow);
    while (done < bytes) {
        ssize_t n =
            pread(list.get(), reinterpret_cast<char*>(rows.data()) + done, bytes - done, static_cast<off_t>(done));
        if (n <= 0) fail("list of files");
        done += static_cast<size_t>(n);
    }
    return rows;
}

void sync_all(const std::string& directory) {
    Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || syncfs(fd.get()) != 0) fail(directory);
}

}  // namespace mox::moxctl
