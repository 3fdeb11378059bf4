#include "queued/queued.h"

namespace mox::queued {
namespace {

constexpr auto kShutdownTime = std::chrono::seconds(3);

}  // namespace

Queued::Queued(process::Process& process) : Common(process) {
    call(peers_.storage, [this](ipc::Channel& channel) {
        channel.serve(proto::QueueEventMessages{}, events_);
        scheduler_.look_again();
    });
    call(peers_.auth);
    call(peers_.dns);
}

Result<proto::Done> Queued::on(proto::ConfigureQueued config) {
    process().apply(config.log);
    scheduler_.configure(std::make_shared<const proto::ConfigureQueued>(std::move(config)));
    return proto::Done{};
}

void Queued::shut_down() {
    scope_.spawn(end());
}

async::Task<void> Queued::end() {
    co_await scheduler_.finish(async::in(kShutdownTime));
    process().stop();
}

}  // namespace mox::queued
