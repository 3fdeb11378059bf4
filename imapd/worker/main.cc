// imapd-worker: all IMAP sessions of one account. No files, no sockets but those it is given.
#include "imapd/worker/worker.h"

int main(int argc, char** argv) {
    mox::process::Process process(mox::ipc::Role::imapd_worker, argc, argv);
    process.confine({
        .files = mox::sandbox::Files::none,
        .network = mox::sandbox::Network::none,
        .max_files = 16384,  // some dozens for each session that fetches
    });
    mox::imapd::Worker worker(process);
    return process.run(mox::proto::ToImapdWorker{}, worker);
}
