// dnsd: resolves names for the others, and verifies the answers.
#include "common/process/process.h"
#include "dnsd/dnsd.h"
#include "dnsd/resolver.h"

using namespace mox;

int main(int argc, char** argv) {
    process::Process process(ipc::Role::dnsd, argc, argv);
    dnsd::Resolver::prepare();
    process.confine({.files = sandbox::Files::none,
                     .network = sandbox::Network::connect,
                     .threads = sandbox::Threads::none,
                     .max_files = 2048});
    dnsd::Dnsd dnsd(process);
    return process.run(proto::ToDnsd{}, dnsd);
}
