// Server: storaged without its process: the engine, the accounts, the queue, and the channels of the other programs.
//
// Owns everything below the working directory; `storaged.lock` makes sure that it is the only one. main.cc puts it into
// a confined process, tests into a temporary directory.
#pragma once

#include <memory>
#include <string>

#include "common/ipc/channel.h"
#include "common/process/process.h"
#include "proto/storage.h"
#include "proto/supervise.h"
#include "storaged/account.h"
#include "storaged/login_store.h"
#include "storaged/queue_store.h"
#include "storaged/retention.h"
#include "storaged/spool.h"

namespace mox::storaged {

class AdminChannel;
class StorageChannel;

struct Options {
    size_t threads = 4;
    JournalOptions journal;
    IndexLimits index;
    PackLimits packs;
    SenderLimits senders;
    JunkLimits junk;
};

class Server {
  public:
    /// Takes the lock and puts the directory in order; ends the process when another has it.
    explicit Server(Options options = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    void configure(const proto::ConfigureStoraged& config);
    /// Serves a peer until its channel is lost.
    void accept(Fd socket, ipc::PeerId peer);
    /// A new channel for an administrator's moxctl.
    Result<proto::StoreChannel> open_for_admin();
    async::Task<Result<proto::Done>> remove_account(proto::RemoveAccount message);
    /// Closes all channels, lets what is under way finish (a few seconds at most) and closes all databases.
    async::Task<void> shut_down();
    std::string metrics();

    Engine& engine() { return engine_; }
    Accounts& accounts() { return accounts_; }
    std::shared_ptr<Strand> queue() { return queue_; }
    std::shared_ptr<Strand> logins() { return logins_; }
    async::Task<Result<proto::Done>> note_logins(proto::NoteLogins message);
    async::Task<Result<proto::LoginHistory>> list_logins(proto::ListLogins message);

  private:
    void tell_queued(const Effects& effects);
    Fd lock_;
    Engine engine_;
    Accounts accounts_;
    std::shared_ptr<Strand> logins_;
    Retention retention_;
    std::shared_ptr<Strand> queue_;
    process::Served<StorageChannel> channels_;
    process::Served<AdminChannel> admins_;
};

}  // namespace mox::storaged
