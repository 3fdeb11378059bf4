#include "storaged/server.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "common/log/log.h"
#include "storaged/admin_channel.h"
#include "storaged/stage.h"
#include "storaged/storage_channel.h"

namespace mox::storaged {
namespace {

using namespace std::chrono_literals;

constexpr auto kFinishUp = 5s;

/// Two storaged on one directory would destroy it.
Fd take_lock() {
    Fd fd(open("storaged.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) log::fatal("cannot open the lock file of the data directory", {{"error", std::strerror(errno)}});
    // A storaged that was killed may take a moment to be gone.
    for (int i = 0; flock(fd.get(), LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == 50) log::fatal("another storaged uses this data directory");
        timespec pause{0, 100000000};
        nanosleep(&pause, nullptr);
    }
    return fd;
}

Fd set_up_directory() {
    Fd lock = take_lock();
    try {
        make_directories("accounts");
        prepare_spool();
        prepare_stages();
        sync_directory(".");  // they may be there since a process that ended before it did this
    } catch (const StoreFailure& failure) {
        log::fatal("cannot set up the data directory", {{"error", failure.what()}});
    }
    return lock;
}

void append_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                   uint64_t value) {
    fmt::format_to(std::back_inserter(out),
                   "# HELP mox_storage_{0} {1}\n# TYPE mox_storage_{0} {2}\nmox_storage_{0} {3}\n", name, help, type,
                   value);
}

}  // namespace

Server::Server(Options options)
    : lock_(set_up_directory()),
      engine_(options.threads, std::move(options.journal)),
      accounts_(engine_),
      logins_(
          std::make_shared<Strand>(engine_, std::make_unique<LoginStore>(engine_.journal, engine_.counters), "logins")),
      retention_(engine_, accounts_, logins_),
      queue_(std::make_shared<Strand>(engine_, std::make_unique<QueueStore>("", engine_.journal, engine_.counters),
                                      "queue")) {
    engine_.counters.index = options.index;
    engine_.counters.packs = options.packs;
    engine_.counters.senders = options.senders;
    engine_.counters.junk = options.junk;
    queue_->on_effects([this](const Effects& effects) { tell_queued(effects); });
}

Server::~Server() {
    queue_->on_effects({});
    engine_.deliveries.cancel();
}

void Server::configure(const proto::ConfigureStoraged& config) {
    accounts_.configure(config.accounts);
    retention_.configure(config);
    engine_.counters.compression = config.compression;
    if (config.reserve != 0) engine_.reserve.set(config.reserve);
}

void Server::accept(Fd socket, ipc::PeerId peer) {
    auto handler = std::make_unique<StorageChannel>(*this, peer.role);
    channels_.add(std::move(socket), std::move(peer), proto::StorageMessages{}, std::move(handler));
}

Result<proto::StoreChannel> Server::open_for_admin() {
    auto [ours, theirs] = ipc::make_socket_pair();
    if (!ours) return temporary(ErrorCode::busy, "too many open files");
    admins_.add(std::move(ours), {ipc::Role::moxctl, "moxctl"}, proto::StoreAdminMessages{},
                std::make_unique<AdminChannel>(*this));
    return proto::StoreChannel{std::move(theirs)};
}

void Server::tell_queued(const Effects& effects) {
    if (!effects.queue_grew) return;
    channels_.for_each([](StorageChannel& handler, ipc::Channel& channel) {
        if (handler.peer() == ipc::Role::queued) channel.send(proto::QueueGrew{});
    });
}

async::Task<Result<proto::Done>> Server::note_logins(proto::NoteLogins message) {
    if (auto wrong = check_logins(message.attempts)) co_return std::unexpected(std::move(*wrong));
    std::erase_if(message.attempts, [&](const auto& attempt) {
        return !attempt.account.empty() && accounts_.find(attempt.account) == nullptr;
    });
    auto work = [attempts = std::move(message.attempts)](LoginStore& store) {
        return store.note(attempts, std::time(nullptr));
    };
    co_return co_await logins_->run<LoginStore>(Access::write, std::move(work));
}

async::Task<Result<proto::LoginHistory>> Server::list_logins(proto::ListLogins message) {
    return logins_->run<LoginStore>(Access::read,
                                    [m = std::move(message)](LoginStore& store) { return store.list(m); });
}

// Its logins first: an account of the same name, made later, must get nothing of them.
async::Task<Result<proto::Done>> Server::remove_account(proto::RemoveAccount message) {
    auto work = [account = message.account](LoginStore& store) { return store.forget(account); };
    // An account goes whatever is wrong with their history.
    for (bool more = true; more;) {
        auto forgotten = co_await logins_->run<LoginStore>(Access::write, work);
        more = forgotten.value_or(false);
    }
    co_return co_await accounts_.remove(std::move(message.account));
}

async::Task<void> Server::shut_down() {
    channels_.close_all("shutting down");
    admins_.close_all("shutting down");
    retention_.stop();
    engine_.stopping = true;
    bool finished = true;
    try {
        co_await engine_.deliveries.join(async::in(kFinishUp));
    } catch (const async::DeadlinePassed&) {
        log::warn("ending with deliveries under way");
        finished = false;
    }
    co_await accounts_.close_all();
    co_await queue_->close();
    if (logins_->store_open()) co_await logins_->close();
    co_await engine_.pool.run([&] { return finished ? engine_.journal.end() : engine_.journal.checkpoint(); });
}

std::string Server::metrics() {
    const Counters& c = engine_.counters;
    const Journal::Counters& j = engine_.journal.counters();
    std::string out;
    append_metric(out, "deliveries_total", "counter", "Messages delivered into mailboxes, once a recipient.",
                  c.deliveries);
    append_metric(out, "delivery_failures_total", "counter", "Recipients to whom a message could not be delivered.",
                  c.delivery_failures);
    append_metric(out, "enqueued_total", "counter", "Queue entries made.", c.enqueued);
    append_metric(out, "appended_total", "counter", "Messages appended by clients.", c.appended);
    append_metric(out, "reads_total", "counter", "Reading operations on databases.", c.reads);
    append_metric(out, "writes_total", "counter", "Changing operations on databases.", c.writes);
    append_metric(out, "transactions_total", "counter", "Commits; operations that wait together share one.",
                  c.transactions);
    append_metric(out, "operation_failures_total", "counter", "Changing operations that were undone.",
                  c.operation_failures);
    append_metric(out, "sync_requests_total", "counter", "Commits to be made durable.", j.requests);
    append_metric(out, "sync_rounds_total", "counter", "Times the waiting commits were made durable together.",
                  j.rounds);
    append_metric(out, "syncs_total", "counter", "Calls that flushed to disk while somebody waited.", j.flushes);
    append_metric(out, "journal_bytes_total", "counter", "Bytes written to the journal.", j.bytes);
    append_metric(out, "journal_checkpoints_total", "counter",
                  "Times all that the journal speaks of was written to its own place.", j.checkpoints);
    append_metric(out, "spool_files_total", "counter", "Spool files created.", c.spool_files);
    append_metric(out, "columns_bytes", "gauge", "Memory of mailboxes kept for their next opening.", c.columns);
    append_metric(out, "messages_opened_total", "counter", "Message files asked for by clients.", c.messages_opened);
    append_metric(out, "searches_total", "counter", "Searches answered out of the index of words.", c.searches);
    append_metric(out, "packed_bytes_total", "counter", "Bytes of small messages that were stored.", c.packed);
    append_metric(out, "packed_stored_bytes_total", "counter", "Bytes that were stored of them, compressed or not.",
                  c.packed_as);
    append_metric(out, "compressed_total", "counter", "Large messages that became smaller files.", c.compressed);
    append_metric(out, "expired_total", "counter", "Messages removed because they had been in a mailbox for too long.",
                  c.expired);
    append_metric(out, "used_bytes", "gauge", "Bytes of the messages of all accounts that were opened.", c.used);
    append_metric(out, "open_databases", "gauge", "Databases that are open.", c.open_stores);
    append_metric(out, "accounts", "gauge", "Accounts that are configured.", accounts_.size());
    append_metric(out, "waiting_jobs", "gauge", "Jobs that wait for a thread.", engine_.pool.queued());
    return out;
}

}  // namespace mox::storaged
