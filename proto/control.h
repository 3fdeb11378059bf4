// What moxctl asks of moxd over the control socket. moxd checks the caller's user id; every change goes through moxd,
// which validates the whole configuration before it writes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/message.h"
#include "proto/admin.h"
#include "proto/auth.h"
#include "proto/queue.h"

namespace mox::proto {

struct ProcessStatus {
    std::string name;  // role, with a number or account where there are several
    std::string role;
    int64_t pid;
    std::string user;
    int64_t uptime;  // seconds
    uint32_t restarts;
    uint64_t memory;  // bytes: PSS, or RSS where the kernel does not say
    bool running;
};
struct SuiteStatus {
    std::string version;
    std::vector<ProcessStatus> processes;
    uint64_t accounts_asleep;  // whose IMAP sessions all rest: they have no process
    uint64_t sessions_asleep;
};
struct CtlStatus {
    MOX_MESSAGE(CtlStatus, 0x0201, SuiteStatus, from(Role::moxctl))
};
struct CtlStop {
    MOX_MESSAGE(CtlStop, 0x0202, Done, from(Role::moxctl))
};
struct CtlReload {
    MOX_MESSAGE(CtlReload, 0x0203, Done, from(Role::moxctl))
};
struct CtlRestart {
    MOX_MESSAGE(CtlRestart, 0x0204, Done, from(Role::moxctl))
    std::string name;  // of a process, or a role: all of that role
};
struct CtlLog {
    MOX_MESSAGE(CtlLog, 0x0205, Done, from(Role::moxctl))
    uint8_t level;
};
struct CtlAccountAdd {
    MOX_MESSAGE(CtlAccountAdd, 0x0210, Done, from(Role::moxctl))
    std::string account;
    std::string address;
    ipc::Secret password;  // empty: none yet, no login
};
struct CtlAccountRemove {
    MOX_MESSAGE(CtlAccountRemove, 0x0211, Done, from(Role::moxctl))
    std::string account;
};
struct AccountSummary {
    std::string name;
    std::vector<std::string> addresses;
    uint64_t quota;
    std::string login_disabled;
};
struct AccountSummaries {
    std::vector<AccountSummary> accounts;
};
struct CtlAccountList {
    MOX_MESSAGE(CtlAccountList, 0x0212, AccountSummaries, from(Role::moxctl))
};
struct CtlPassword {
    MOX_MESSAGE(CtlPassword, 0x0213, Done, from(Role::moxctl))
    std::string account;
    ipc::Secret password;
};
struct CtlAddressAdd {
    MOX_MESSAGE(CtlAddressAdd, 0x0214, Done, from(Role::moxctl))
    std::string address;
    std::string account;
};
struct CtlAddressRemove {
    MOX_MESSAGE(CtlAddressRemove, 0x0215, Done, from(Role::moxctl))
    std::string address;
};
struct CtlDomainAdd {
    MOX_MESSAGE(CtlDomainAdd, 0x0216, Done, from(Role::moxctl))
    std::string domain;
};
struct CtlDomainRemove {
    MOX_MESSAGE(CtlDomainRemove, 0x0217, Done, from(Role::moxctl))
    std::string domain;
};
struct DomainSummary {
    std::string name;
    bool disabled;
    uint64_t addresses;
};
struct DomainSummaries {
    std::vector<DomainSummary> domains;
};
struct CtlDomainList {
    MOX_MESSAGE(CtlDomainList, 0x0218, DomainSummaries, from(Role::moxctl))
};
/// As AddCertificate, ListCertificates and RemoveCertificate (proto/auth.h).
struct CtlCertificateAdd {
    MOX_MESSAGE(CtlCertificateAdd, 0x0240, OwnedClientKey, from(Role::moxctl))
    std::string account;
    std::string pem;
    std::string name;
    Preauth preauth;
};
struct CtlCertificateList {
    MOX_MESSAGE(CtlCertificateList, 0x0241, OwnedClientKeys, from(Role::moxctl))
    std::string account;
};
struct CtlCertificateRemove {
    MOX_MESSAGE(CtlCertificateRemove, 0x0242, Done, from(Role::moxctl))
    std::string fingerprint;
};
struct CtlQueueList {
    MOX_MESSAGE(CtlQueueList, 0x0220, QueueListing, from(Role::moxctl))
    QueueFilter filter;
    uint64_t after;
    uint32_t limit;
};
struct CtlQueueKick {
    MOX_MESSAGE(CtlQueueKick, 0x0221, QueueAffected, from(Role::moxctl))
    QueueFilter filter;
};
struct CtlQueueDrop {
    MOX_MESSAGE(CtlQueueDrop, 0x0222, QueueAffected, from(Role::moxctl))
    QueueFilter filter;
};

/// A channel to the mail of one account, for import and export (proto/admin.h).
struct CtlOpenAccount {
    MOX_MESSAGE(CtlOpenAccount, 0x0230, AccountChannel, from(Role::moxctl))
    std::string account;
};

/// A channel to the store as a whole, for backup, verification and restoring (proto/admin.h).
struct CtlOpenStore {
    MOX_MESSAGE(CtlOpenStore, 0x0231, StoreChannel, from(Role::moxctl))
};

using ControlMessages =
    ipc::Messages<CtlStatus, CtlStop, CtlReload, CtlRestart, CtlLog, CtlAccountAdd, CtlAccountRemove, CtlAccountList,
                  CtlPassword, CtlAddressAdd, CtlAddressRemove, CtlDomainAdd, CtlDomainRemove, CtlDomainList,
                  CtlCertificateAdd, CtlCertificateList, CtlCertificateRemove, CtlQueueList, CtlQueueKick, CtlQueueDrop,
                  CtlOpenAccount, CtlOpenStore>;

}  // namespace mox::proto
