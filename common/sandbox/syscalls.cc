#include "common/sandbox/syscalls.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <initializer_list>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/sandbox/sanitized.h"

namespace mox::sandbox {
namespace {

using Calls = std::initializer_list<int>;

// Memory, time, events, the descriptors it has: what every program needs to run its loop and end.
constexpr Calls kBase = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(close),
    SCMP_SYS(shutdown),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(futex),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(pread64),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(membarrier),
    SCMP_SYS(rseq),
    SCMP_SYS(time),
    SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(dup),
    SCMP_SYS(set_robust_list),
};

// Reading what is below its directory. What an open may do beside reading is landlock's to refuse.
constexpr Calls kReadFiles = {
    SCMP_SYS(openat), SCMP_SYS(open),       SCMP_SYS(newfstatat), SCMP_SYS(stat),      SCMP_SYS(lstat),
    SCMP_SYS(statx),  SCMP_SYS(getdents64), SCMP_SYS(fadvise64),  SCMP_SYS(readahead),
};

// Files below its directory: the store.
constexpr Calls kFiles = {
    SCMP_SYS(access),   SCMP_SYS(faccessat), SCMP_SYS(faccessat2),      SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(link),      SCMP_SYS(linkat),          SCMP_SYS(rename),
    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir),           SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),    SCMP_SYS(pwrite64),  SCMP_SYS(fsync),           SCMP_SYS(fdatasync),
    SCMP_SYS(syncfs),   SCMP_SYS(ftruncate), SCMP_SYS(fallocate),       SCMP_SYS(fchmod),
    SCMP_SYS(fchown),   SCMP_SYS(readlink),  SCMP_SYS(readlinkat),      SCMP_SYS(getcwd),
    SCMP_SYS(statfs),   SCMP_SYS(fstatfs),   SCMP_SYS(utimensat),       SCMP_SYS(memfd_create),
    SCMP_SYS(geteuid),  SCMP_SYS(getuid),    SCMP_SYS(copy_file_range), SCMP_SYS(flock),
    SCMP_SYS(pwritev),  SCMP_SYS(preadv),    SCMP_SYS(sync_file_range),
};

constexpr Calls kAccept = {SCMP_SYS(accept4), SCMP_SYS(accept)};
constexpr Calls kConnect = {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg)};
constexpr Calls kThreads = {SCMP_SYS(prctl), SCMP_SYS(sched_getaffinity)};
// What the sanitizers' run-time does at start, in reports and at exit.
constexpr Calls kSanitizers = {
    SCMP_SYS(sched_getaffinity), SCMP_SYS(readlink),  SCMP_SYS(prctl),  SCMP_SYS(ioctl),   SCMP_SYS(fcntl),
    SCMP_SYS(getrlimit),         SCMP_SYS(prlimit64), SCMP_SYS(tgkill), SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
    SCMP_SYS(mprotect),          SCMP_SYS(pipe2)};

// What fcntl is good for here; not signals to other processes (F_SETOWN, F_SETSIG).
constexpr Calls kFcntl = {F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,    F_SETFD,     F_GETFL,
                          F_SETFL,     F_GETLK,         F_SETLK,    F_SETLKW,    F_OFD_GETLK,
                          F_OFD_SETLK, F_GETLEASE,      F_SETLEASE, F_GET_SEALS, F_ADD_SEALS};

class Filter {
  public:
    Filter() : context_(seccomp_init(SCMP_ACT_KILL_PROCESS)) {}
    ~Filter() { seccomp_release(context_); }

    void allow(Calls calls) {
        for (int call : calls) note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, call, 0));
    }
    void allow_if(int call, scmp_arg_cmp condition) {
        note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, call, 1, condition));
    }
    void allow_pair() {
        note(seccomp_rule_add(context_, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM)));
    }
    void fail_with(int call, int error) {
        note(seccomp_rule_add(context_, SCMP_ACT_ERRNO(static_cast<uint32_t>(error)), call, 0));
    }
    void load() {
        note(seccomp_attr_set(context_, SCMP_FLTATR_CTL_TSYNC, 1));
        note(seccomp_load(context_));
    }
    int error() const { return error_; }

  private:
    void note(int result) {
        // A call this architecture does not have needs no rule.
        if (result < 0 && result != -EDOM && error_ == 0) error_ = result;
    }
    scmp_filter_ctx context_;
    int error_ = 0;
};

}  // namespace

std::string filter_system_calls(const Policy& policy) {
    Filter filter;
    filter.allow(kBase);
    // glibc's fstat(). A path given along with the flag could only tell whether a file exists, and below a chroot there
    // is none.
    filter.allow_if(SCMP_SYS(newfstatat), SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    for (int command : kFcntl) filter.allow_if(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, static_cast<uint64_t>(command)));
    // New memory may never be executable.
    filter.allow_if(SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (!MOX_SANITIZED) filter.allow_if(SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (policy.files != Files::none) filter.allow(kReadFiles);
    if (policy.files == Files::directory) {
        filter.allow(kFiles);
        filter.allow_if(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FICLONE));
    }
    if (policy.network == Network::accept) filter.allow(kAccept);
    if (policy.network == Network::connect) {
        filter.allow(kConnect);
        for (int request : {FIONREAD, FIONBIO})
            filter.allow_if(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, static_cast<uint64_t>(request)));
        filter.allow_if(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET));
        filter.allow_if(SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6));
    } else {
        // Stream pairs only: a datagram socket could reach named ones.
        filter.allow_pair();
    }
    if (policy.threads == Threads::allowed) {
        filter.allow(kThreads);
        // A thread, never a process. What clone3 is asked for cannot be seen here: glibc then takes clone.
        filter.allow_if(SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
        filter.fail_with(SCMP_SYS(clone3), ENOSYS);
    }
    if (MOX_SANITIZED) filter.allow(kSanitizers);
    if (policy.files == Files::none && (MOX_SANITIZED || policy.on_open == OnOpen::fail)) {
        filter.fail_with(SCMP_SYS(openat), EACCES);
        filter.fail_with(SCMP_SYS(open), EACCES);
    }
    filter.load();
    return filter.error() == 0 ? std::string() : std::strerror(-filter.error());
}

}  // namespace mox::sandbox
