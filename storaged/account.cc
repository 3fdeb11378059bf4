#include "storaged/account.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

#include "common/log/log.h"
#include "storaged/account_channel.h"
#include "storaged/compressing.h"
#include "storaged/names.h"
#include "storaged/spool.h"

namespace mox::storaged {
namespace {

using namespace std::chrono_literals;

constexpr auto kIdle = 60s;       // then the database is closed
constexpr auto kLook = 10s;       // how often that is looked for
constexpr size_t kMaxOpen = 200;  // databases; about 0.7 MiB each
constexpr auto kWaitForIdle = 30s;
constexpr auto kBetweenSteps = 1ms;    // of the index of words, of rewriting packs
constexpr auto kBeforeRewriting = 2s;  // whoever deletes one message may delete more
constexpr size_t kMaxRemoved = 10000;  // named in one reply

std::unique_ptr<MailStore> make_store(const std::string& name, Engine& engine) {
    return std::make_unique<MailStore>("accounts/" + name, engine.journal, engine.counters);
}

/// Moves the directory aside and makes that durable; where to. All its files are in their places first: an account of
/// the same name, made later, must get nothing of it from the journal.
Result<std::string> move_aside(Engine& engine, const std::string& name) {
    std::string from = "accounts/" + name;
    if (access(from.c_str(), F_OK) != 0) return permanent(ErrorCode::not_found, "no such account");
    if (int error = engine.journal.checkpoint(); error != 0) return std::unexpected(error_of_errno(error));
    try {
        make_directories("removed");
        // Opened before: what is moved can be synced.
        Fd removed = open_directory("removed");
        Fd accounts = open_directory("accounts");
        std::string to = fmt::format("removed/{}.{}", name, std::time(nullptr));
        for (int n = 1; renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0; n++) {
            if (errno != EEXIST || n == 100) fail_errno("moving an account aside");
            to = fmt::format("removed/{}.{}.{}", name, std::time(nullptr), n);
        }
        sync_directory(removed);
        sync_directory(accounts);
        return to;
    } catch (const StoreFailure& failure) {
        log::error("cannot remove an account", {{"account", name}, {"error", failure.what()}});
        return std::unexpected(failure.error());
    }
}

/// The other way round, when what was to take its place cannot.
void move_back(const std::string& from, const std::string& name) {
    std::string to = "accounts/" + name;
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
        log::error("cannot put an account back", {{"account", name}, {"from", from}, {"error", std::strerror(errno)}});
        return;
    }
}

std::vector<std::string> removed_accounts() {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("removed", none))
        if (names.size() < kMaxRemoved) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

/// One message at a time: the threads are for those who wait.
class Compressing {
  public:
    explicit Compressing(Engine& engine) : engine_(engine) { engine.compressing = true; }
    Compressing(const Compressing&) = delete;
    Compressing& operator=(const Compressing&) = delete;
    ~Compressing() {
        engine_.compressing = false;
        engine_.compressed.notify_all();
    }

