#include "common/sandbox/sandbox.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/async/fd.h"
#include "common/log/log.h"
#include "common/sandbox/sanitized.h"
#include "common/sandbox/syscalls.h"

namespace mox::sandbox {
namespace {

[[noreturn]] void refuse(std::string_view step) {
    log::fatal("cannot confine this process", {{"step", step}, {"error", std::strerror(errno)}});
}

void must(bool ok, std::string_view step) {
    if (!ok) refuse(step);
}

struct Ids {
    uid_t uid = 0;
    gid_t gid = 0;
};

Ids look_up(const std::string& user) {
    const passwd* entry = getpwnam(user.c_str());
    if (entry == nullptr) log::fatal("no such user", {{"user", user}});
    if (entry->pw_uid == 0) log::fatal("this program must not run as root", {{"user", user}});
    return {entry->pw_uid, entry->pw_gid};
}

void limit(decltype(RLIMIT_NOFILE) resource, uint64_t value, std::string_view name) {
    rlimit wanted{value, value};
    rlimit present{};
    if (getrlimit(resource, &present) == 0 && present.rlim_max != RLIM_INFINITY && present.rlim_max < value)
        wanted.rlim_cur = wanted.rlim_max = present.rlim_max;
    must(setrlimit(resource, &wanted) == 0, name);
}

void drop_identity(const Ids& ids) {
    must(setgroups(1, &ids.gid) == 0, "setgroups");
    must(setresgid(ids.gid, ids.gid, ids.gid) == 0, "setresgid");
    must(setresuid(ids.uid, ids.uid, ids.uid) == 0, "setresuid");
    errno = EPERM;
    must(setuid(0) != 0 && geteuid() == ids.uid, "giving up root");
}

int landlock_abi() {
    return static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
}

// Landlock handles every kind of access; only what a rule gives remains. It also stays in force where chroot is not to
// be had (not root), and binds ptrace and signals to processes of the same domain.
void restrict_files(const Policy& policy, const std::string& directory) {
    int abi = landlock_abi();
    if (abi < 1) {
        // As root the chroot confines it; otherwise nothing would keep this program from its user's other files.
        if (geteuid() != 0 && policy.files != Files::none && directory != "/")
            log::fatal("this kernel has no landlock: start moxd as root, or on a kernel with landlock (Linux 5.13)");
        log::debug("no landlock in this kernel: relying on the other means");
        return;
    }
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
#ifdef LANDLOCK_ACCESS_FS_REFER
    if (abi >= 2) attributes.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
#endif
#ifdef LANDLOCK_ACCESS_FS_TRUNCATE
    if (abi >= 3) attributes.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
#endif
    Fd rules(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
    must(static_cast<bool>(rules), "landlock_create_ruleset");
    if (policy.files != Files::none) {
        Fd top(open(directory.c_str(), O_PATH | O_CLOEXEC | O_DIRECTORY));
        must(static_cast<bool>(top), "opening the directory");
        landlock_path_beneath_attr below{};
        below.parent_fd = top.get();
        below.allowed_access = attributes.handled_access_fs & ~static_cast<uint64_t>(LANDLOCK_ACCESS_FS_EXECUTE);
        if (policy.files == Files::read_only)
            below.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
        must(syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &below, 0) == 0,
             "landlock_add_rule");
    }
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    must(syscall(SYS_landlock_restrict_self, rules.get(), 0) == 0, "landlock_restrict_self");
}

void set_limits(const Policy& policy) {
    limit(RLIMIT_NOFILE, policy.max_files, "limit of files");
    limit(RLIMIT_CORE, 0, "limit of core size");
#if !MOX_SANITIZED
    if (policy.max_memory > 0) limit(RLIMIT_AS, policy.max_memory, "limit of memory");
#endif
    // As root the user's processes are counted, and each program has its own user; otherwise the person's own would
    // count.
    if (geteuid() == 0 && policy.threads == Threads::none) limit(RLIMIT_NPROC, 0, "limit of processes");
}

/// Gives up all capabilities but those in `keep`, a mask.
void keep_capabilities(uint32_t keep) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    must(syscall(SYS_capget, &header, data) == 0, "reading capabilities");
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[0].inheritable = 0;
    data[1] = {};
    must(syscall(SYS_capset, &header, data) == 0, "giving up capabilities");
}

uint32_t capabilities_over(Files files) {
    switch (files) {
        case Files::read_only:
            return 1u << CAP_DAC_READ_SEARCH;
        case Files::directory:
            return 1u << CAP_DAC_READ_SEARCH | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_CHOWN;
        case Files::none:
            break;
    }
    return 0;
}

#if MOX_SANITIZED
bool confined = false;
#endif

void close_the_way_back(const Policy& policy) {
#if MOX_SANITIZED
    confined = true;
#endif
    must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "not dumpable");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    std::string error = filter_system_calls(policy);
    if (!error.empty()) log::fatal("cannot load the system call filter", {{"error", error}});
}

}  // namespace

#if MOX_SANITIZED
// The search for leaks at exit makes a process that traces this one: that cannot be had in here.
extern "C" int __lsan_is_turned_off() {  // NOLINT(bugprone-reserved-identifier)
    return confined;
}
#endif

void enter(const Policy& policy, const Identity& identity) {
    tzset();
    [[maybe_unused]] const char* text = std::strerror(EIO);
    bool root = geteuid() == 0;
    if (root && identity.user.empty()) log::fatal("started by root without a user to become");
    Ids ids;
    if (root) ids = look_up(identity.user);
    set_limits(policy);
    umask(077);
    if (root) {
        const std::string directory = identity.directory.empty() ? "/var/empty" : identity.directory;
        must(chdir(directory.c_str()) == 0, "changing to " + directory);
        must(chroot(".") == 0, "chroot");
        must(chdir("/") == 0, "chdir");
        drop_identity(ids);
        restrict_files(policy, "/");
    } else {
        if (policy.files == Files::directory) must(chdir(identity.directory.c_str()) == 0, "changing to the directory");
        restrict_files(policy, ".");
    }
    // Dies with moxd; after the change of user, which would clear it.
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "dying with the parent");
    close_the_way_back(policy);
}

void enter_as_caller(const Policy& policy, const std::string& directory) {
    tzset();
    [[maybe_unused]] const char* text = std::strerror(EIO);
    set_limits(policy);
    umask(077);
    bool root = geteuid() == 0;
    // Without any file there is no call left that takes a path.
    if (policy.files != Files::none) must(chdir(directory.c_str()) == 0, "changing to " + directory);
    if (root && policy.files != Files::none) must(chroot(".") == 0 && chdir("/") == 0, "chroot");
    restrict_files(policy, root ? "/" : ".");
    if (root) keep_capabilities(capabilities_over(policy.files));
    close_the_way_back(policy);
}

}  // namespace mox::sandbox
