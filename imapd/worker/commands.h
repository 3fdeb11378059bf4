// The commands of a logged-in session, one a file, and the table that says in which state each is allowed.
#pragma once

#include "imapd/worker/session.h"

namespace mox::imapd {

/// States in which a command is allowed (RFC 3501 3).
enum class State : uint8_t { authenticated, selected, kEnd };

/// What the end of a command may tell of the selected mailbox.
enum class Updates : uint8_t {
    none,        // nothing: the command deals with it, or leaves the mailbox
    no_expunge,  // RFC 3501 7.4.1
    all,
    kEnd
};

struct CommandRow {
    Verb verb;
    State from;  // allowed from this state on
    Updates updates;
    async::Task<Answer> (*run)(Session& session, const Command& command);
    bool takes_numbers = false;  // sequence numbers, unless it is a UID command
};

/// The row of a verb; nothing for those of the time before login.
const CommandRow* find_command(Verb verb);

/// The answer to STATUS, also within LIST. `mailbox` outlives the task.
async::Task<void> write_status(Session& session, const proto::Mailbox& mailbox, uint32_t items);
/// A mailbox that can be read, by its name; nothing when there is none. Storage errors end the command.
async::Task<std::optional<proto::Mailbox>> find_mailbox(Session& session, std::string name);
/// The answer to MYRIGHTS, also within LIST.
void write_my_rights(Session& session, const std::string& mailbox, uint32_t rights);
/// The answer to GETMETADATA of these annotations, also within LIST.
async::Task<void> write_metadata(Session& session, std::string mailbox, std::vector<std::string> names);

async::Task<Answer> cmd_capability(Session& session, const Command& command);
async::Task<Answer> cmd_noop(Session& session, const Command& command);
async::Task<Answer> cmd_logout(Session& session, const Command& command);
async::Task<Answer> cmd_unauthenticate(Session& session, const Command& command);
async::Task<Answer> cmd_id(Session& session, const Command& command);
async::Task<Answer> cmd_language(Session& session, const Command& command);
async::Task<Answer> cmd_enable(Session& session, const Command& command);
async::Task<Answer> cmd_namespace(Session& session, const Command& command);
async::Task<Answer> cmd_select(Session& session, const Command& command);
async::Task<Answer> cmd_create(Session& session, const Command& command);
async::Task<Answer> cmd_delete(Session& session, const Command& command);
async::Task<Answer> cmd_rename(Session& session, const Command& command);
async::Task<Answer> cmd_subscribe(Session& session, const Command& command);
async::Task<Answer> cmd_list(Session& session, const Command& command);
async::Task<Answer> cmd_lsub(Session& session, const Command& command);
async::Task<Answer> cmd_status(Session& session, const Command& command);
async::Task<Answer> cmd_append(Session& session, const Command& command);
async::Task<Answer> cmd_getquota(Session& session, const Command& command);
async::Task<Answer> cmd_getquotaroot(Session& session, const Command& command);
async::Task<Answer> cmd_getmetadata(Session& session, const Command& command);
async::Task<Answer> cmd_setmetadata(Session& session, const Command& command);
async::Task<Answer> cmd_getacl(Session& session, const Command& command);
async::Task<Answer> cmd_setacl(Session& session, const Command& command);
async::Task<Answer> cmd_listrights(Session& session, const Command& command);
async::Task<Answer> cmd_myrights(Session& session, const Command& command);
async::Task<Answer> cmd_genurlauth(Session& session, const Command& command);
async::Task<Answer> cmd_resetkey(Session& session, const Command& command);
async::Task<Answer> cmd_urlfetch(Session& session, const Command& command);
async::Task<Answer> cmd_compress(Session& session, const Command& command);
async::Task<Answer> cmd_idle(Session& session, const Command& command);
/// What follows `+ idling`, also after a rest.
async::Task<Answer> idle_until_done(Session& session);
async::Task<Answer> cmd_notify(Session& session, const Command& command);
async::Task<Answer> cmd_close(Session& session, const Command& command);
async::Task<Answer> cmd_expunge(Session& session, const Command& command);
async::Task<Answer> cmd_search(Session& session, const Command& command);
async::Task<Answer> cmd_sort(Session& session, const Command& command);
async::Task<Answer> cmd_thread(Session& session, const Command& command);
async::Task<Answer> cmd_cancelupdate(Session& session, const Command& command);
async::Task<Answer> cmd_esearch(Session& session, const Command& command);
async::Task<Answer> cmd_uidbatches(Session& session, const Command& command);
async::Task<Answer> cmd_fetch(Session& session, const Command& command);
async::Task<Answer> cmd_store(Session& session, const Command& command);
async::Task<Answer> cmd_copy(Session& session, const Command& command);

}  // namespace mox::imapd
