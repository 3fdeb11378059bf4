#include "dnsd/dnsd.h"

#include "dnsd/name.h"

namespace mox::dnsd {
namespace {

std::string_view type_name(RecordType type) {
    switch (type) {
        case RecordType::a:
            return "a";
        case RecordType::aaaa:
            return "aaaa";
        case RecordType::mx:
            return "mx";
        case RecordType::txt:
            return "txt";
        case RecordType::ptr:
            return "ptr";
        case RecordType::tlsa:
            return "tlsa";
        case RecordType::cname:
            return "cname";
        case RecordType::soa:
            return "soa";
    }
    return "other";
}

std::string_view result_name(const Result<Answer>& answer) {
    if (!answer) return answer.error().code == ErrorCode::timeout ? "timeout" : "error";
    switch (answer->head.status) {
        case proto::DnsStatus::found:
            return "found";
        case proto::DnsStatus::no_data:
            return "no_data";
        case proto::DnsStatus::no_domain:
            return "no_domain";
        case proto::DnsStatus::kEnd:
            break;
    }
    return "error";
}

}  // namespace

async::Task<Result<Answer>> Lookups::ask(std::string name, RecordType type) {
    auto checked = check_name(name);
    if (!checked) co_return std::unexpected(checked.error());
    auto begin = async::Clock::now();
    auto answer = co_await resolver_.lookup(*checked, type);
    std::chrono::duration<double> took = async::Clock::now() - begin;
    Counter& counter = counters_[{type_name(type), result_name(answer)}];
    counter.count++;
    counter.seconds += took.count();
    log::debug("lookup", {{"name", *checked},
                          {"type", type_name(type)},
                          {"result", result_name(answer)},
                          {"secure", answer && answer->head.security == proto::DnsSecurity::secure},
                          {"error", answer ? std::string() : answer.error().text},
                          {"seconds", took.count()}});
    co_return answer;
}

async::Task<Result<proto::Addresses>> Lookups::on(proto::LookupAddresses message) {
    auto asked4 = ask(message.name, RecordType::a);  // both at the same time
    auto asked6 = ask(message.name, RecordType::aaaa);
    auto v4 = co_await asked4;
    auto v6 = co_await asked6;
    proto::Addresses out;
    bool some = (v4 && !v4->addresses.empty()) || (v6 && !v6->addresses.empty());
    // Servers that fail for AAAA alone must not make a host unreachable.
    if (!v4 && !some) co_return std::unexpected(v4.error());
    if (!v6 && !some) co_return std::unexpected(v6.error());
    for (auto* answer : {&v6, &v4}) {
        if (!*answer) continue;
        for (auto& address : (*answer)->addresses) out.addresses.push_back(std::move(address));
    }
    proto::DnsAnswer failed{proto::DnsStatus::no_data, proto::DnsSecurity::insecure, message.name, 0};
    out.v4 = v4 ? std::move(v4->head) : failed;
    out.v6 = v6 ? std::move(v6->head) : failed;
    co_return out;
}

async::Task<Result<proto::MxHosts>> Lookups::on(proto::LookupMx message) {
    auto answer = co_await ask(message.name, RecordType::mx);
    if (!answer) co_return std::unexpected(answer.error());
    co_return proto::MxHosts{std::move(answer->head), std::move(answer->hosts)};
}

async::Task<Result<proto::TextRecords>> Lookups::on(proto::LookupTxt message) {
    auto answer = co_await ask(message.name, RecordType::txt);
    if (!answer) co_return std::unexpected(answer.error());
    co_return proto::TextRecords{std::move(answer->head), std::move(answer->texts)};
}

async::Task<Result<proto::Names>> Lookups::on(proto::LookupReverse message) {
    auto name = reverse_name(message.address);
    if (!name) co_return std::unexpected(name.error());
    auto answer = co_await ask(*name, RecordType::ptr);
    if (!answer) co_return std::unexpected(answer.error());
    co_return proto::Names{std::move(answer->head), std::move(answer->names)};
}

async::Task<Result<proto::TlsaRecords>> Lookups::on(proto::LookupTlsa message) {
    auto answer = co_await ask(message.name, RecordType::tlsa);
    if (!answer) co_return std::unexpected(answer.error());
    co_return proto::TlsaRecords{std::move(answer->head), std::move(answer->tlsa)};
}

std::string Lookups::metrics() const {
    std::string out = "# TYPE mox_dns_lookup_duration_seconds summary\n";
    for (const auto& [key, counter] : counters_) {
        std::string labels = fmt::format("{{type=\"{}\",result=\"{}\"}}", key.first, key.second);
        out += fmt::format("mox_dns_lookup_duration_seconds_count{} {}\n", labels, counter.count);
        out += fmt::format("mox_dns_lookup_duration_seconds_sum{} {:.6f}\n", labels, counter.seconds);
    }
    out += fmt::format("# TYPE mox_dns_lookups_pending gauge\nmox_dns_lookups_pending {}\n", resolver_.pending());
    return out;
}

Dnsd::Dnsd(process::Process& process) : Common(process) {
    accept({ipc::Role::smtpd, ipc::Role::queued}, [this](Fd socket, ipc::PeerId peer) {
        peers_.add(std::move(socket), std::move(peer), proto::DnsMessages{}, std::make_unique<Peer>(Peer{lookups_}));
    });
}

Result<proto::Done> Dnsd::on(proto::ConfigureDnsd config) {
    process().apply(config.log);
    return resolver_.configure(config);
}

}  // namespace mox::dnsd
