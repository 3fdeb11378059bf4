// imapd-worker: all IMAP sessions of one account. No files, no sockets but those it is given.
#include <malloc.h>

#include "imapd/worker/worker.h"

int main(int argc, char** argv) {
    // There are many of these: what one long answer needed is given back. (By itself glibc keeps more each time.)
    mallopt(M_MMAP_THRESHOLD, 512 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mox::process::Process process(mox::ipc::Role::imapd_worker, argc, argv);
    process.confine({
        .files = mox::sandbox::Files::none,
        .network = mox::sandbox::Network::none,
        .max_files = 16384,  // some dozens for each session that fetches
    });
    mox::imapd::Worker worker(process);
    return process.run(mox::proto::ToImapdWorker{}, worker);
}
