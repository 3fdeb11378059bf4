// The table of commands.
#include <limits>

#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();

// clang-format off
constexpr Command kCommands[] = {
    {"status", "", "show the processes", 0, 0, "", cmd_status},
    {"stop", "", "stop the server", 0, 0, "", cmd_stop},
    {"reload", "", "read the configuration again", 0, 0, "", cmd_reload},
    {"restart", "name", "restart a process, or all of a role", 1, 1, "", cmd_restart},
    {"log", "level", "change what is logged: error, warn, info, debug or trace", 1, 1, "", cmd_log},
    {"account add", "name address", "add an account; its password is asked for", 2, 2, "", cmd_account_add},
    {"account remove", "name", "remove an account; its mail is kept aside", 1, 1, "", cmd_account_remove},
    {"account list", "", "show the accounts", 0, 0, "", cmd_account_list},
    {"account removed", "", "show the removed accounts that are kept", 0, 0, "", cmd_account_removed},
    {"account undelete", "name removed", "put a removed account back", 2, 2, "", cmd_account_undelete},
    {"password", "name", "set the password of an account", 1, 1, "", cmd_password},
    {"certificate add", "[-n name] [--no-preauth] account file", "let a TLS client certificate log in",
     2, 2, "n", cmd_certificate_add, "--no-preauth"},
    {"certificate list", "[account]", "show the certificates that log in", 0, 1, "", cmd_certificate_list},
    {"certificate remove", "fingerprint", "no longer let a certificate log in", 1, 1, "", cmd_certificate_remove},
    {"address add", "address account", "give an account another address", 2, 2, "", cmd_address_add},
    {"address remove", "address", "take an address away", 1, 1, "", cmd_address_remove},
    {"acl list", "account [mailbox]", "show who else may do what with mailboxes", 1, 2, "", cmd_acl_list},
    {"acl set", "account mailbox who rights", "share a mailbox with another account", 4, 4, "", cmd_acl_set},
    {"acl remove", "account mailbox who", "take what was given to one away", 3, 3, "", cmd_acl_remove},
    {"domain add", "domain", "accept mail for a domain", 1, 1, "", cmd_domain_add},
    {"domain remove", "domain", "no longer accept mail for a domain", 1, 1, "", cmd_domain_remove},
    {"domain list", "", "show the domains", 0, 0, "", cmd_domain_list},
    {"logins", "[--failed] [--limit number] [account | -]", "show who has logged in, or tried to", 0, 1, "", cmd_logins,
     "--failed", "--limit"},
    {"recipients", "account", "show whom an account has written to", 1, 1, "", cmd_recipients},
    {"senders list", "account [who]", "show whose mail has come, and what became of it", 1, 2, "", cmd_senders_list},
    {"senders forget", "account who | all", "forget what is known of senders", 2, 2, "", cmd_senders_forget},
    {"junk status", "account", "show how much of junk was learned", 1, 1, "", cmd_junk_status},
    {"junk forget", "account", "forget what was learned of junk", 1, 1, "", cmd_junk_forget},
    {"junk relearn", "account", "learn junk anew from the messages there are", 1, 1, "", cmd_junk_relearn},
    {"sessions list", "account", "show who is logged in with a browser", 1, 1, "", cmd_sessions_list},
    {"sessions end", "account id | all", "log browsers out", 2, 2, "", cmd_sessions_end},
    {"queue list", "[-a account] [-f sender] [-t recipient] [id ...]", "show outgoing messages",
     0, kAnyNumber, "aft", cmd_queue_list},
    {"queue kick", "[-a account] [-f sender] [-t recipient] [id ... | all]", "try to deliver now",
     0, kAnyNumber, "aft", cmd_queue_kick},
    {"queue drop", "[-a account] [-f sender] [-t recipient] [id ... | all]", "remove without telling the sender",
     0, kAnyNumber, "aft", cmd_queue_drop},
    {"import", "[-m mailbox] [--again] maildir | mbox | zip | tgz account source", "bring mail into an account",
     3, 3, "m", cmd_import, "--again"},
    {"export", "[-m mailbox] maildir | mbox account directory", "write the mail of an account to files",
     3, 3, "m", cmd_export},
    {"backup", "directory", "back up all mail and the queue", 1, 1, "", cmd_backup},
    {"verify", "[-a account] [-b backup] [--fix]", "check the store, or a backup", 0, 0, "ab", cmd_verify, "--fix"},
    {"reindex", "account | --all", "make the index of words for searches anew", 0, 1, "", cmd_reindex, "--all"},
    {"restore account", "backup account", "put an account back as it was", 2, 2, "", cmd_restore_account},
    {"restore all", "backup", "put all accounts back as they were", 1, 1, "", cmd_restore_all},
    {"restore messages", "[-m mailbox] [--again] backup account mailbox [uid ...]", "bring single messages back",
     3, kAnyNumber, "m", cmd_restore_messages, "--again"},
    {"help", "[command]", "explain the commands", 0, 2, "", cmd_help},
    {"version", "", "show the version of moxctl", 0, 0, "", cmd_version},
};
// clang-format on

}  // namespace

std::span<const Command> commands() {
    return kCommands;
}

}  // namespace mox::moxctl
