#include "tests/crash/workload.h"

#include <fmt/format.h>
#include <random>
#include <span>

#include "common/mail/mime_parser.h"
#include "common/mail/words.h"
#include "storaged/check.h"
#include "storaged/login_store.h"
#include "storaged/mail_store.h"
#include "storaged/queue_store.h"
#include "tests/crash/recorder.h"

namespace mox::crash {
namespace {

using namespace storaged::test;

constexpr const char* kAfterwards = "afterwards";

/// A message's size says which way it takes: journal, too much for one record, spool file. Of a third nothing is saved
/// by compression.
std::string text_of_actor(unsigned seed, size_t number) {
    constexpr size_t kSizes[] = {150, 3000, 20000, 45000, 150, 100000, 900, 70000};
    std::string text = fmt::format("Subject: {}-{}\r\n\r\n", seed, number);
    size_t size = kSizes[number % std::size(kSizes)];
    std::mt19937 noise(static_cast<unsigned>(number));
    while (number % 3 == 1 && text.size() < size) text += static_cast<char>(noise());
    while (text.size() < size) text += fmt::format("line {} of {}\r\n", text.size(), number);
    return text;
}

Actor make_actor(unsigned seed, size_t number) {
    Actor actor;
    actor.text = text_of_actor(seed, number);
    actor.alice = {{},
                   {{"INBOX", 0}},
                   {{"INBOX", proto::kSeen}},
                   {{"Archive", proto::kSeen}},
                   {{"Archive", proto::kSeen}, {"Trash", proto::kSeen}},
                   {{"Archive", proto::kSeen | proto::kDeleted}, {"Trash", proto::kSeen}},
                   {{"Trash", proto::kSeen}}};
    // Step 1 delivers to bob, step 2 from the queue to him again.
    actor.bob = {0, 1, 2, 2, 2, 2, 2};
    // Of most nothing is left at last: packs are rewritten, files erased.
    if (number % 3 == 0) return actor;
    actor.alice.push_back({{"Trash", proto::kSeen | proto::kDeleted}});
    actor.alice.push_back({});
    actor.bob.insert(actor.bob.end(), {2, 2});
    return actor;
}

struct Run {
    World& w;
    Client& alice;
    std::map<std::string, proto::MailboxId> mailboxes;
    Workload workload;
    int progress = -1;
    size_t running = 0;

