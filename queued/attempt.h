// One attempt to deliver a message to some recipients of one domain.
//
// Finds the way for each recipient: on purpose failing (local mode), an account of this host, a transport, or the
// servers of the domain; hosts and addresses are tried in turn until every recipient has an answer that another host
// could not better. Changes nothing in the queue, but for deliveries to accounts of this host, which remove their
// entry. No exception leaves it. RFCs: 5321 5.1, 7435 (opportunistic TLS: plain text after a failed handshake).
#pragma once

#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "common/smtp/client.h"
#include "queued/hosts.h"
#include "queued/sessions.h"
#include "queued/settings.h"

namespace mox::queued {

constexpr size_t kMaxAddresses = 4;     // tried of one host
constexpr size_t kMaxRecipients = 100;  // of one transaction (RFC 5321 4.5.3.1.8) and one attempt
constexpr auto kConnectTimeout = std::chrono::seconds(30);
constexpr auto kLookupTimeout = std::chrono::seconds(25);
constexpr auto kStorageTimeout = std::chrono::seconds(30);

/// Seconds since 1970.
int64_t unix_now();

/// Where the entry of a recipient is after an attempt.
enum class EntryState : uint8_t { queued, removed };

struct Attempted {
    smtp::Outcome outcome;
    EntryState state = EntryState::queued;
};

class Attempt {
  public:
    /// `entries` are of one message, one recipient domain and one account. Everything given outlives the attempt.
    Attempt(Peers& peers, Sessions& sessions, Settings settings, Counters& counters, std::mt19937_64& random,
            log::Logger log, std::vector<proto::QueueEntry> entries);

    /// For each entry, in order.
    async::Task<std::vector<Attempted>> run();

    /// The header of the message, for notices; empty when it cannot be read.
    std::string original_header() const;
    /// Opens the message, if it is not open yet.
    async::Task<bool> open_message();

  private:
    enum class Spoken : uint8_t { yes, not_opened, tls_failed };

    async::Task<void> route_each();
    async::Task<void> resolve(size_t index, const proto::Route* route);
    async::Task<void> deliver_local(size_t index, proto::ResolvedAddress where);
    async::Task<void> deliver_remote(const proto::Route* route);
    async::Task<std::vector<Host>> find_hosts(const proto::Route* route);
    std::vector<Host> transport_host(const proto::Route& route);
    async::Task<std::vector<std::string>> find_addresses(const Host& host);
    async::Task<void> try_host(const Host& host);
    async::Task<bool> try_kept(const Host& host);
    async::Task<Spoken> try_address(const Host& host, std::string address, smtp::ClientTls tls);
    async::Task<bool> transfer(OpenSession& session);
    smtp::Mail make_mail(const std::vector<size_t>& batch) const;

    bool is_open(size_t index) const;
    bool all_settled() const;
    std::vector<size_t> open_ones() const;
    void note(size_t index, smtp::Outcome outcome);
    void note_open(const smtp::Outcome& outcome);

    Peers& peers_;
    Sessions& sessions_;
    Settings settings_;
    Counters& counters_;
    std::mt19937_64& random_;
    log::Logger log_;
    std::vector<proto::QueueEntry> entries_;
    std::vector<std::optional<Attempted>> results_;
    std::set<size_t> decided_here_;  // recipients with a result before any other host was asked
    std::string domain_;
    std::optional<proto::QueuedMessage> message_;
    uint64_t file_size_ = 0;
    bool has_8bit_header_ = true;
    bool via_transport_ = false;  // its failures are the admin's to mend: no reason to return mail
    async::Deadline give_up_ = async::kNever;
};

}  // namespace mox::queued
