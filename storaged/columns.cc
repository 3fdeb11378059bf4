#include "storaged/columns.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <vector>

#include "storaged/failure.h"
#include "storaged/files.h"

namespace mox::storaged {
namespace {

using proto::MessageRow;

std::vector<MessageRow> read_rows(const Fd& file, uint64_t count) {
    std::vector<MessageRow> rows(count);
    auto* at = reinterpret_cast<char*>(rows.data());
    size_t size = count * sizeof(MessageRow);
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(file.get(), at + got, size - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail_errno("reading a memory file");
        got += static_cast<size_t>(n);
    }
    return rows;
}

}  // namespace

void KeptColumns::keep(proto::MailboxId mailbox, uint64_t modseq, uint64_t count, const Fd& rows) {
    forget();
    uint64_t bytes = count * sizeof(MessageRow);
    if (count < kMinRows || !rows) return;
    if (total_.fetch_add(bytes) + bytes > kMaxKept) {
        total_ -= bytes;
        return;
    }
    rows_ = Fd(::dup(rows.get()));
    count_ = count;
    if (!rows_) return forget();
    mailbox_ = mailbox;
    modseq_ = modseq;
}

void KeptColumns::forget() {
    total_ -= count_ * sizeof(MessageRow);
    count_ = 0;
    rows_.reset();
}

Fd KeptColumns::file() const {
    Fd copy(::dup(rows_.get()));
    if (!copy) fail_errno("sharing a memory file");
    return copy;
}

Fd KeptColumns::merge(const proto::MailboxChanges& changes, uint64_t& count) const {
    auto gone = changes.expunged;
    std::ranges::sort(gone, {}, &proto::UidRange::first);
    MemoryFile file;
    count = 0;
    auto expunged = gone.begin();
    auto add = [&](const MessageRow& row) {
        while (expunged != gone.end() && expunged->last < row.uid) ++expunged;
        if (expunged != gone.end() && expunged->first <= row.uid) return;
        file.append(&row, sizeof row);
        count++;
    };
    auto changed = changes.changed.begin();
    for (const MessageRow& row : read_rows(rows_, count_)) {
        for (; changed != changes.changed.end() && changed->uid < row.uid; ++changed) add(*changed);
        bool replaced = changed != changes.changed.end() && changed->uid == row.uid;
        add(replaced ? *changed++ : row);
    }
    for (; changed != changes.changed.end(); ++changed) add(*changed);
    return file.seal();
}

}  // namespace mox::storaged
