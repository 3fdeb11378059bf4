#include "queued/attempt.h"

#include <algorithm>
#include <deque>
#include <unistd.h>

#include "common/mail/address.h"
#include "common/mail/date.h"
#include "common/mail/header.h"
#include "common/mail/info_codec.h"
#include "common/mail/words.h"
#include "common/text/ascii.h"
#include "queued/connect.h"
#include "queued/magic.h"
#include "queued/route.h"

namespace mox::queued {
namespace {

using smtp::failure;
using smtp::Scope;
using smtp::Verdict;

constexpr size_t kHeaderRead = 128 * 1024;  // of the file, for notices

/// What an error of another process of this server means; `text` says more than the error does.
smtp::Outcome from_error(const Error& error, std::string_view enhanced, Scope scope = Scope::message,
                         const std::string& text = {}) {
    auto verdict = error.is_temporary() ? Verdict::temporary : Verdict::permanent;
    smtp::Outcome outcome = failure(verdict, scope, enhanced, text.empty() ? error.text : text);
    outcome.interrupted = error.code == ErrorCode::channel_lost;
    return outcome;
}

/// Whether an answer is the last word in this attempt.
bool is_final(const smtp::Outcome& o) {
    return o.delivered() || o.scope == Scope::message;
}

bool is_too_many(const smtp::Outcome& o) {
    return o.code == 452 && (o.enhanced == "4.5.3" || o.enhanced == "4.0.0");  // RFC 5321 4.5.3.1.10
}

/// The address as it goes over the wire: its domain as A-labels.
std::string wire_address(const std::string& address) {
    auto at = address.rfind('@');
    if (at == address.npos) return address;
    return address.substr(0, at + 1) + domain_of(address);
}

smtp::ClientTls to_client_tls(proto::TransportTls tls) {
    switch (tls) {
        case proto::TransportTls::none:
            return smtp::ClientTls::none;
        case proto::TransportTls::starttls:
            return smtp::ClientTls::starttls;
        case proto::TransportTls::implicit:
            return smtp::ClientTls::immediate;
        case proto::TransportTls::opportunistic:
        case proto::TransportTls::kEnd:
            break;
    }
    return smtp::ClientTls::opportunistic;
}

}  // namespace

int64_t unix_now() {
    return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
}

Attempt::Attempt(Peers& peers, Sessions& sessions, Settings settings, Counters& counters, std::mt19937_64& random,
                 log::Logger log, std::vector<proto::QueueEntry> entries)
    : peers_(peers),
      sessions_(sessions),
      settings_(std::move(settings)),
      counters_(counters),
      random_(random),
      log_(std::move(log)),
      entries_(std::move(entries)),
      results_(entries_.size()),
      domain_(domain_of(entries_.front().recipient)) {}

// ---- results so far

bool Attempt::is_open(size_t index) const {
    if (decided_here_.contains(index)) return false;
    return !results_[index] || !is_final(results_[index]->outcome);
}

bool Attempt::all_settled() const {
    return open_ones().empty();
}

std::vector<size_t> Attempt::open_ones() const {
    std::vector<size_t> out;
    for (size_t i = 0; i < results_.size(); i++) {
        if (is_open(i)) out.push_back(i);
    }
    return out;
}

void Attempt::note(size_t index, smtp::Outcome outcome) {
    auto& result = results_[index];
    if (via_transport_ && outcome.verdict == Verdict::permanent && outcome.scope != Scope::message) {
        outcome.verdict = Verdict::temporary;
        if (!outcome.enhanced.empty()) outcome.enhanced[0] = '4';
    }
    // One server out of order for good does not make a domain unreachable for good, while another is only busy.
    bool weaker = outcome.verdict == Verdict::permanent && outcome.scope != Scope::message;
    if (result && weaker && result->outcome.verdict == Verdict::temporary) return;
    result = Attempted{std::move(outcome), EntryState::queued};
}

void Attempt::note_open(const smtp::Outcome& outcome) {
    for (size_t i : open_ones()) note(i, outcome);
}

// ---- the way of each recipient

async::Task<std::vector<Attempted>> Attempt::run() {
    try {
        co_await route_each();
    } catch (const std::exception& e) {
        log_.error("attempt ended with an exception", {{"error", e.what()}});
        note_open(failure(Verdict::temporary, Scope::message, "4.3.0", "an internal error"));
    }
    std::vector<Attempted> out;
    for (auto& result : results_) {
        if (!result)
            result = Attempted{failure(Verdict::temporary, Scope::message, "4.3.0", "not tried"), EntryState::queued};
        out.push_back(std::move(*result));
    }
    co_return out;
}

async::Task<void> Attempt::route_each() {
    const auto& first = entries_.front();
    RouteFacts facts{first.account, domain_of(first.mail_from), domain_, first.attempts > 0 ? first.attempts - 1 : 0};
    const proto::Route* route = choose_route(settings_->routes, facts);
    for (size_t i = 0; i < entries_.size(); i++) {
        co_await resolve(i, route);
        // What failed here for now is not another host's business.
        if (results_[i]) decided_here_.insert(i);
    }
    if (!all_settled()) co_await deliver_remote(route);
}

async::Task<void> Attempt::resolve(size_t index, const proto::Route* route) {
    const std::string recipient = entries_[index].recipient;
    bool local_mode = settings_->local_mode == proto::LocalMode::on;
    if (local_mode) {
        if (auto outcome = magic_outcome(recipient)) {
            note(index, *outcome);
            co_return;
        }
        // In local mode every address is local: a route is there to send mail out all the same.
        if (route != nullptr) co_return;
    }
    auto where = co_await peers_.auth.call(proto::ResolveAddress{recipient}, kLookupTimeout);
    if (!where) {
        note(index, from_error(where.error(), "4.3.0", Scope::message, "the address cannot be looked up just now"));
        co_return;
    }
    switch (where->status) {
        case proto::AddressStatus::local:
            co_await deliver_local(index, std::move(*where));
            break;
        case proto::AddressStatus::domain_disabled:
            note(index,
                 failure(Verdict::temporary, Scope::message, "4.2.1", "the domain takes no mail for the time being"));
            break;
        case proto::AddressStatus::unknown:
            // Part of a domain may live elsewhere: then a route leads there.
            if (route == nullptr)
                note(index,
                     failure(Verdict::permanent, Scope::message, "5.1.1", "there is no such address on this server"));
            break;
        case proto::AddressStatus::not_ours:
        case proto::AddressStatus::kEnd:
            break;
    }
}

async::Task<void> Attempt::deliver_local(size_t index, proto::ResolvedAddress where) {
    const auto& entry = entries_[index];
    proto::QueueDeliverLocal message;
    message.id = entry.id;
    message.received = {unix_now(), 0};
    message.target.account = where.account;
    message.target.mailbox = where.mailbox;
    // RFC 5321 4.4: the final delivery adds Return-Path.
    message.target.prefix = fmt::format(
        "Return-Path: <{}>\r\nDelivered-To: {}\r\nReceived: by {} (queue) id {};\r\n\t{}\r\n", entry.mail_from,
        entry.recipient, settings_->hostname, log_.cid(), mail::format_date({unix_now(), 0}));
    message.target.words = mail::header_word_list(message.target.prefix);
    auto done = co_await peers_.storage.call(std::move(message), kStorageTimeout);
    if (!done) {
        std::string status = done.error().is_temporary() ? "4." : "5.";
        status += done.error().code == ErrorCode::over_quota ? "2.2" : "3.0";
        note(index, from_error(done.error(), status));
        co_return;
    }
    smtp::Outcome outcome;
    outcome.verdict = Verdict::delivered;
    outcome.text = "delivered to account " + where.account;
    results_[index] = Attempted{std::move(outcome), EntryState::removed};
    counters_.delivered_local++;
}

// ---- over the network

async::Task<bool> Attempt::open_message() {
    if (message_) co_return true;
    auto opened = co_await peers_.storage.call(proto::QueueOpen{entries_.front().id}, kStorageTimeout);
    if (!opened) {
        log_.warn("queued message cannot be opened", {{"id", entries_.front().id}, {"error", opened.error().text}});
        co_return false;
    }
    message_ = std::move(*opened);
    off_t end = lseek(message_->file.get(), 0, SEEK_END);
    if (end < 0) {
        message_.reset();
        co_return false;
    }
    file_size_ = static_cast<uint64_t>(end);
    has_8bit_header_ = mail::decode_info(message_->info).has_8bit_header;
    co_return true;
}

std::string Attempt::original_header() const {
    if (!message_) return {};
    std::string text(std::min<uint64_t>(kHeaderRead, file_size_), '\0');
    ssize_t n = pread(message_->file.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    if (auto end = mail::find_header_end(text)) text.resize(*end);
    return message_->prefix + text;
}

async::Task<void> Attempt::deliver_remote(const proto::Route* route) {
    if (!co_await open_message()) {
        note_open(failure(Verdict::temporary, Scope::message, "4.3.0", "the stored message cannot be read just now"));
        co_return;
    }
    // A server that takes a byte now and then must not hold an attempt for ever.
    give_up_ = async::in(std::chrono::minutes(30) + std::chrono::seconds(file_size_ / 10240));
    auto hosts = co_await find_hosts(route);
    for (const Host& host : hosts) {
        if (all_settled() || async::Clock::now() >= give_up_) break;
        co_await try_host(host);
    }
}

std::vector<Host> Attempt::transport_host(const proto::Route& route) {
    via_transport_ = true;
    const proto::Transport* transport = find_transport(settings_->transports, route.transport);
    if (transport == nullptr) {
        note_open(failure(Verdict::temporary, Scope::message, "4.3.5", "there is no transport " + route.transport));
        return {};
    }
    Host host;
    host.name = transport->host;
    host.port = transport->port;
    host.tls = to_client_tls(transport->tls);
    bool verified =
        transport->verify && host.tls != smtp::ClientTls::opportunistic && host.tls != smtp::ClientTls::none;
    host.verify = verified ? tls::Verify::certificate : tls::Verify::none;
    host.username = transport->username;
    host.password = transport->password.value;
    return {host};
}

// Empty when there are none; the open recipients then have their outcome.
async::Task<std::vector<Host>> Attempt::find_hosts(const proto::Route* route) {
    if (route != nullptr) co_return transport_host(*route);
    std::vector<Host> out;
    auto add = [&](std::string name) {
        Host host;
        host.name = std::move(name);
        host.port = settings_->outgoing_port;
        out.push_back(std::move(host));
    };
    if (auto address = literal_address(domain_)) {
        add(*address);
        co_return out;
    }
    auto mx = co_await peers_.dns.call(proto::LookupMx{domain_}, kLookupTimeout);
    if (!mx) {
        note_open(from_error(mx.error(), mx.error().is_temporary() ? "4.4.3" : "5.1.2"));
        co_return out;
    }
    HostPlan plan = plan_hosts(*mx, domain_, settings_->hostname, random_);
    if (plan.failure) note_open(*plan.failure);
    for (auto& name : plan.hosts) add(std::move(name));
    co_return out;
}

async::Task<std::vector<std::string>> Attempt::find_addresses(const Host& host) {
    std::vector<std::string> none;
    if (is_address(host.name)) co_return std::vector<std::string>{host.name};
    auto found = co_await peers_.dns.call(proto::LookupAddresses{host.name}, kLookupTimeout);
    smtp::Outcome problem;
    if (!found) {
        problem = from_error(found.error(), "4.4.3", Scope::host, "its address cannot be found: " + found.error().text);
        problem.verdict = Verdict::temporary;
    } else if (found->addresses.empty()) {
        problem = failure(Verdict::permanent, Scope::host, "5.4.4", "the server has no address in the DNS");
    } else {
        if (found->addresses.size() > kMaxAddresses) found->addresses.resize(kMaxAddresses);
        co_return std::move(found->addresses);
    }
    problem.remote_name = host.name;
    note_open(problem);
    co_return none;
}

// Over a session that was left open by another attempt; false when there is none that still works.
async::Task<bool> Attempt::try_kept(const Host& host) {
    while (auto session = sessions_.take(host)) {
        session->client->resume(give_up_, log_);
        if (!co_await transfer(*session)) continue;
        counters_.reused++;
        sessions_.give(host, std::move(*session));
        co_return true;
    }
    co_return false;
}

async::Task<void> Attempt::try_host(const Host& host) {
    if (co_await try_kept(host)) co_return;
    auto addresses = co_await find_addresses(host);
    for (const auto& address : addresses) {
        if (async::Clock::now() >= give_up_) co_return;
        Spoken spoken = co_await try_address(host, address, host.tls);
        if (spoken == Spoken::tls_failed && host.tls == smtp::ClientTls::opportunistic) {
            // RFC 7435 4.2: with nothing that demands TLS, broken TLS is as good as none.
            counters_.plaintext_fallback++;
            log_.info("tls failed: trying in plain text", {{"host", host.name}, {"address", address}});
            spoken = co_await try_address(host, address, smtp::ClientTls::none);
        }
        if (spoken == Spoken::yes) co_return;
    }
}

async::Task<Attempt::Spoken> Attempt::try_address(const Host& host, std::string address, smtp::ClientTls tls) {
    auto socket = co_await connect_tcp(address, host.port, settings_->source_addresses,
                                       std::min(async::in(kConnectTimeout), give_up_));
    if (!socket) {
        counters_.connect_errors++;
        log_.debug("cannot connect", {{"host", host.name}, {"address", address}, {"error", socket.error().text}});
        auto problem = failure(Verdict::temporary, Scope::host, "4.4.1", "cannot connect: " + socket.error().text);
        problem.remote_name = host.name;
        problem.remote_address = address;
        note_open(problem);
        co_return Spoken::not_opened;
    }
    counters_.connected++;
    smtp::ClientOptions options;
    options.hostname = settings_->hostname;
    options.remote_name = host.name;
    options.remote_address = address;
    options.tls = tls;
    options.verify = host.verify;
    options.ca_pem = settings_->ca_pem;
    options.username = host.username;
    options.password = host.password;
    options.give_up = give_up_;
    OpenSession session{std::make_unique<smtp::Client>(std::move(*socket), std::move(options), log_)};
    auto problem = co_await session.client->open();
    if (problem) {
        bool was_tls = problem->scope == Scope::tls;
        log_.debug("session not opened", {{"host", host.name}, {"address", address}, {"error", problem->text}});
        note_open(*problem);
        co_await session.client->quit();
        co_return was_tls ? Spoken::tls_failed : Spoken::not_opened;
    }
    co_await transfer(session);
    Host spoken_to = host;
    spoken_to.tls = tls;
    sessions_.give(spoken_to, std::move(session));
    co_return Spoken::yes;
}

// Transactions until each open recipient has been tried once in this session. False when that could not be begun,
// because the session had ended since it was used for another message.
async::Task<bool> Attempt::transfer(OpenSession& session) {
    smtp::Client& client = *session.client;
    bool was_used = session.messages > 0;
    auto open = open_ones();
    std::deque<size_t> waiting(open.begin(), open.end());
    size_t limit = kMaxRecipients;
    if (uint32_t said = client.extensions().max_recipients; said > 0) limit = std::min<size_t>(limit, said);
    while (!waiting.empty() && client.usable()) {
        std::vector<size_t> batch;
        while (!waiting.empty() && batch.size() < limit) {
            batch.push_back(waiting.front());
            waiting.pop_front();
        }
        auto outcomes = co_await client.send(make_mail(batch));
        if (was_used && client.unheard()) co_return false;
        was_used = false;
        session.messages++;
        bool some = std::ranges::any_of(outcomes, &smtp::Outcome::delivered);
        for (size_t i = 0; i < batch.size(); i++) {
            // RFC 5321 4.5.3.1.10: those that were too many get a transaction of their own.
            if (some && is_too_many(outcomes[i]))
                waiting.push_back(batch[i]);
            else
                note(batch[i], std::move(outcomes[i]));
        }
    }
    for (size_t i : waiting)
        note(i, failure(Verdict::temporary, Scope::host, "4.4.2", "the connection ended before its turn"));
    co_return true;
}

smtp::Mail Attempt::make_mail(const std::vector<size_t>& batch) const {
    const auto& first = entries_.front();
    smtp::Mail mail;
    mail.mail_from = first.mail_from.empty() ? std::string() : wire_address(first.mail_from);
    mail.needs_smtputf8 = (first.smtputf8 && has_8bit_header_) || !text::is_ascii(mail.mail_from);
    for (size_t i : batch) {
        mail.recipients.push_back(wire_address(entries_[i].recipient));
        if (!text::is_ascii(mail.recipients.back())) mail.needs_smtputf8 = true;
    }
    mail.prefix = message_->prefix;
    mail.file = message_->file.get();
    mail.file_size = file_size_;
    mail.has_8bit = first.has_8bit;
    return mail;
}

}  // namespace mox::queued