    void note(std::vector<size_t>& answered, size_t who) const {
        answered.push_back(Recorder::get().count());
        char byte = static_cast<char>(who);
        if (progress >= 0 && write(progress, &byte, 1) != 1) abort();
    }
    void note(Actor& actor) { note(actor.answered, static_cast<size_t>(&actor - workload.actors.data())); }
};

/// Of a few bytes only, so that the index is not the larger part of what is written.
std::string words_of(std::string_view text) {
    text = text.substr(0, 200);
    mail::ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
        return offset < text.size() ? text.copy(into.data(), into.size(), offset) : 0;
    };
    return mail::word_list({mail::parse_message(text), read});
}

std::string inline_text(const std::string& text) {
    return text.size() <= proto::kMaxInlineContent ? text : std::string();
}

template <class M>
async::Task<Result<typename M::Reply>> ask(Run& run, M message) {
    co_return co_await run.alice.channel.call(std::move(message), async::in(30s));
}

/// Step 1: into alice's INBOX by APPEND, and to bob by a delivery; the uid.
async::Task<uint32_t> add(Run& run, std::string text) {
    auto spool = co_await to_spool(run.alice.channel, text);
    if (!spool) co_return 0;
    proto::AppendItem item{*spool, text.size(), 0, {}, {1700000000, 0}, "info", inline_text(text)};
    item.words = words_of(text);
    auto appended = co_await ask(run, proto::AppendMessages{"INBOX", {item}});
    if (!appended) co_return 0;
    spool = co_await to_spool(*run.w.smtpd, text);
    if (!spool) co_return 0;
    proto::Deliver deliver{*spool, World::facts(text), {{"bob", "Lists/x", "P: x\r\n"}}, inline_text(text)};
    deliver.facts.words = words_of(text);
    deliver.facts.remote_address = "192.0.2.1";
    deliver.facts.sender.from = fmt::format("a{}@example.org", text.size() % 7);
    deliver.targets[0].words = mail::header_word_list("P: x\r\n");
    auto outcomes = co_await run.w.smtpd->call(std::move(deliver), async::in(30s));
    co_return outcomes && !outcomes->targets[0].error ? appended->uids[0].value : 0;
}

/// Through the queue to bob: queued, an attempt noted, delivered here and taken out.
async::Task<bool> queue(Run& run, std::string text) {
    auto spool = co_await to_spool(*run.w.smtpd, text);
    if (!spool) co_return false;
    proto::Enqueue enqueue{};
    enqueue.spool = *spool;
    enqueue.content = inline_text(text);
    enqueue.facts = World::facts(text);
    enqueue.account = "alice";
    enqueue.recipients = {"bob@example.org", "gone@example.org"};
    auto queued = co_await run.w.smtpd->call(std::move(enqueue), async::in(30s));
    if (!queued) co_return false;
    proto::LoginAttempt login{"alice", "", "192.0.2.1", {}, {}, {}, "", {}, 1, 1, 1};
    login.client = text.substr(0, text.find('\r'));
    auto noted = co_await run.w.authd->call(proto::NoteLogins{{login}}, async::in(30s));
    if (!noted) co_return false;
    auto update = co_await run.w.queued->call(proto::QueueUpdate{queued->ids[0], 1, 1, 1, "", false}, async::in(30s));
    auto local = co_await run.w.queued->call(
        proto::QueueDeliverLocal{queued->ids[0], {1700000000, 0}, {"bob", "", "Q: x\r\n"}}, async::in(30s));
    auto removed = co_await run.w.queued->call(proto::QueueRemove{{queued->ids[1]}}, async::in(30s));
    co_return update&& local&& removed;
}

/// Words for all that are to be learned, as a worker brings them. Which messages those are by now others decide: that
/// what is kept is right is what is checked.
async::Task<bool> learn(Run& run) {
    auto unlearned = co_await ask(run, proto::GetUnlearned{});
    if (!unlearned) co_return false;
    proto::LearnMessages request;
    for (const auto& one : unlearned->messages) {
        uint64_t content = one.message.content.number;
        request.messages.push_back({content, one.was, one.wanted, {content % 5, 10 + content % 7, 100 + content}});
    }
    co_return (co_await ask(run, std::move(request))).has_value();
}

/// What the owner says of a message, twice, so that it is learned and unlearned.
async::Task<bool> say_junk(Run& run, proto::MailboxId mailbox, uint32_t uid) {
    for (auto mode : {proto::StoreMode::add, proto::StoreMode::remove}) {
        auto flags = co_await ask(run, proto::StoreFlags{mailbox, {{uid, uid}}, mode, proto::kJunk, {}, std::nullopt});
        if (!flags || !co_await learn(run)) co_return false;
    }
    co_return true;
}

/// Somebody logs in with a browser, and is asked for.
async::Task<bool> log_in(Run& run, const std::string& text) {
    std::string token = text.substr(0, text.find('\r'));
    token.resize(proto::kSessionHash, '-');
    proto::NewWebSession session{token, token, {}, "192.0.2.1", "browser"};
    auto added = co_await run.w.authd->call(proto::AddWebSession{"bob", session}, async::in(30s));
    auto found = co_await run.w.authd->call(proto::FindWebSession{"bob", token, {}}, async::in(30s));
    co_return added&& found;
}

/// As the account does by itself some seconds after messages have gone. A failure is one of the disk.
async::Task<void> rewrite_packs(storaged::Account& account) {
    for (bool more = true; more;) {
        auto work = [](storaged::MailStore& store) { return store.rewrite_packs(); };
        more = (co_await account.run(storaged::Access::write, work)).value_or(false);
    }
}

/// Threads for all that came, as a worker does when a client asks. Which of the messages that run at the same time come
/// first differs, and so do the threads; that they are whole is what is checked.
async::Task<bool> assign_threads(Run& run) {
    auto unthreaded = co_await ask(run, proto::GetUnthreaded{});
    if (!unthreaded) co_return false;
    proto::AssignThreads request;
    for (const auto& message : unthreaded->messages)
        request.messages.push_back(
            {message.content, {message.content, message.content / 3}, message.content % 2, 0, true, {}});
    co_return (co_await ask(run, std::move(request))).has_value();
}

/// The last two steps: out of Trash.
async::Task<void> remove(Run& run, Actor& actor, uint32_t uid) {
    proto::MailboxId trash = run.mailboxes["Trash"];
    auto flags = co_await ask(
        run, proto::StoreFlags{trash, {{uid, uid}}, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt});
    if (!flags) co_return;
    run.note(actor);
    if (!co_await ask(run, proto::Expunge{trash, {{uid, uid}}})) co_return;
    run.note(actor);
    co_await rewrite_packs(*run.w.server->accounts().find("alice"));
}

async::Task<void> act(Run& run, Actor& actor) {
    proto::MailboxId inbox = run.mailboxes["INBOX"];
    proto::MailboxId archive = run.mailboxes["Archive"];
    uint32_t uid = co_await add(run, actor.text);
    if (uid == 0) co_return;
    run.note(actor);
    auto flags = co_await ask(
        run, proto::StoreFlags{inbox, {{uid, uid}}, proto::StoreMode::add, proto::kSeen, {}, std::nullopt});
    if (!flags || !co_await queue(run, actor.text) || !co_await assign_threads(run)) co_return;
    if (!co_await say_junk(run, inbox, uid) || !co_await log_in(run, actor.text)) co_return;
    run.note(actor);
    auto moved = co_await ask(run, proto::MoveMessages{inbox, {{uid, uid}}, "Archive"});
    if (!moved) co_return;
    uid = moved->uids.at(0).destination;
    run.note(actor);
    auto copied = co_await ask(run, proto::CopyMessages{archive, {{uid, uid}}, "Trash"});
    if (!copied) co_return;
    run.note(actor);
    flags = co_await ask(
        run, proto::StoreFlags{archive, {{uid, uid}}, proto::StoreMode::add, proto::kDeleted, {}, std::nullopt});
    if (!flags) co_return;
    run.note(actor);
    if (!co_await ask(run, proto::Expunge{archive, {{uid, uid}}})) co_return;
    run.note(actor);
    if (actor.alice.back().empty()) co_await remove(run, actor, copied->uids.at(0).destination);
}

async::Task<void> run_actor(Run& run, Actor& actor) {
    co_await act(run, actor);
    if (--run.running == 0) run.w.loop.stop();
}

/// Mailboxes, and databases that are closed and opened in between.
async::Task<void> run_mailboxes(Run& run) {
    auto& answered = run.workload.mailbox_answered;
    for (int step = 0; step < 4; step++) {
        Result<proto::Done> done = proto::Done{};
        if (step == 0) {
            auto created = co_await ask(run, proto::CreateMailbox{"one/two", 0});
            if (!created) done = std::unexpected(created.error());
        } else if (step == 1) {
            done = co_await ask(run, proto::RenameMailbox{"one", "three"});
        } else if (step == 2) {
            done = co_await ask(run, proto::DeleteMailbox{"three/two"});
        } else {
            done = co_await ask(run, proto::DeleteMailbox{"three"});
        }
        if (!done) break;
        run.note(answered, run.workload.actors.size());
        for (const char* name : {"alice", "bob"}) {
            auto account = run.w.server->accounts().find(name);
            co_await rewrite_packs(*account);
            if (account->idle()) co_await account->close_store();
        }
    }
    if (--run.running == 0) run.w.loop.stop();
}

async::Task<void> run_carol(Run& run) {
    co_await replace_carol(run.w, [&run] { run.note(run.workload.carol_answered, run.workload.actors.size() + 1); });
    if (--run.running == 0) run.w.loop.stop();
}

const std::vector<std::vector<std::string>> kMailboxSteps = {
    {}, {"one", "one/two"}, {"three", "three/two"}, {"three"}, {}};

size_t steps(const std::vector<size_t>& answered, size_t calls) {
    return static_cast<size_t>(std::ranges::count_if(answered, [&](size_t at) { return at <= calls; }));
}

/// What the index says of a word that all messages have: an empty text when that is true.
std::string check_index(World& w, const std::string& name) {
    auto account = w.server->accounts().find(name);
    std::vector<proto::TextKey> keys = {{mail::kInHeader, "UBJEC"}};
    auto work = [keys](storaged::MailStore& store) { return store.find_text(keys); };
    auto found = w.wait(account->run(storaged::Access::read, std::move(work)));
    if (!found) return "searching: " + found.error().text;
    std::vector<uint64_t> bits((found->count + 63) / 64 * 3);
    if (pread(found->bits.get(), bits.data(), bits.size() * 8, 0) != static_cast<ssize_t>(bits.size() * 8))
        return "short bitmaps";
    size_t words = bits.size() / 3;
    for (size_t i = 0; i < words; i++)
        if (bits[words + i] != bits[2 * words + i]) return "the index lacks words of " + name;
    return {};
}

std::string later_text(size_t number) {
    return fmt::format("later {}", number);
}

std::string show(const Places& places) {
    std::string text;
    for (const auto& [name, flags] : places) text += fmt::format(" {}:{}", name, flags);
    return text.empty() ? " nowhere" : text;
}

std::string check_actor(const Actor& actor, size_t calls, Found& alice, Found& bob) {
    size_t step = actor.steps_before(calls);
    size_t last = std::min(step + 1, actor.alice.size() - 1);
    std::string subject = actor.text.substr(0, actor.text.find('\r'));
    const Places& is = alice[actor.text];
    // Steps 1 and 2 have several parts: what comes first may be there alone.
    bool known = is == actor.alice[step] || is == actor.alice[last];
    if (!known) return fmt::format("{} after step {}: alice has it{}", subject, step, show(is));
    size_t copies = bob[actor.text].size();
    if (copies < actor.bob[step] || copies > actor.bob[last])
        return fmt::format("{} after step {}: bob has {} copies", subject, step, copies);
    alice.erase(actor.text);
    bob.erase(actor.text);
    return {};
}

}  // namespace

