// The worker of one account: takes sessions from moxd, runs them, and ends when it has had none for a while. When all
// of them rest it gives them to moxd and ends as well: another worker goes on with them (rest.h).
#pragma once

#include <memory>

#include "common/process/process.h"
#include "imapd/worker/account.h"
#include "imapd/worker/session.h"

namespace mox::imapd {

class Worker : public process::Common {
  public:
    explicit Worker(process::Process& process) : Common(process) {}

    Result<proto::Done> on(proto::ConfigureImapdWorker message);
    async::Task<Result<proto::Done>> on(proto::NewSession message);
    async::Task<Result<proto::Done>> on(proto::WakeUp message);
    void on(proto::ResumeSession message);
    using Common::on;

  protected:
    void shut_down() override;
    std::string metrics() override;

  private:
    void begin(std::unique_ptr<Session> session);
    async::Task<void> serve(std::unique_ptr<Session> session);
    async::Task<void> sleep_when_all_rest();
    async::Task<void> fall_asleep();
    std::optional<async::Clock::time_point> resting_since() const;
    uint64_t compressed_received() const;
    bool give_to_sleep(proto::Sleep& sleep);
    async::Task<void> retire_when_idle(uint64_t generation);
    async::Task<void> end_soon();

    std::unique_ptr<Account> account_;
    Counters counters_;
    std::set<Session*> sessions_;
    std::chrono::seconds sleep_after_{0};
    bool ending_ = false;
    size_t arriving_ = 0;  // channels that are being looked at
    // Counts sessions that came and went, so that a timer knows whether it still means what it meant.
    uint64_t generation_ = 0;
    async::Scope scope_;
};

}  // namespace mox::imapd
