// Records what a program does to the files below one directory, so that the state of the disk after a crash at any
// moment can be made up.
//
// The recorder stands in for the C library's calls that change files (interpose.cc), in this program and in the
// libraries it uses, SQLite among them. Each call is carried out and written down, in one order for all threads. An
// image is what a disk could hold after the first n calls: after a kill, all of it; after a loss of power, what was
// synced, and of the rest any part: writes torn into sectors, sizes, names.
//
// Calls can also be made to fail, from a chosen one on, as a full or a broken disk makes them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace mox::crash {

enum class OpKind : uint8_t { write, truncate, sync, sync_directory, sync_all, add_name, drop_name, move_name };

/// One call. Names are relative to the recorded directory.
struct Op {
    OpKind kind;
    uint32_t inode = 0;   // as numbered here, never used again
    uint64_t offset = 0;  // of a write; the size of a truncate
    std::string bytes;
    std::string name;
    std::string to;  // of a move
};

/// What survives of calls that were not synced.
struct Survival {
    /// In percent, for each write, each sector of a torn one, each change of a name.
    unsigned percent = 0;
    uint64_t seed = 0;
};

class Recorder {
  public:
    static Recorder& get();

    /// Records below this directory (absolute) until stop(). What is there already counts as synced.
    void start(const std::string& directory);
    void stop();
    size_t count();
    const std::vector<Op>& ops() const { return ops_; }

    /// Makes up, in an empty directory, the disk after the first `count` calls.
    void make_image(const std::string& directory, size_t count, Survival survival) const;

    /// Lists the first `count` calls, for people.
    void print(size_t count) const;

    /// From the n-th changing call on (0: the next), `count` of them fail with this errno.
    void fail_after(size_t n, size_t count, int error);
    /// How many have failed since.
    size_t failed();

    // ---- for interpose.cc: carries the call out, and writes it down when it succeeded
    bool is_on() const { return on_; }
    std::recursive_mutex& mutex() { return mutex_; }
    /// The errno the call is to fail with, or 0.
    int next_failure();
    /// The path relative to the directory; false for what lies elsewhere.
    bool relative(const char* path, std::string& name) const;
    void created(const std::string& name, uint64_t real_inode);
    void wrote(uint64_t real_inode, uint64_t offset, const void* bytes, size_t size);
    void truncated(uint64_t real_inode, uint64_t size);
    void synced(uint64_t real_inode);
    void synced_directory(const std::string& name);
    void synced_all();
    void linked(const std::string& from, const std::string& to);
    void made_directory(const std::string& name);
    void moved(const std::string& from, const std::string& to);
    void unlinked(const std::string& name, uint64_t real_inode, bool last);

  private:
    void add(Op op);
    void load(const std::string& directory);
    bool on_ = false;
    std::recursive_mutex mutex_;
    std::string directory_;
    std::vector<Op> before_;  // makes what was there at the start
    std::vector<Op> ops_;
    std::map<uint64_t, uint32_t> inodes_;  // real to ours
    std::map<std::string, uint32_t> names_;
    uint32_t last_inode_ = 0;
    size_t fail_from_ = SIZE_MAX, fail_count_ = 0, calls_ = 0, failed_ = 0;
    int error_ = 0;
};

}  // namespace mox::crash
