// AdminChannel: what storaged does for an administrator's moxctl: checking, backup, restoring; see proto/admin.h.
//
// Owns the backups and stages that were begun on it; they end with it.
#pragma once

#include <map>
#include <memory>

#include "proto/admin.h"
#include "storaged/server.h"
#include "storaged/snapshot.h"
#include "storaged/stage.h"

namespace mox::storaged {

class AdminChannel {
  public:
    explicit AdminChannel(Server& server) : server_(server) {}

    async::Task<Result<proto::StoreNames>> on(proto::ListStores);
    async::Task<Result<proto::StoreChecked>> on(proto::CheckStore message);
    async::Task<Result<proto::BackupBegun>> on(proto::BeginBackup message);
    async::Task<Result<proto::OpenedFiles>> on(proto::OpenBackupFiles message);
    void on(proto::EndBackup message) { snapshots_.erase(message.backup); }
    async::Task<Result<proto::Staged>> on(proto::StageDatabase message);
    async::Task<Result<proto::StagedMessages>> on(proto::ListStaged message);
    async::Task<Result<proto::Done>> on(proto::StageFiles message);
    async::Task<Result<proto::Done>> on(proto::InstallStage message);
    void on(proto::DropStage message);
    async::Task<Result<proto::Done>> on(proto::UndeleteAccount message);
    async::Task<Result<proto::LoginHistory>> on(proto::ListLogins message) {
        return server_.list_logins(std::move(message));
    }

  private:
    /// A store, and what keeps it from being closed; nothing when there is no such account.
    struct Used {
        std::shared_ptr<Strand> strand;
        std::optional<Account::Use> use;
    };
    std::optional<Used> find(const std::string& account);
    std::shared_ptr<Stage> stage(uint64_t number) const;
    Server& server_;
    std::map<uint64_t, std::shared_ptr<Snapshot>> snapshots_;
    std::map<uint64_t, std::shared_ptr<Stage>> stages_;
};

}  // namespace mox::storaged
