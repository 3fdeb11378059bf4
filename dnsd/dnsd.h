// The program: answers lookups of smtpd and queued from the resolver.
//
// Each peer has its own channel and its own bound on requests (ipc::kMaxServed); names are checked here before the
// library sees them. The metrics count lookups by type and result.
#pragma once

#include <map>
#include <string>

#include "common/process/process.h"
#include "dnsd/resolver.h"
#include "proto/dns.h"

namespace mox::dnsd {

/// The answers to each message; independent of channels, so that tests ask directly.
class Lookups {
  public:
    explicit Lookups(Resolver& resolver) : resolver_(resolver) {}

    async::Task<Result<proto::Addresses>> on(proto::LookupAddresses message);
    async::Task<Result<proto::MxHosts>> on(proto::LookupMx message);
    async::Task<Result<proto::TextRecords>> on(proto::LookupTxt message);
    async::Task<Result<proto::Names>> on(proto::LookupReverse message);
    async::Task<Result<proto::TlsaRecords>> on(proto::LookupTlsa message);

    /// Prometheus lines.
    std::string metrics() const;

  private:
    struct Counter {
        uint64_t count = 0;
        double seconds = 0;
    };
    async::Task<Result<Answer>> ask(std::string name, RecordType type);
    Resolver& resolver_;
    std::map<std::pair<std::string_view, std::string_view>, Counter> counters_;  // by type and result
};

class Dnsd : public process::Common {
  public:
    explicit Dnsd(process::Process& process);
    using Common::on;
    Result<proto::Done> on(proto::ConfigureDnsd config);

  protected:
    std::string metrics() override { return lookups_.metrics(); }

  private:
    /// What a peer's channel serves.
    struct Peer {
        Lookups& lookups;
        template <class M>
        auto on(M message) {
            return lookups.on(std::move(message));
        }
    };
    Resolver resolver_;
    Lookups lookups_{resolver_};
    process::Served<Peer> peers_;
};

}  // namespace mox::dnsd
