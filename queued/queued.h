// The program: the scheduler between its peers and moxd.
#pragma once

#include "common/process/process.h"
#include "proto/queue.h"
#include "queued/scheduler.h"

namespace mox::queued {

/// Everything that moxd sends to queued: ToQueued and QueueAdminMessages.
using Messages = ipc::Messages<proto::ConfigureQueued, MOX_COMMON_CHILD_MESSAGES, proto::QueueList, proto::QueueKick,
                               proto::QueueDrop>;

class Queued : public process::Common {
  public:
    explicit Queued(process::Process& process);

    using Common::on;
    Result<proto::Done> on(proto::ConfigureQueued config);
    async::Task<Result<proto::QueueListing>> on(proto::QueueList request) {
        return scheduler_.list(std::move(request));
    }
    async::Task<Result<proto::QueueAffected>> on(proto::QueueKick request) {
        return scheduler_.kick(std::move(request));
    }
    async::Task<Result<proto::QueueAffected>> on(proto::QueueDrop request) {
        return scheduler_.drop(std::move(request));
    }

  protected:
    void shut_down() override;
    std::string metrics() override { return scheduler_.metrics(); }

  private:
    /// What storaged tells of its own accord.
    struct QueueEvents {
        Scheduler& scheduler;
        void on(proto::QueueGrew) { scheduler.look_again(); }
    };
    async::Task<void> end();
    Peers peers_;
    Scheduler scheduler_{peers_};
    QueueEvents events_{scheduler_};
    async::Scope scope_;
};

}  // namespace mox::queued
