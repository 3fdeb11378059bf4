// imapd: IMAP connections before their login. No files, no keys, no mail: the listening sockets it is given, and
// channels to authd and moxd.
#include <sodium.h>

#include "common/tls/context.h"
#include "imapd/front/front.h"

int main(int argc, char** argv) {
    mox::process::Process process(mox::ipc::Role::imapd, argc, argv);
    if (sodium_init() < 0) mox::log::fatal("libsodium does not work here");
    mox::tls::prepare();
    process.confine({.files = mox::sandbox::Files::none, .network = mox::sandbox::Network::accept, .max_files = 65536});
    mox::imapd::Front front(process);
    return process.run(mox::proto::ToImapd{}, front);
}
