#include "tests/crash/recorder.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace mox::crash {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint32_t kDirectory = UINT32_MAX;  // instead of an inode: a name that is a directory

std::string directory_of(const std::string& name) {
    size_t slash = name.rfind('/');
    return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

/// The disk while it is made up: files by inode, and names.
struct Disk {
    std::map<uint32_t, std::string> files;
    std::map<std::string, uint32_t> names;

    void write(const Op& op, uint64_t from, uint64_t to) {
        std::string& file = files[op.inode];
        if (file.size() < op.offset + to) file.resize(op.offset + to);
        file.replace(op.offset + from, to - from, op.bytes, from, to - from);
    }
    void apply_name(const Op& op) {
        if (op.kind == OpKind::add_name) names[op.name] = op.inode;
        if (op.kind == OpKind::drop_name) names.erase(op.name);
        if (op.kind == OpKind::move_name) move(op.name, op.to);
    }
    /// A directory takes along what is below it.
    void move(const std::string& from, const std::string& to) {
        std::map<std::string, uint32_t> moved;
        for (auto at = names.lower_bound(from); at != names.end();) {
            bool below = at->first.starts_with(from + "/");
            if (at->first != from && !below) {
                if (at->first > from + "0") break;
                ++at;
                continue;
            }
            moved[to + at->first.substr(from.size())] = at->second;
            at = names.erase(at);
        }
        for (auto& [name, inode] : moved) names[name] = inode;
    }
};

/// Index of the first call by which each call was on disk; SIZE_MAX for none.
std::vector<size_t> synced_by(const std::vector<Op>& ops, size_t count) {
    std::vector<size_t> by(count, SIZE_MAX);
    std::map<uint32_t, std::vector<size_t>> files;
    std::map<std::string, std::vector<size_t>> directories;
    auto settle = [&](std::vector<size_t>& waiting, size_t at) {
        for (size_t op : waiting) by[op] = at;
        waiting.clear();
    };
    for (size_t i = 0; i < count; i++) {
        const Op& op = ops[i];
        switch (op.kind) {
            case OpKind::write:
            case OpKind::truncate:
                files[op.inode].push_back(i);
                break;
            case OpKind::add_name:
            case OpKind::drop_name:
                directories[directory_of(op.name)].push_back(i);
                break;
            case OpKind::move_name:
                // Whole as soon as either directory is.
                directories[directory_of(op.name)].push_back(i);
                directories[directory_of(op.to)].push_back(i);
                break;
            case OpKind::sync:
                settle(files[op.inode], i);
                break;
            case OpKind::sync_directory:
                settle(directories[op.name], i);
                break;
            case OpKind::sync_all:
                for (auto& [inode, waiting] : files) settle(waiting, i);
                for (auto& [name, waiting] : directories) settle(waiting, i);
                break;
        }
    }
    return by;
}

void write_file(const std::string& path, const std::string& bytes) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) abort();
    for (size_t at = 0; at < bytes.size();) {
        ssize_t n = ::write(fd, bytes.data() + at, bytes.size() - at);
        if (n <= 0) abort();
        at += static_cast<size_t>(n);
    }
    ::close(fd);
}

void materialize(const Disk& disk, const std::string& directory) {
    std::map<uint32_t, std::string> written;
    std::set<std::string> made;
    for (const auto& [name, inode] : disk.names) {
        std::string path = directory + "/" + name;
        // What lies in a directory that is not there is lost.
        if (std::string above = directory_of(name); !above.empty() && !made.contains(above)) continue;
        if (inode == kDirectory) {
            if (mkdir(path.c_str(), 0700) != 0) abort();
            made.insert(name);
            continue;
        }
        auto [first, is_new] = written.try_emplace(inode, path);
        auto file = disk.files.find(inode);
        if (is_new)
            write_file(path, file == disk.files.end() ? std::string() : file->second);
        else if (link(first->second.c_str(), path.c_str()) != 0)
            abort();
    }
}

}  // namespace

Recorder& Recorder::get() {
    static Recorder recorder;
    return recorder;
}

void Recorder::start(const std::string& directory) {
    std::lock_guard lock(mutex_);
    directory_ = directory + "/";
    ops_.clear();
    inodes_.clear();
    names_.clear();
    load(directory);
    before_ = std::move(ops_);
    ops_.clear();
    calls_ = 0;
    on_ = true;
}

// A directory comes before what is in it.
void Recorder::load(const std::string& directory) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        std::string name = entry.path().native().substr(directory_.size());
        struct stat st{};
        if (lstat(entry.path().c_str(), &st) != 0) abort();
        if (S_ISDIR(st.st_mode)) {
            made_directory(name);
        } else if (auto known = inodes_.find(st.st_ino); known != inodes_.end()) {
            names_[name] = known->second;
            add({OpKind::add_name, known->second, 0, {}, name, {}});
        } else {
            created(name, st.st_ino);
            std::ifstream file(entry.path(), std::ios::binary);
            std::string bytes{std::istreambuf_iterator<char>(file), {}};
            wrote(st.st_ino, 0, bytes.data(), bytes.size());
        }
    }
}

void Recorder::stop() {
    std::lock_guard lock(mutex_);
    on_ = false;
}

size_t Recorder::count() {
    std::lock_guard lock(mutex_);
    return ops_.size();
}