size_t Actor::steps_before(size_t calls) const {
    return steps(answered, calls);
}

storaged::Options options() {
    storaged::Options options;
    options.journal.segment_size = 128u << 10;
    options.packs = {.max_size = 100u << 10,
                     .small_size = 30u << 10,
                     .small_ones = 2,
                     .slice_bytes = 66u << 10,
                     .compress_after = std::chrono::milliseconds(1)};
    options.index = {.lists = 5, .list_bytes = 64u << 10, .fan = 2, .slice_bytes = 500};
    options.senders = {.waiting = 3, .segment = 8, .messages = 10};
    options.junk = {.words = 20, .looked_at = 10, .dropped = 5};
    return options;
}

Workload make_workload(const Plan& plan) {
    Workload workload;
    for (size_t i = 0; i < plan.actors; i++) workload.actors.push_back(make_actor(plan.seed, i));
    return workload;
}

Workload answered_workload(const Plan& plan, std::string_view progress) {
    Workload workload = make_workload(plan);
    for (char byte : progress) {
        auto who = static_cast<unsigned char>(byte);
        std::vector<size_t>& other = who == plan.actors ? workload.mailbox_answered : workload.carol_answered;
        (who < plan.actors ? workload.actors[who].answered : other).push_back(0);
    }
    return workload;
}

