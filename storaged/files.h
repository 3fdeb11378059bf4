// Files of the store: where a message lies, links that become durable, sealed memory files. Runs in the worker threads.
//
// All paths are relative to the data directory, which is the working directory. Nothing here overwrites a file, and
// nothing removes what was not named by the caller. Failures are thrown as StoreFailure.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/async/fd.h"
#include "proto/admin.h"
#include "storaged/failure.h"

namespace mox::storaged {

/// Files in one directory: 8192, so that listing one stays quick.
constexpr unsigned kDirectoryShift = proto::kMessageDirectoryShift;

/// Where numbered files of one kind lie: "accounts/alice/msg" holds .../0/1 to .../0/8191 and so on.
struct FileTree {
    std::string root;
    std::string strays;  // directory for files that no row knows

    std::string directory_of(uint64_t file) const;
    std::string path_of(uint64_t file) const;
};

/// A file in a tree.
struct LinkedFile {
    FileTree tree;
    uint64_t file = 0;
};

/// What is before the last `/`, or `.`.
std::string directory_of(std::string_view path);
/// Creates a directory and all above it that are missing (mode 0700), each durable in the one above.
void make_directories(const std::string& path);
Fd open_directory(const std::string& path);
void sync_directory(const std::string& path);
void sync_directory(const Fd& directory);

/// Writes all of it there; false when that fails, and errno says why.
bool write_all(const Fd& file, std::string_view bytes, uint64_t offset);

/// Gives the file at `source` a second name, not synced; false when there is no such file. A stray that has the name is
/// put aside.
bool link_file(const std::string& source, const LinkedFile& target);
/// Makes a new file, open for reading and writing, not synced. A stray that has the name is put aside.
Fd make_file(const LinkedFile& target);
/// Removes names; missing ones do not matter, other failures are logged.
void remove_files(const std::vector<LinkedFile>& files);
/// Whether a file of this kind may have so many bytes when its row speaks of `stated`: a pack may have more.
bool is_size_of(proto::FileKind kind, uint64_t size, uint64_t stated);
/// Opens a file for reading; empty when it is missing or has not the stated size (logged as an error).
Fd open_message(const FileTree& tree, uint64_t file, uint64_t size, proto::FileKind kind = proto::FileKind::message);

/// All files of a tree with a number not below `from`, in directories that hold such.
std::vector<uint64_t> files_from(const FileTree& tree, uint64_t from);
/// The directories of a tree that hold files, by number, ascending.
std::vector<uint64_t> directories_of(const FileTree& tree);
/// The files in one of them.
std::vector<uint64_t> files_in(const FileTree& tree, uint64_t directory);
/// Puts a file that no row knows aside, where an admin can look at it.
void put_aside(const FileTree& tree, uint64_t file);
/// Writes down a message that no row knows, where the others are; on disk.
void put_aside(const FileTree& tree, uint64_t content, std::string_view bytes);

/// A memory file being written in chunks; sealed when done, so that nobody can change it any more.
class MemoryFile {
  public:
    MemoryFile();
    void append(const void* data, size_t size);
    Fd seal();

  private:
    void flush();
    Fd fd_;
    std::string buffer_;
};

/// Whether the file system of the data directory has more free bytes than the reserve; asks it at most once a second.
class SpaceReserve {
  public:
    explicit SpaceReserve(uint64_t bytes) : reserve_(bytes) {}
    bool has_space();
    void set(uint64_t bytes) {
        reserve_ = bytes;
        next_look_ = 0;
    }

  private:
    std::atomic<uint64_t> reserve_;
    std::atomic<int64_t> next_look_ = 0;
    std::atomic<bool> enough_ = true;
};

}  // namespace mox::storaged
