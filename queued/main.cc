// queued: delivers what is in the outgoing queue.
#include "common/process/process.h"
#include "common/tls/context.h"
#include "queued/queued.h"

using namespace mox;

int main(int argc, char** argv) {
    process::Process process(ipc::Role::queued, argc, argv);
    mox::tls::prepare();
    process.confine({.files = sandbox::Files::none,
                     .network = sandbox::Network::connect,
                     .threads = sandbox::Threads::none,
                     .max_files = 4096});
    queued::Queued queued(process);
    return process.run(queued::Messages{}, queued);
}