Workload run_workload(const Plan& plan) {
    World w(options(), proto::Compression::on);
    add_carol(w);
    auto alice = w.open("alice");
    Run run{w, *alice, {}, make_workload(plan), plan.progress, plan.actors + 2};
    for (const char* name : {"INBOX", "Archive", "Trash"}) {
        auto columns = w.call(*alice, proto::OpenMailbox{name});
        if (columns) run.mailboxes[name] = columns->mailbox.id;
    }
    if (plan.begin) plan.begin();
    async::Scope scope;
    scope.spawn(run_mailboxes(run));
    scope.spawn(run_carol(run));
    for (Actor& actor : run.workload.actors) scope.spawn(run_actor(run, actor));
    if (run.running > 0) w.loop.run();
    if (plan.end) plan.end(w);
    w.wait(World::finish(*w.server));
    return std::move(run.workload);
}

std::vector<size_t> recover(size_t deliveries) {
    World w(options(), proto::Compression::on);
    add_carol(w);
    for (const char* name : {"alice", "bob", "carol"}) w.open(name);
    std::vector<size_t> answered;
    while (answered.size() < deliveries && !w.deliver("alice", "", later_text(answered.size())))
        answered.push_back(Recorder::get().count());
    w.wait(World::finish(*w.server));
    return answered;
}