void Recorder::make_image(const std::string& directory, size_t count, Survival survival) const {
    std::mt19937_64 random(survival.seed);
    auto lucky = [&] { return random() % 100 < survival.percent; };
    std::vector<size_t> by = synced_by(ops_, count);
    Disk disk;
    for (const Op& op : before_) op.kind == OpKind::write ? disk.write(op, 0, op.bytes.size()) : disk.apply_name(op);
    for (size_t i = 0; i < count; i++) {
        const Op& op = ops_[i];
        bool synced = by[i] != SIZE_MAX;
        switch (op.kind) {
            case OpKind::write:
                if (synced || survival.percent == 100) {
                    disk.write(op, 0, op.bytes.size());
                    break;
                }
                if (lucky()) {
                    disk.write(op, 0, op.bytes.size());
                } else if (lucky()) {
                    for (uint64_t at = 0; at < op.bytes.size(); at += kSector)
                        if (lucky()) disk.write(op, at, std::min<uint64_t>(at + kSector, op.bytes.size()));
                }
                break;
            case OpKind::truncate:
                if (synced || lucky()) disk.files[op.inode].resize(op.offset);
                break;
            case OpKind::add_name:
            case OpKind::drop_name:
            case OpKind::move_name:
                if (synced || lucky()) disk.apply_name(op);
                break;
            default:
                break;
        }
    }
    materialize(disk, directory);
}

void Recorder::print(size_t count) const {
    constexpr const char* kNames[] = {"write",    "truncate", "sync",      "sync directory",
                                      "sync all", "add name", "drop name", "move name"};
    std::map<uint32_t, std::string> names;
    for (size_t i = 0; i < count; i++) {
        const Op& op = ops_[i];
        if (op.kind == OpKind::add_name) names[op.inode] = op.name;
        std::string name = op.name.empty() ? names[op.inode] : op.name;
        std::printf("%5zu %s %s %s at %lu, %zu bytes\n", i, kNames[static_cast<size_t>(op.kind)], name.c_str(),
                    op.to.c_str(), static_cast<unsigned long>(op.offset), op.bytes.size());
    }
}

void Recorder::fail_after(size_t n, size_t count, int error) {
    std::lock_guard lock(mutex_);
    fail_from_ = calls_ + n;
    fail_count_ = count;
    error_ = error;
    failed_ = 0;
}

size_t Recorder::failed() {
    std::lock_guard lock(mutex_);
    return failed_;
}

int Recorder::next_failure() {
    size_t call = calls_++;
    if (call < fail_from_ || call - fail_from_ >= fail_count_) return 0;
    failed_++;
    return error_;
}

bool Recorder::relative(const char* path, std::string& name) const {
    std::string whole = path;
    if (whole.empty()) return false;
    if (whole[0] != '/') {
        char here[4096];
        if (getcwd(here, sizeof here) == nullptr) return false;
        whole = std::string(here) + "/" + whole;
    }
    if (whole.ends_with("/.")) whole.resize(whole.size() - 1);
    if (whole + "/" == directory_ || whole == directory_) {
        name.clear();
        return true;
    }
    if (!whole.starts_with(directory_)) return false;
    name = whole.substr(directory_.size());
    return true;
}

void Recorder::add(Op op) {
    ops_.push_back(std::move(op));
}

void Recorder::created(const std::string& name, uint64_t real_inode) {
    uint32_t inode = ++last_inode_;
    inodes_[real_inode] = inode;
    names_[name] = inode;
    add({OpKind::add_name, inode, 0, {}, name, {}});
}

void Recorder::wrote(uint64_t real_inode, uint64_t offset, const void* bytes, size_t size) {
    auto inode = inodes_.find(real_inode);
    if (inode == inodes_.end()) return;
    add({OpKind::write, inode->second, offset, std::string(static_cast<const char*>(bytes), size), {}, {}});
}

void Recorder::truncated(uint64_t real_inode, uint64_t size) {
    if (auto inode = inodes_.find(real_inode); inode != inodes_.end())
        add({OpKind::truncate, inode->second, size, {}, {}, {}});
}

void Recorder::synced(uint64_t real_inode) {
    if (auto inode = inodes_.find(real_inode); inode != inodes_.end())
        add({OpKind::sync, inode->second, 0, {}, {}, {}});
}

void Recorder::synced_directory(const std::string& name) {
    add({OpKind::sync_directory, 0, 0, {}, name, {}});
}

void Recorder::synced_all() {
    add({OpKind::sync_all, 0, 0, {}, {}, {}});
}

void Recorder::linked(const std::string& from, const std::string& to) {
    names_[to] = names_[from];
    add({OpKind::add_name, names_[from], 0, {}, to, {}});
}

void Recorder::made_directory(const std::string& name) {
    names_[name] = kDirectory;
    add({OpKind::add_name, kDirectory, 0, {}, name, {}});
}

void Recorder::moved(const std::string& from, const std::string& to) {
    Disk disk;
    disk.names = std::move(names_);
    disk.move(from, to);
    names_ = std::move(disk.names);
    add({OpKind::move_name, 0, 0, {}, from, to});
}

void Recorder::unlinked(const std::string& name, uint64_t real_inode, bool last) {
    names_.erase(name);
    if (last) inodes_.erase(real_inode);  // the number may be given to another file
    add({OpKind::drop_name, 0, 0, {}, name, {}});
}

}  // namespace mox::crash
