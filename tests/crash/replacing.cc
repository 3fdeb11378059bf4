#include "tests/crash/replacing.h"

#include <fmt/format.h>
#include <set>
#include <span>

#include "proto/admin.h"

namespace mox::crash {
namespace {

using namespace storaged::test;

constexpr const char* kCarol = "carol";

using Texts = std::set<std::string>;

std::string small_text() {
    return "small, before the backup";
}
std::string large_text() {
    std::string text = "large, before the backup\r\n";
    while (text.size() < 70'000) text += fmt::format("line at {}\r\n", text.size());
    return text;
}
std::string later_text() {
    return "behind the backup";
}
std::string last_text() {
    return "behind the restored";
}

/// What the account has after each step, and what accounts have been moved aside by then.
struct State {
    Texts present;
    std::vector<Texts> aside;
};

const std::vector<State>& states() {
    static const std::vector<State> all = [] {
        const Texts old{small_text(), large_text()};
        const Texts all_three{small_text(), large_text(), later_text()};
        const Texts restored{small_text(), large_text(), last_text()};
        return std::vector<State>{
            {{}, {}},
            {{small_text()}, {}},
            {old, {}},
            {all_three, {}},
            {old, {all_three}},           // restored from the backup
            {restored, {all_three}},      // has another message
            {all_three, {restored}},      // what was moved aside is put back
            {{}, {restored, all_three}},  // removed, and a new one made
            {all_three, {restored, {}}},  // put back
        };
    }();
    return all;
}

std::unique_ptr<ipc::Channel> open_admin(World& w) {
    auto opened = w.server->open_for_admin();
    if (!opened) return nullptr;
    auto channel = std::make_unique<ipc::Channel>(std::move(opened->channel), ipc::PeerId{Role::storaged, "storaged"});
    channel->start();
    return channel;
}

struct Backup {
    Fd database;
    uint64_t size = 0;
    proto::OpenedFiles files;
};

/// What the process of carol's steps has at hand.
struct Steps {
    World& w;
    ipc::Channel& admin;

    template <class M>
    async::Task<Result<typename M::Reply>> ask(M message) {
        co_return co_await admin.call(std::move(message), async::in(30s));
    }
};

async::Task<bool> deliver(Steps& s, std::string text) {
    auto spool = co_await to_spool(*s.w.smtpd, text);
    if (!spool) co_return false;
    proto::Deliver message{*spool, World::facts(text), {{kCarol, "", ""}}, *spool == 0 ? text : std::string()};
    auto outcomes = co_await s.w.smtpd->call(std::move(message), async::in(30s));
    co_return outcomes && !outcomes->targets[0].error;
}

async::Task<bool> back_up(Steps& s, Backup& backup) {
    auto begun = co_await s.ask(proto::BeginBackup{kCarol});
    if (!begun) co_return false;
    std::vector<proto::FileRow> rows(begun->count);
    auto bytes = std::as_writable_bytes(std::span(rows));
    if (pread(begun->files.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) co_return false;
    auto files = co_await s.ask(proto::OpenBackupFiles{begun->backup, std::move(rows)});
    s.admin.send(proto::EndBackup{begun->backup});
    struct stat st{};
    if (!files || fstat(begun->database.get(), &st) != 0) co_return false;
    backup = {std::move(begun->database), static_cast<uint64_t>(st.st_size), std::move(*files)};
    co_return true;
}

async::Task<bool> restore(Steps& s, Backup backup) {
    auto staged = co_await s.ask(proto::StageDatabase{kCarol, std::move(backup.database), backup.size});
    if (!staged || !staged->problems.empty()) co_return false;
    proto::StageFiles files{staged->stage, {}};
    for (auto& file : backup.files.files) {
        struct stat st{};
        if (fstat(file.file.get(), &st) != 0) co_return false;
        files.files.push_back({file.number, static_cast<uint64_t>(st.st_size), std::move(file.file)});
    }
    co_return co_await s.ask(std::move(files)) && co_await s.ask(proto::InstallStage{staged->stage});
}

/// The names of what was moved aside.
async::Task<std::vector<std::string>> moved_aside(Steps& s) {
    auto names = co_await s.ask(proto::ListStores{});
    co_return names ? std::move(names->removed) : std::vector<std::string>();
}

/// Puts back the one that was not there before.
async::Task<bool> undelete(Steps& s, std::vector<std::string> before) {
    for (std::string& name : co_await moved_aside(s))
        if (std::ranges::find(before, name) == before.end())
            co_return (co_await s.ask(proto::UndeleteAccount{kCarol, std::move(name)})).has_value();
    co_return false;
}

/// Out of the configuration, removed, and there again.
async::Task<bool> remove(Steps& s) {
    s.w.accounts.pop_back();
    s.w.configure();
    auto removed = co_await s.w.server->accounts().remove(kCarol);
    add_carol(s.w);
    auto opened = co_await s.w.authd->call(proto::OpenAccount{kCarol}, async::in(30s));
    co_return removed&& opened;
}

Texts texts_of(const Found& found) {
    Texts texts;
    for (const auto& [text, places] : found)
        if (!places.empty()) texts.insert(text);
    return texts;
}

std::string show(const Texts& texts) {
    std::string shown;
    for (const std::string& text : texts) shown += fmt::format(" [{}]", text.substr(0, 24));
    return shown.empty() ? " nothing" : shown;
}

}  // namespace

async::Task<Result<uint64_t>> to_spool(ipc::Channel& channel, std::string text) {
    if (text.size() <= proto::kMaxInlineContent) co_return 0;
    auto file = co_await channel.call(proto::CreateSpool{}, async::in(30s));
    if (!file) co_return std::unexpected(file.error());
    if (write(file->file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        co_return temporary(ErrorCode::no_space, "the spool is full");
    co_return file->spool;
}

Result<Found> read_account(World& w, const std::string& name, std::vector<std::string>& mailboxes) {
    Found found;
    auto opened = w.call(w.authd, proto::OpenAccount{name});
    if (!opened) return std::unexpected(opened.error());
    Client client(std::move(opened->channel));
    auto list = w.call(client, proto::ListMailboxes{});
    if (!list) return std::unexpected(list.error());
    for (const auto& mailbox : list->mailboxes) {
        mailboxes.push_back(mailbox.name);
        auto columns = w.call(client, proto::OpenMailbox{mailbox.name});
        if (!columns) return std::unexpected(columns.error());
        for (const auto& row : rows_of(*columns)) {
            auto files = w.call(client, proto::OpenMessages{mailbox.id, {{row.uid}}});
            if (!files) return std::unexpected(files.error());
            if (files->messages.size() != 1) return permanent(ErrorCode::internal, "a row without its file");
            const proto::MessageFile& message = files->messages[0];
            std::string text = text_of(message);
            if (text.size() != message.size) return permanent(ErrorCode::internal, "a short file");
            // Whether it is junk changes within a step, there and back.
            found[text].emplace_back(mailbox.name, row.flags & ~uint32_t{proto::kJunk});
        }
    }
    for (auto& [text, places] : found) std::ranges::sort(places);
    return found;
}

void add_carol(World& w) {
    w.accounts.push_back({kCarol, 0});
    w.configure();
}

size_t carols_steps() {
    return states().size() - 1;
}

async::Task<void> replace_carol(World& w, std::function<void()> answered) {
    auto admin = open_admin(w);
    if (admin == nullptr) co_return;
    Steps s{w, *admin};
    Backup backup;
    std::vector<std::string> before;
    for (size_t step = 1; step <= carols_steps(); step++) {
        bool done = false;
        if (step == 4 || step == 7) before = co_await moved_aside(s);
        if (step == 1) done = co_await deliver(s, small_text());
        if (step == 2) done = co_await deliver(s, large_text()) && co_await back_up(s, backup);
        if (step == 3) done = co_await deliver(s, later_text());
        if (step == 4) done = co_await restore(s, std::move(backup));
        if (step == 5) done = co_await deliver(s, last_text());
        if (step == 6) done = co_await undelete(s, before);
        if (step == 7) done = co_await remove(s);
        if (step == 8) done = co_await undelete(s, before);
        if (!done) co_return;
        answered();
    }
}

std::string check_carol(World& w, size_t steps) {
    auto read = [&]() -> Result<Texts> {
        std::vector<std::string> mailboxes;
        auto found = read_account(w, kCarol, mailboxes);
        if (!found) return std::unexpected(found.error());
        return texts_of(*found);
    };
    auto present = read();
    if (!present) return "carol: " + present.error().text;
    std::multiset<Texts> all{*present};
    auto admin = open_admin(w);
    auto names = w.call(*admin, proto::ListStores{});
    if (!names) return "removed accounts: " + names.error().text;
    for (const std::string& name : names->removed) {
        if (auto put = w.call(*admin, proto::UndeleteAccount{kCarol, name}); !put)
            return name + ": " + put.error().text;
        auto texts = read();
        if (!texts) return name + ": " + texts.error().text;
        all.insert(std::move(*texts));
    }
    // Between the two moves that replace an account there is none of its name, so an empty one is made.
    for (size_t step : {steps, std::min(steps + 1, carols_steps())}) {
        std::multiset<Texts> wanted(states()[step].aside.begin(), states()[step].aside.end());
        wanted.insert(states()[step].present);
        if (all == wanted && *present == states()[step].present) return {};
        if (present->empty() && (wanted.insert(Texts{}), all == wanted)) return {};
    }
    return fmt::format("carol has{} after step {}, {} accounts in all", show(*present), steps, all.size());
}

}  // namespace mox::crash
