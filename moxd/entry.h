// A child of the supervisor's, with what answers it. For supervisor.cc and workers.cc.
#pragma once

#include "moxd/supervisor.h"

namespace mox::moxd {

/// Answers what one child asks.
struct Supervisor::FromChild {
    Supervisor& supervisor;
    Child& child;
    async::Task<Result<proto::AllMetrics>> on(proto::GetAllMetrics) { return supervisor.all_metrics(); }
    async::Task<Result<ipc::Done>> on(proto::StartSession m) { return supervisor.start_session(std::move(m)); }
    Result<ipc::Done> on(proto::Retire) { return supervisor.retire(child); }
    void on(proto::RestSession m) { supervisor.rest_session(child, std::move(m)); }
    Result<ipc::Done> on(proto::Sleep m) { return supervisor.let_sleep(child, std::move(m)); }
    void on(proto::StayAwake) { supervisor.stay_awake(child); }
    void on(proto::PeerLost m) { supervisor.peer_lost(child, m); }
};

struct Supervisor::Entry {
    Child child;
    FromChild handler;
    Entry(ChildSpec spec, Supervisor& supervisor) : child(std::move(spec)), handler{supervisor, child} {}
};

}  // namespace mox::moxd
