// A storaged in a temporary directory on a real disk, and clients that talk to it over its real channels.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "common/ipc/channel.h"
#include "common/mail/stored_file.h"
#include "proto/account.h"
#include "proto/storage.h"
#include "storaged/check.h"
#include "storaged/server.h"
#include "tests/unit/catch.h"

namespace mox::storaged::test {

using namespace std::chrono_literals;
using ipc::Role;

/// A new directory, which is the working directory until this is gone.
class TemporaryDirectory {
  public:
    explicit TemporaryDirectory(const std::string& above = "/var/tmp") : before_(std::filesystem::current_path()) {
        std::string name = above + "/mox-storaged-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
        std::filesystem::current_path(path_);
    }
    ~TemporaryDirectory() {
        std::filesystem::current_path(before_);
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_.native(); }

  private:
    std::filesystem::path before_;
    std::filesystem::path path_;
};

/// What a worker hears on its account channel.
struct Events {
    std::string account;
    std::map<uint64_t, uint64_t> changed;
    int list_changed = 0;
    int learning_due = 0;
    void on(proto::AccountOpened m) { account = m.account; }
    void on(proto::MailboxChanged m) { changed[m.mailbox.value] = m.highest_modseq; }
    void on(proto::MailboxListChanged) { list_changed++; }
    void on(proto::LearningDue) { learning_due++; }
};
struct QueueEvents {
    int grew = 0;
    void on(proto::QueueGrew) { grew++; }
};

/// A worker's end of an account channel.
struct Client {
    Events events;
    ipc::Channel channel;
    explicit Client(Fd socket) : channel(std::move(socket), {Role::storaged, "storaged"}) {
        channel.serve(proto::AccountEventMessages{}, events);
        channel.start();
    }
};

struct World {
    async::Loop loop;
    QueueEvents queue_events;
    std::unique_ptr<Server> server;
    std::unique_ptr<ipc::Channel> smtpd, queued, authd;
    std::vector<proto::ConfigureStoraged::Account> accounts = {{"alice", 0}, {"bob", 0}};

    explicit World(Options options = {}, proto::Compression compression = proto::Compression::off)
        : options_(std::move(options)), compression_(compression) {
        start();
    }
    ~World() { crash(); }

    std::unique_ptr<ipc::Channel> connect(Role role) {
        auto [ours, theirs] = ipc::make_socket_pair();
        server->accept(std::move(theirs), {role, std::string(ipc::to_string(role))});
        auto channel = std::make_unique<ipc::Channel>(std::move(ours), ipc::PeerId{Role::storaged, "storaged"});
        if (role == Role::queued) channel->serve(proto::QueueEventMessages{}, queue_events);
        channel->start();
        return channel;
    }
    void start() {
        server = std::make_unique<Server>(options_);
        configure();
        smtpd = connect(Role::smtpd);
        queued = connect(Role::queued);
        authd = connect(Role::authd);
    }
    void configure() {
        proto::ConfigureStoraged config{};
        config.accounts = accounts;
        config.compression = compression_;
        server->configure(config);
    }
    /// Ends without any farewell, as kill -9 does.
    void crash() {
        smtpd.reset();
        queued.reset();
        authd.reset();
        server.reset();
    }
    void restart() {
        wait(finish(*server));
        crash();
        start();
    }
    static async::Task<int> finish(Server& server) {
        co_await server.shut_down();
        co_return 0;
    }

    /// Runs the loop until the task is done.
    template <class T>
    T wait(async::Task<T> task) {
        std::optional<T> value;
        async::Scope scope;
        scope.spawn(store(task, value, loop));
        if (!value) loop.run();
        return std::move(*value);
    }
    template <class T>
    static async::Task<void> store(async::Task<T>& task, std::optional<T>& value, async::Loop& loop) {
        value.emplace(co_await task);
        loop.stop();
    }
    static async::Task<int> nap(async::Clock::duration span) {
        co_await async::sleep_for(span);
        co_return 0;
    }
    void settle() { wait(nap(50ms)); }

    /// Messages that an account has on disk, each read and found whole; fails when files and rows do not agree.
    uint64_t stored(const std::string& name) {
        auto work = [](MailStore& store) -> Result<uint64_t> {
            Problems problems;
            uint64_t count = 0;
            for (uint64_t directory : directories_to_check(store)) {
                auto checked = check_directory(store, directory, proto::Strays::leave, problems);
                count += checked.known;
                for (const auto& file : checked.unread) count += check_contents(store, file, problems);
            }
            if (!problems.empty()) return permanent(ErrorCode::io, problems.take().front());
            return count;
        };
        auto count = wait(server->accounts().find(name)->run(Access::read, work));
        INFO((count ? std::string() : count.error().text));
        REQUIRE(count);
        return *count;
    }
    /// Rewrites packs until none is left that has to be; how many steps that took.
    size_t rewrite_packs(const std::string& name) {
        for (size_t steps = 0;; steps++) {
            auto work = [](MailStore& store) { return store.rewrite_packs(); };
            auto more = wait(server->accounts().find(name)->run(Access::write, work));
            REQUIRE(more);
            if (!*more) return steps;
        }
    }