std::optional<Error> deliver_afterwards(World& w) {
    return w.deliver("alice", "", kAfterwards);
}

std::string check_image(const Workload& workload, size_t calls, const Later& later) {
    World w(options(), proto::Compression::on);
    add_carol(w);
    std::vector<std::string> mailboxes;
    auto alice = read_account(w, "alice", mailboxes);
    if (!alice) return "alice: " + alice.error().text;
    size_t step = steps(workload.mailbox_answered, calls);
    size_t last = std::min(step + 1, kMailboxSteps.size() - 1);
    std::vector<std::string> made;
    for (const std::string& name : mailboxes)
        if (name.starts_with("one") || name.starts_with("three")) made.push_back(name);
    if (made != kMailboxSteps[step] && made != kMailboxSteps[last])
        return fmt::format("after step {} of the mailboxes there are {}", step, fmt::join(made, " "));
    auto bob = read_account(w, "bob", mailboxes);
    if (!bob) return "bob: " + bob.error().text;
    for (const Actor& actor : workload.actors)
        if (std::string wrong = check_actor(actor, calls, *alice, *bob); !wrong.empty()) return wrong;
    for (size_t i = 0; i < later.answered.size(); i++) {
        size_t copies = (*alice)[later_text(i)].size();
        if (copies > 1 || copies < (later.answered[i] <= later.calls ? 1u : 0u))
            return fmt::format("{} of a message that was delivered after the first crash", copies);
        alice->erase(later_text(i));
    }
    for (const Found* rest : {&*alice, &*bob})
        for (const auto& [text, places] : *rest)
            if (!places.empty() && text != kAfterwards) return "a message that nobody sent: " + text.substr(0, 40);
    for (const char* name : {"alice", "bob"})
        if (std::string wrong = check_index(w, name); !wrong.empty()) return wrong;
    std::string carol = check_carol(w, steps(workload.carol_answered, calls));
    if (!carol.empty()) return carol;
    // It goes on working: a new message, and the queue's entry that is left is delivered once.
    if (auto error = deliver_afterwards(w)) return "delivering afterwards: " + error->text;
    w.wait(World::finish(*w.server));
    return {};
}

std::string check_store() {
    storaged::Journal journal(options().journal);
    storaged::Counters counters;
    counters.index = options().index;
    counters.packs = options().packs;
    std::vector<std::unique_ptr<storaged::Store>> stores;
    for (const char* directory : {"accounts/alice", "accounts/bob", "accounts/carol"})
        stores.push_back(std::make_unique<storaged::MailStore>(directory, journal, counters));
    stores.push_back(std::make_unique<storaged::QueueStore>("", journal, counters));
    stores.push_back(std::make_unique<storaged::LoginStore>(journal, counters));
    for (const auto& store : stores) {
        store->open();
        std::vector<std::string> problems = storaged::check_store(*store);
        if (!problems.empty()) return store->tree().root + ": " + problems.front();
    }
    return {};
}

}  // namespace mox::crash
