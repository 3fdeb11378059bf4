// authd holds the private keys and the directory, and verifies logins. It sees no file and no network: only its
// channels.
#include <sodium.h>

#include "authd/authd.h"
#include "common/tls/context.h"

using namespace mox;

int main(int argc, char** argv) {
    process::Process process(ipc::Role::authd, argc, argv);
    if (sodium_init() < 0) log::fatal("libsodium does not work here");
    mox::tls::prepare();
    process.confine({
        .files = sandbox::Files::none,
        .network = sandbox::Network::none,
        .threads = sandbox::Threads::allowed,  // for hashing passwords
        .max_files = 4096,
        .max_memory = uint64_t{2} << 30,
    });
    authd::Authd program(process);
    return process.run(proto::ToAuthd{}, program);
}
