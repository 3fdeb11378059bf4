// storaged: keeps all mail, the queue and the credentials. The one program that sees the data directory, and that is
// all it sees.
//
// Security policy: files below the data directory; no network; threads for the disk; memory in proportion to what is
// open. Bytes that came from outside are opaque here: they are hashed and compressed (libzstd), never parsed.
#include <malloc.h>

#include "common/process/process.h"
#include "proto/supervise.h"
#include "storaged/server.h"

using namespace mox;

namespace {

class Storaged : public process::Common {
  public:
    explicit Storaged(process::Process& process) : Common(process) {
        accept({ipc::Role::smtpd, ipc::Role::queued, ipc::Role::authd},
               [this](Fd socket, ipc::PeerId peer) { server_.accept(std::move(socket), std::move(peer)); });
    }

    using Common::on;
    Result<proto::Done> on(proto::ConfigureStoraged message) {
        process().apply(message.log);
        server_.configure(message);
        return proto::Done{};
    }
    async::Task<Result<proto::Done>> on(proto::RemoveAccount message) {
        return server_.remove_account(std::move(message));
    }
    async::Task<Result<proto::AccountChannel>> on(proto::OpenAccountForAdmin message) {
        return server_.accounts().open_channel(std::move(message.account), ipc::Role::moxctl);
    }
    Result<proto::StoreChannel> on(proto::OpenStoreForAdmin) { return server_.open_for_admin(); }

  protected:
    void shut_down() override { scope_.spawn(end()); }
    std::string metrics() override { return server_.metrics(); }

  private:
    async::Task<void> end() {
        co_await server_.shut_down();
        process().stop();
    }
    storaged::Server server_;
    async::Scope scope_;
};

}  // namespace

int main(int argc, char** argv) {
    // Threads share one heap: each of its own would keep what a long answer once needed.
    mallopt(M_ARENA_MAX, 1);
    process::Process process(ipc::Role::storaged, argc, argv);
    process.confine({
        .files = sandbox::Files::directory,
        .network = sandbox::Network::none,
        .threads = sandbox::Threads::allowed,
        .max_files = 65536,  // a channel for each account with a worker, or whose sessions sleep
    });
    Storaged storaged(process);
    return process.run(proto::ToStoraged{}, storaged);
}
