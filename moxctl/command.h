// The commands of moxctl: one table, which parsing, help, usage messages and the test of the manual page all read.
//
// A command is a function that talks to moxd through its Context and writes to its Output. It ends early by throwing:
// UsageError for wrong arguments, Failed for what moxd refused, Unreachable when there is no moxd; run() turns them
// into a message and an exit status.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "moxctl/connection.h"
#include "moxctl/output.h"

namespace mox::moxctl {

/// As documented in moxctl(8), EXIT STATUS.
enum class ExitStatus : int { ok = 0, failed = 1, usage = 2, unreachable = 3 };

/// The arguments make no sense; what() says why, and may be empty.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What stands behind a command: its words, and its options by letter.
struct Arguments {
    std::vector<std::string> words;
    std::map<char, std::string> options;
    std::set<std::string, std::less<>> flags;  // "--again"
    std::optional<std::string> value;          // of the long option
};

/// Where passwords come from.
class PasswordSource {
  public:
    virtual ~PasswordSource() = default;
    /// A new password, or an empty string when none was given. Throws Failed when it cannot be read.
    virtual ipc::Secret read() = 0;
};

/// What a command works with.
struct Context {
    Output& output;
    PasswordSource& passwords;
    Connection& moxd;
    int64_t now;  // Unix seconds, for ages
};

struct Command {
    std::string_view name;      // "account add"
    std::string_view synopsis;  // what stands behind the name
    std::string_view summary;   // a line for the help
    size_t min_words;
    size_t max_words;
    std::string_view options;  // letters of the options it takes, each with a value
    void (*run)(Context&, const Arguments&);
    std::string_view flag = {};    // a long option without a value
    std::string_view option = {};  // one with a value
};

/// All commands, in the order of the help.
std::span<const Command> commands();

// The commands, a file a group.
void cmd_status(Context& context, const Arguments& arguments);
void cmd_stop(Context& context, const Arguments& arguments);
void cmd_reload(Context& context, const Arguments& arguments);
void cmd_restart(Context& context, const Arguments& arguments);
void cmd_log(Context& context, const Arguments& arguments);
void cmd_account_add(Context& context, const Arguments& arguments);
void cmd_account_remove(Context& context, const Arguments& arguments);
void cmd_account_list(Context& context, const Arguments& arguments);
void cmd_account_removed(Context& context, const Arguments& arguments);
void cmd_account_undelete(Context& context, const Arguments& arguments);
void cmd_password(Context& context, const Arguments& arguments);
void cmd_certificate_add(Context& context, const Arguments& arguments);
void cmd_certificate_list(Context& context, const Arguments& arguments);
void cmd_certificate_remove(Context& context, const Arguments& arguments);
void cmd_address_add(Context& context, const Arguments& arguments);
void cmd_address_remove(Context& context, const Arguments& arguments);
void cmd_acl_list(Context& context, const Arguments& arguments);
void cmd_acl_set(Context& context, const Arguments& arguments);
void cmd_acl_remove(Context& context, const Arguments& arguments);
void cmd_domain_add(Context& context, const Arguments& arguments);
void cmd_domain_remove(Context& context, const Arguments& arguments);
void cmd_domain_list(Context& context, const Arguments& arguments);
void cmd_logins(Context& context, const Arguments& arguments);
void cmd_recipients(Context& context, const Arguments& arguments);
void cmd_senders_list(Context& context, const Arguments& arguments);
void cmd_senders_forget(Context& context, const Arguments& arguments);
void cmd_junk_status(Context& context, const Arguments& arguments);
void cmd_junk_forget(Context& context, const Arguments& arguments);
void cmd_junk_relearn(Context& context, const Arguments& arguments);
void cmd_sessions_list(Context& context, const Arguments& arguments);
void cmd_sessions_end(Context& context, const Arguments& arguments);
void cmd_queue_list(Context& context, const Arguments& arguments);
void cmd_queue_kick(Context& context, const Arguments& arguments);
void cmd_queue_drop(Context& context, const Arguments& arguments);
void cmd_import(Context& context, const Arguments& arguments);
void cmd_export(Context& context, const Arguments& arguments);
void cmd_backup(Context& context, const Arguments& arguments);
void cmd_verify(Context& context, const Arguments& arguments);
void cmd_reindex(Context& context, const Arguments& arguments);
void cmd_restore_account(Context& context, const Arguments& arguments);
void cmd_restore_all(Context& context, const Arguments& arguments);
void cmd_restore_messages(Context& context, const Arguments& arguments);
void cmd_help(Context& context, const Arguments& arguments);
void cmd_version(Context& context, const Arguments& arguments);

/// The whole help, or that of the commands whose name begins with `words`; empty when there are none.
std::string help_text();
std::string help_text_for(const std::vector<std::string>& words);

}  // namespace mox::moxctl