  private:
    Engine& engine_;
};

/// In a thread, with the account out of use.
Result<proto::Done> put_in_place(Engine& engine, const std::string& name,
                                 const std::function<Result<std::string>(uint64_t)>& prepare, uint64_t above) {
    auto directory = prepare(above);
    if (!directory) return std::unexpected(std::move(directory.error()));
    Fd accounts(open("accounts", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!accounts) return std::unexpected(error_of_errno(errno));
    auto aside = move_aside(engine, name);
    if (!aside && aside.error().code != ErrorCode::not_found) return std::unexpected(std::move(aside.error()));
    // All of the new one is on disk, and nothing of it is left in the journal under its old name.
    int error = engine.journal.checkpoint();
    std::string to = "accounts/" + name;
    if (error == 0 && renameat2(AT_FDCWD, directory->c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0)
        error = errno;
    if (error != 0 && aside) move_back(*aside, name);
    sync_directory(accounts);
    if (error != 0) return std::unexpected(error_of_errno(error));
    return proto::Done{};
}

}  // namespace

Account::Account(Engine& engine, Accounts& accounts, std::string name, uint64_t number)
    : engine_(engine),
      accounts_(accounts),
      name_(std::move(name)),
      number_(number),
      strand_(std::make_shared<Strand>(engine, make_store(name_, engine), name_)),
      store_(static_cast<MailStore&>(strand_->store())) {
    strand_->on_effects([this](const Effects& effects) { tell(effects); });
}

Account::~Account() {
    strand_->on_effects({});
}

void Account::configure(const proto::ConfigureStoraged::Account& config) {
    store_.set_quota(config.quota);
    expiries_ = config.expiries;
    next_expiry_ = 0;
    submission_server_ = config.submission_server;
    web_sessions_ended_ &= config.logins == logins_;
    logins_ = config.logins;
    addresses_ = {config.addresses.begin(), config.addresses.end()};
    domains_.clear();
    for (const auto& address : addresses_) domains_.insert(address.substr(address.rfind('@') + 1));
}

void Account::forget_use() {
    store_.forget_use();
    forget_client_keys();
    was_opened_ = false;
    next_expiry_ = 0;
}

Fd Account::open_channel(ipc::Role peer) {
    auto [ours, theirs] = ipc::make_socket_pair();
    if (!ours) return {};
    out_of_use_ = false;
    channels_.push_back(std::make_unique<AccountChannel>(engine_, accounts_, *this, std::move(ours), peer));
    AccountChannel& channel = *channels_.back();
    channel.channel().send(proto::AccountOpened{name_});
    channel.channel().start();
    scope_.spawn(serve(channel));
    return std::move(theirs);
}

async::Task<void> Account::serve(AccountChannel& channel) {
    while (!channel.channel().lost()) co_await channel.channel().on_lost().wait();
    std::erase_if(channels_, [&](const auto& c) { return c.get() == &channel; });
}

void Account::close_channels(std::string_view reason) {
    out_of_use_ = true;
    for (auto& channel : channels_) channel->channel().close(reason);
}

void Account::tell(const Effects& effects) {
    for (auto& channel : channels_) channel->tell(effects);
    tell_guests(effects);
    if (effects.index_due && !indexing_ && !out_of_use_) scope_.spawn(build_index());
    if (effects.rewrite_due && !rewriting_ && !out_of_use_) scope_.spawn(rewrite_packs());
    compress_due_ |= effects.compress_due;
    if (compress_due_ && !compressing_ && !out_of_use_) scope_.spawn(compress_messages());
}

void Account::tell_learning_due() {
    Effects effects;
    effects.learning_due = true;
    for (auto& channel : channels_) channel->tell(effects);
}

// Step by step, so that others come in between.
async::Task<void> Account::build_index() {
    indexing_ = true;
    uses_++;
    for (bool more = true; more && !out_of_use_;) {
        auto built =
            co_await run(Access::write, [](MailStore& store) { return store.build_index(std::time(nullptr)); });
        more = built.value_or(false);  // why it failed is in the log; the next message tries again
        if (more) co_await async::sleep_for(kBetweenSteps);
    }
    uses_--;
    indexing_ = false;
}

async::Task<void> Account::rewrite_packs() {
    rewriting_ = true;
    co_await async::sleep_for(kBeforeRewriting);
    uses_++;
    for (bool more = true; more && !out_of_use_;) {
        auto rewritten = co_await run(Access::write, [](MailStore& store) { return store.rewrite_packs(); });
        more = rewritten.value_or(false);
        if (more) co_await async::sleep_for(kBetweenSteps);
    }
    uses_--;
    rewriting_ = false;
}

async::Task<void> Account::compress_messages() {
    compressing_ = true;
    auto wanted = [&] { return engine_.counters.compression == proto::Compression::on; };
    while (compress_due_ && !out_of_use_) {
        compress_due_ = false;
        co_await async::sleep_for(engine_.counters.packs.compress_after);
        uint64_t last = 0;
        for (bool more = true; more && !out_of_use_ && wanted();) {
            more = co_await compress_one(last);
            co_await async::Yield();  // another account has its turn
        }
    }
    compressing_ = false;
}

/// What one cannot be compressed for (no space) holds for the next as well: they wait until one more comes.
async::Task<bool> Account::compress_one(uint64_t& last) {
    while (engine_.compressing) co_await engine_.compressed.wait();
    if (out_of_use_) co_return false;
    Compressing now(engine_);
    Use use(shared_from_this());
    auto next = co_await run(Access::read, [after = last](MailStore& store) { return store.next_compressible(after); });
    if (!next || !*next) co_return false;
    last = (*next)->content;
    TakenSpool spool = new_spool(engine_);
    auto work = [message = **next, target = spool.path(), &engine = engine_] {
        return compress_file(message, target, [&] { return !engine.stopping && engine.reserve.has_space(); });
    };
    auto compression = co_await engine_.pool.run(std::move(work));
    if (!compression)
        log::warn("a message cannot be compressed", {{"account", name_}, {"error", compression.error().text}});
    if (!compression || out_of_use_) co_return false;
    auto finish = [content = last, compression = std::move(*compression)](MailStore& store) {
        return store.finish_compression(content, compression);
    };
    co_return (co_await run(Access::write, std::move(finish))).has_value();
}

Accounts::Accounts(Engine& engine) : engine_(engine) {
    scope_.spawn(close_regularly());
}

void Accounts::configure(const std::vector<proto::ConfigureStoraged::Account>& accounts) {
    for (auto& [name, entry] : accounts_) entry.configured = false;
    for (const auto& config : accounts) {
        const std::string& name = config.name;
        if (!is_account_name(name)) {
            log::error("this account name cannot be a directory: the account is left out", {{"account", name}});
            continue;
        }
        Entry& entry = accounts_[name];
        if (entry.account == nullptr) {
            uint64_t number = by_number_.size() + 1;
            entry.account = std::make_shared<Account>(engine_, *this, name, number);
            by_number_[number] = entry.account.get();
            shares_known_ = false;
        }
        entry.account->configure(config);
        entry.configured = true;
    }
    for (auto& [name, entry] : accounts_)
        if (!entry.configured) entry.account->close_channels("the account is no longer configured");
}

std::shared_ptr<Account> Accounts::find(const std::string& name) {
    auto found = accounts_.find(name);
    bool there = found != accounts_.end() && found->second.configured && !found->second.replaced;
    return there ? found->second.account : nullptr;
}

size_t Accounts::size() const {
    return static_cast<size_t>(std::ranges::count_if(accounts_, [](const auto& a) { return a.second.configured; }));
}

std::vector<std::shared_ptr<Account>> Accounts::all() const {
    std::vector<std::shared_ptr<Account>> all;
    for (const auto& [name, entry] : accounts_)
        if (entry.configured && !entry.replaced) all.push_back(entry.account);
    return all;
}

async::Task<Result<proto::AccountChannel>> Accounts::open_channel(std::string name, ipc::Role peer) {
    auto account = find(name);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account");
    make_room();
    // Opens the store now: when it cannot be opened the login fails, not what comes after.
    auto opened = co_await account->run(Access::read, [](MailStore& store) { return store.has_unlearned(); });
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    // It may have been removed meanwhile.
    if (find(name) != account) co_return permanent(ErrorCode::not_found, "no such account");
    Fd channel = account->open_channel(peer);
    if (!channel) co_return temporary(ErrorCode::busy, "too many open files");
    if (*opened) account->tell_learning_due();
    co_return proto::AccountChannel{std::move(channel)};
}

/// Ends its channels and closes its store, once nothing is under way any more.
async::Task<Result<proto::Done>> Accounts::take_out_of_use(std::shared_ptr<Account> account) {
    account->close_channels("the account is taken out of use");
    account->close_visitors("an account that it uses is taken out of use");
    for (async::Deadline limit = async::in(kWaitForIdle); !account->idle();) {
        if (async::Clock::now() >= limit) co_return temporary(ErrorCode::busy, "the account is in use");
        co_await async::sleep_for(10ms);
    }
    co_await account->close_store();
    account->forget_use();
    co_return proto::Done{};
}

async::Task<Result<proto::Done>> Accounts::remove(std::string name) {
    if (!is_account_name(name)) co_return permanent(ErrorCode::not_found, "no such account");
    std::shared_ptr<Account> account;
    if (auto found = accounts_.find(name); found != accounts_.end()) {
        account = found->second.account;
        found->second.configured = false;
    }
    auto done = co_await forget_identifier(name);
    if (!done) co_return done;
    if (account != nullptr) {
        account->block(true);
        done = co_await take_out_of_use(account);
    }
    if (done)
        done = co_await engine_.pool.run([&engine = engine_, name]() -> Result<proto::Done> {
            auto aside = move_aside(engine, name);
            if (!aside) return std::unexpected(std::move(aside.error()));
            return proto::Done{};
        });
    if (account != nullptr) account->block(false);
    co_return done;
}

async::Task<Result<proto::StoreNames>> Accounts::names() {
    proto::StoreNames names;
    for (const auto& [name, entry] : accounts_)
        if (entry.configured) names.accounts.push_back(name);
    names.removed = co_await engine_.pool.run([] { return removed_accounts(); });
    co_return names;
}

async::Task<Result<proto::Done>> Accounts::replace(std::string name,
                                                   std::function<Result<std::string>(uint64_t)> prepare) {
    auto account = find(name);
    if (account == nullptr) co_return permanent(ErrorCode::not_found, "no such account: add it first");
    accounts_[name].replaced = true;
    auto used = co_await account->run(Access::read,
                                      [](MailStore& store) -> Result<uint64_t> { return store.next_uidvalidity(); });
    account->block(true);
    auto done = co_await take_out_of_use(account);
    if (done && used)
        done = co_await engine_.pool.run([&engine = engine_, name, prepare = std::move(prepare), above = *used] {
            return put_in_place(engine, name, prepare, above);
        });
    account->block(false);
    accounts_[name].replaced = false;
    account->forget_shares();
    account->set_may_share(true);
    if (!used) co_return std::unexpected(std::move(used.error()));
    co_return done;
}

async::Task<void> Accounts::close_all() {
    for (auto& [name, entry] : accounts_) entry.account->close_channels("shutting down");
    std::vector<async::Task<void>> closing;
    for (auto& [name, entry] : accounts_)
        if (entry.account->store_open()) closing.push_back(entry.account->close_store());
    for (auto& task : closing) co_await task;
}

async::Task<void> Accounts::close_regularly() {
    for (;;) {
        co_await async::sleep_for(kLook);
        co_await close_unused();
    }
}

void Accounts::make_room() {
    if (engine_.counters.open_stores > kMaxOpen && !closing_) scope_.spawn(close_unused());
}

// Databases that nobody has used for a while; and of too many, those used longest ago.
async::Task<void> Accounts::close_unused() {
    if (closing_) co_return;
    closing_ = true;
    std::vector<std::shared_ptr<Account>> open;
    for (auto& [name, entry] : accounts_)
        if (entry.account->store_open() && entry.account->idle()) open.push_back(entry.account);
    std::ranges::sort(open, {}, [](const auto& account) { return account->last_use(); });
    // Room for more than the next one, so that this is not done again for each.
    size_t too_many = engine_.counters.open_stores > kMaxOpen ? open.size() / 4 : 0;
    auto now = async::Clock::now();
    std::vector<async::Task<void>> closing;
    for (size_t i = 0; i < open.size(); i++) {
        if (i >= too_many && now - open[i]->last_use() < kIdle) break;
        closing.push_back(open[i]->close_store());
    }
    for (auto& task : closing) co_await task;
    closing_ = false;
}

}  // namespace mox::storaged
