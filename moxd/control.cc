#include "moxd/control.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/config/edit.h"
#include "common/config/values.h"
#include "common/log/log.h"

namespace mox::moxd {

using namespace std::chrono_literals;

namespace {

constexpr size_t kMaxSessions = 32;
constexpr size_t kMinPassword = 8;  // bytes
constexpr size_t kMaxPassword = 1024;

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return permanent(ErrorCode::bad_request, "the path of the control socket is too long: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

bool answers(const sockaddr_un& address) {
    Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // EAGAIN: there is one, too busy to answer.
    return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

/// Root, or the user that moxd runs as.
bool may_control(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

Result<ipc::Done> check_password(const ipc::Secret& password) {
    if (password.value.size() < kMinPassword)
        return permanent(ErrorCode::bad_request, fmt::format("a password has at least {} characters", kMinPassword));
    if (password.value.size() > kMaxPassword)
        return permanent(ErrorCode::bad_request, fmt::format("a password has at most {} bytes", kMaxPassword));
    return ipc::Done{};
}

}  // namespace

Control::Control(Supervisor& supervisor, std::function<void()> stop)
    : supervisor_(supervisor), stop_(std::move(stop)) {}

Control::~Control() {
    if (socket_) unlink(path_.c_str());
}

Result<ipc::Done> Control::listen(const std::string& path) {
    auto address = unix_address(path);
    if (!address) return std::unexpected(std::move(address.error()));
    if (answers(*address))
        return permanent(ErrorCode::exists, "moxd runs already: its control socket " + path + " answers");
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
        mkdir(path.substr(0, slash).c_str(), 0755);
    unlink(path.c_str());
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    mode_t old = umask(0177);
    int bound = ::bind(socket.get(), reinterpret_cast<sockaddr*>(&*address), sizeof *address);
    umask(old);
    if (bound != 0 || ::listen(socket.get(), 16) != 0)
        return permanent(ErrorCode::io, fmt::format("control socket {}: {}", path, std::strerror(errno)));
    socket_ = std::move(socket);
    path_ = path;
    scope_.spawn(accept_loop());
    return ipc::Done{};
}

async::Task<void> Control::accept_loop() {
    for (;;) {
        co_await async::readable(socket_.get(), async::kNever);
        Fd client(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!client) {
            co_await async::sleep_for(100ms);  // out of descriptors: not a reason to spin
            continue;
        }
        if (!may_control(client.get()) || sessions_.size() >= kMaxSessions) {
            log::warn("control connection refused");
            continue;
        }
        sessions_.add(std::move(client), {ipc::Role::moxctl, "moxctl"}, proto::ControlMessages{},
                      std::make_unique<Session>(*this));
    }
}

async::Task<Result<proto::SuiteStatus>> Control::on(proto::CtlStatus) {
    co_return proto::SuiteStatus{MOX_VERSION, supervisor_.status(), supervisor_.sleepers().accounts(),
                                 supervisor_.sleepers().sessions()};
}

Result<ipc::Done> Control::on(proto::CtlStop) {
    log::info("stop asked for");
    stop_();
    return ipc::Done{};
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlReload) {
    return supervisor_.reload();
}

Result<ipc::Done> Control::on(proto::CtlRestart m) {
    return supervisor_.restart(m.name);
}

Result<ipc::Done> Control::on(proto::CtlLog m) {
    if (m.level >= static_cast<uint8_t>(log::Level::kEnd)) return permanent(ErrorCode::bad_request, "no such level");
    supervisor_.set_log_level(m.level);
    return ipc::Done{};
}

async::Task<Result<ipc::Done>> Control::put_in_force(Result<std::string> text) {
    if (!text) co_return std::unexpected(std::move(text.error()));
    auto checked = check_domains(supervisor_.settings(), std::move(*text));
    if (!checked) co_return std::unexpected(std::move(checked.error()));
    if (auto done = write_domains_file(*checked); !done) co_return done;
    co_return co_await supervisor_.apply(std::move(*checked));
}

namespace {

/// The file as it is on disk: a person may have changed it since it was read.
Result<std::string> present_text(const Supervisor& supervisor) {
    return read_file(supervisor.settings().domains_file, 16u << 20);
}

}  // namespace

bool Control::has_account(const std::string& name) const {
    const auto& accounts = supervisor_.settings().domains.accounts;
    return std::ranges::find(accounts, name, &config::Account::name) != accounts.end();
}

Result<config::Address> Control::parse_address(const std::string& text) const {
    size_t at = text.rfind('@');
    if (at == std::string::npos || at == 0 || at + 1 == text.size())
        return permanent(ErrorCode::bad_request, "not an address: " + text + "; expected localpart@domain or *@domain");
    config::Address address;
    address.localpart = text.substr(0, at);
    address.domain = text.substr(at + 1);
    return address;
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlAccountAdd m) {
    if (!m.password.value.empty())
        if (auto ok = check_password(m.password); !ok) co_return ok;
    config::Account account;
    account.name = m.account;
    auto address = parse_address(m.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    account.addresses.push_back(std::move(*address));
    auto text = present_text(supervisor_);
    if (!text) co_return std::unexpected(std::move(text.error()));
    auto done = co_await put_in_force(config::add_account(*text, account));
    if (!done || m.password.value.empty()) co_return done;
    co_return co_await set_password(m.account, std::move(m.password));
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlAccountRemove m) {
    auto text = present_text(supervisor_);
    if (!text) co_return std::unexpected(std::move(text.error()));
    auto done = co_await put_in_force(config::remove_account(*text, m.account));
    if (!done) co_return done;
    co_return co_await supervisor_.link(ipc::Role::storaged).call(proto::RemoveAccount{m.account}, 10s);
}

Result<proto::AccountSummaries> Control::on(proto::CtlAccountList) {
    proto::AccountSummaries summaries;
    for (const auto& account : supervisor_.settings().domains.accounts) {
        proto::AccountSummary row{account.name, {}, account.quota.value_or(0), account.login_disabled};
        for (const auto& a : account.addresses) row.addresses.push_back(a.localpart + "@" + a.domain);
        summaries.accounts.push_back(std::move(row));
    }
    return summaries;
}

async::Task<Result<ipc::Done>> Control::set_password(std::string account, ipc::Secret password) {
    if (auto ok = check_password(password); !ok) co_return ok;
    if (!has_account(account)) co_return permanent(ErrorCode::not_found, "no account " + account);
    co_return co_await supervisor_.link(ipc::Role::authd).call(proto::SetPassword{account, std::move(password)}, 20s);
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlPassword m) {
    return set_password(m.account, std::move(m.password));
}

async::Task<Result<proto::OwnedClientKey>> Control::on(proto::CtlCertificateAdd m) {
    if (!has_account(m.account)) co_return permanent(ErrorCode::not_found, "no account " + m.account);
    // Not looked at here: that is for authd, which is confined.
    co_return co_await supervisor_.link(ipc::Role::authd)
        .call(proto::AddCertificate{m.account, std::move(m.pem), std::move(m.name), m.preauth}, 20s);
}

async::Task<Result<proto::OwnedClientKeys>> Control::on(proto::CtlCertificateList m) {
    return supervisor_.link(ipc::Role::authd).call(proto::ListCertificates{std::move(m.account)}, 20s);
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlCertificateRemove m) {
    return supervisor_.link(ipc::Role::authd).call(proto::RemoveCertificate{std::move(m.fingerprint)}, 20s);
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlAddressAdd m) {
    auto address = parse_address(m.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    auto text = present_text(supervisor_);
    if (!text) co_return std::unexpected(std::move(text.error()));
    co_return co_await put_in_force(config::add_address(*text, m.account, *address));
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlAddressRemove m) {
    auto text = present_text(supervisor_);
    if (!text) co_return std::unexpected(std::move(text.error()));
    co_return co_await put_in_force(config::remove_address(*text, m.address));
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlDomainAdd m) {
    config::Domain domain;
    domain.name = m.domain;
    auto text = present_text(supervisor_);
    if (!text) co_return std::unexpected(std::move(text.error()));
    co_return co_await put_in_force(config::add_domain(*text, domain));
}

async::Task<Result<ipc::Done>> Control::on(proto::CtlDomainRemove m) {
    auto text = present_text(supervisor_);
    if (!text) co_return std::unexpected(std::move(text.error()));
    co_return co_await put_in_force(config::remove_domain(*text, m.domain));
}

Result<proto::DomainSummaries> Control::on(proto::CtlDomainList) {
    proto::DomainSummaries summaries;
    for (const auto& domain : supervisor_.settings().domains.domains) {
        proto::DomainSummary row{domain.name, domain.disabled, 0};
        for (const auto& account : supervisor_.settings().domains.accounts)
            for (const auto& a : account.addresses) row.addresses += a.domain == domain.name ? 1 : 0;
        summaries.domains.push_back(std::move(row));
    }
    return summaries;
}

async::Task<Result<proto::QueueListing>> Control::on(proto::CtlQueueList m) {
    return supervisor_.link(ipc::Role::queued).call(proto::QueueList{std::move(m.filter), m.after, m.limit}, 20s);
}

async::Task<Result<proto::QueueAffected>> Control::on(proto::CtlQueueKick m) {
    return supervisor_.link(ipc::Role::queued).call(proto::QueueKick{std::move(m.filter)}, 60s);
}

async::Task<Result<proto::QueueAffected>> Control::on(proto::CtlQueueDrop m) {
    return supervisor_.link(ipc::Role::queued).call(proto::QueueDrop{std::move(m.filter)}, 60s);
}

async::Task<Result<proto::AccountChannel>> Control::on(proto::CtlOpenAccount m) {
    if (!has_account(m.account)) co_return permanent(ErrorCode::not_found, "no account " + m.account);
    log::info("an administrator opens an account", {{"account", m.account}});
    co_return co_await supervisor_.link(ipc::Role::storaged).call(proto::OpenAccountForAdmin{m.account}, 20s);
}

async::Task<Result<proto::StoreChannel>> Control::on(proto::CtlOpenStore) {
    log::info("an administrator opens the store");
    return supervisor_.link(ipc::Role::storaged).call(proto::OpenStoreForAdmin{}, 20s);
}

}  // namespace mox::moxd
