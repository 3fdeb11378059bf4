// smtpd parses what strangers send. It has no file, no key and no database: its listening sockets, and channels to
// storaged, authd and dnsd.
#include <sodium.h>

#include "common/tls/context.h"
#include "smtpd/smtpd.h"

using namespace mox;

int main(int argc, char** argv) {
    process::Process process(ipc::Role::smtpd, argc, argv);
    if (sodium_init() < 0) log::fatal("libsodium does not work here");
    mox::tls::prepare();
    process.confine({
        .files = sandbox::Files::none,
        .network = sandbox::Network::accept,
        .max_files = 65536,
    });
    smtpd::Smtpd program(process);
    return process.run(proto::ToSmtpd{}, program);
}