    template <class M>
    Result<typename M::Reply> call(ipc::Channel& channel, M message) {
        return wait(channel.call(std::move(message), async::in(30s)));
    }
    template <class M>
    Result<typename M::Reply> call(Client& client, M message) {
        return call(client.channel, std::move(message));
    }
    template <class M>
    Result<typename M::Reply> call(std::unique_ptr<ipc::Channel>& channel, M message) {
        return call(*channel, std::move(message));
    }

    std::unique_ptr<Client> open(const std::string& account) {
        auto opened = call(authd, proto::OpenAccount{account});
        REQUIRE(opened);
        return std::make_unique<Client>(std::move(opened->channel));
    }
    static void write_all(const Fd& fd, std::string_view text) {
        REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    uint64_t spool(ipc::Channel& channel, std::string_view text) {
        auto file = call(channel, proto::CreateSpool{});
        REQUIRE(file);
        write_all(file->file, text);
        return file->spool;
    }
    static proto::MessageFacts facts(std::string_view text) {
        proto::MessageFacts facts{};
        facts.size = text.size();
        facts.received = {1700000000, 60};
        facts.info = "info of " + std::string(text);
        facts.mail_from = "sender@example.org";
        return facts;
    }
    Result<proto::DeliveryOutcomes> deliver_to(std::vector<proto::DeliveryTarget> targets, std::string_view text) {
        uint64_t file = spool(*smtpd, text);
        return call(smtpd, proto::Deliver{file, facts(text), std::move(targets)});
    }
    /// Delivers one message; the error or nothing.
    std::optional<Error> deliver(const std::string& account, const std::string& mailbox, std::string_view text) {
        auto outcomes = deliver_to({{account, mailbox, "Prefix: x\r\n"}}, text);
        if (!outcomes) return outcomes.error();
        REQUIRE(outcomes->targets.size() == 1);
        return outcomes->targets[0].error;
    }

  private:
    Options options_;
    proto::Compression compression_;
};

/// The rows of an opened mailbox.
inline std::vector<proto::MessageRow> rows_of(const proto::MailboxColumns& columns) {
    std::vector<proto::MessageRow> rows(columns.count);
    if (columns.count == 0) return rows;
    auto bytes = static_cast<ssize_t>(rows.size() * sizeof rows[0]);
    REQUIRE(pread(columns.rows.get(), rows.data(), rows.size() * sizeof rows[0], 0) == bytes);
    return rows;
}
inline std::string text_of(const Fd& file) {
    std::string text(1u << 20, '\0');
    ssize_t n = pread(file.get(), text.data(), text.size(), 0);
    REQUIRE(n >= 0);
    text.resize(static_cast<size_t>(n));
    return text;
}
/// A message of an answer: what is in a pack comes as bytes. Shorter than the message when it is damaged.
inline std::string text_of(const proto::MessageFile& message) {
    mail::StoredFile file(message.start, message.packed, Fd(message.file ? dup(message.file.get()) : -1), message.size,
                          message.stored);
    std::string text(message.size, '\0');
    size_t got = 0;
    for (size_t n = 1; n > 0; got += n) n = file.read(got, std::span(text).subspan(got));
    text.resize(got);
    return text;
}
/// Makes of the database of an account one of an earlier version of its schema, at least 3.
inline void make_older(storaged::Database& db, int version) {
    constexpr const char* kUndo[] = {
        "ALTER TABLE state DROP COLUMN history", "DROP TABLE compressed; DROP TABLE to_compress",
        "DROP TABLE thread; DROP TABLE thread_of; DROP TABLE thread_key; DROP TABLE recipient",
        "DROP TABLE client_key; DROP TABLE url_key",
        "DROP TABLE web_session; DROP TABLE sender; DROP TABLE sender_key; DROP TABLE sender_segment;"
        "DROP TABLE opinion; DROP TABLE junk_word; ALTER TABLE content DROP COLUMN sender;"
        "ALTER TABLE state DROP COLUMN sender_indexed; ALTER TABLE state DROP COLUMN sender_secret;"
        "ALTER TABLE state DROP COLUMN junk_messages; ALTER TABLE state DROP COLUMN not_junk_messages;"
        "ALTER TABLE state DROP COLUMN junk_words"};
    for (int v = static_cast<int>(std::size(kUndo)) + 3; v > version; v--) db.execute(kUndo[v - 4]);
    db.execute(("PRAGMA user_version = " + std::to_string(version)).c_str());
}
/// Files in a directory tree.
inline size_t count_files(const std::string& path) {
    size_t count = 0;
    std::error_code missing;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path, missing))
        count += entry.is_regular_file();
    return count;
}
/// The error of something that must have failed.
template <class T>
Error error_of(const Result<T>& result) {
    REQUIRE_FALSE(result);
    return result.error();
}

}  // namespace mox::storaged::test
