#include "dnsd/resolver.h"

#include <arpa/inet.h>
#include <list>
#include <sstream>
#include <unbound-event.h>
#include <unbound.h>
#include <vector>

#include "common/async/loop.h"
#include "common/text/ascii.h"
#include "dnsd/name.h"

namespace mox::dnsd {

/// A question to the library. Lives until the library has answered, even when its caller is gone.
struct Resolver::Query {
    Resolver::Context* context;
    std::list<Query>::iterator self;
    bool done = false;
    bool abandoned = false;
    int rcode = 0;
    int security = 0;  // 0 insecure, 1 bogus, 2 secure
    bool limited = false;
    std::string packet;
    std::string why_bogus;
    async::Notify arrived;
};

class Resolver::Context {
  public:
    Context() : ctx_(ub_ctx_create_event(async::Loop::current().base())) {}
    ~Context() {
        if (ctx_ != nullptr) ub_ctx_delete(ctx_);  // without calling back what is pending
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    ub_ctx* get() { return ctx_; }
    Query& add() {
        queries_.emplace_back();
        Query& q = queries_.back();
        q.context = this;
        q.self = std::prev(queries_.end());
        return q;
    }
    void remove(Query& q) { queries_.erase(q.self); }
    size_t size() const { return queries_.size(); }

  private:
    ub_ctx* ctx_;
    std::list<Query> queries_;
};

/// A caller's hold on its question and on the context.
class Resolver::Lease {
  public:
    Lease(std::shared_ptr<Context> context, size_t& pending)
        : context_(std::move(context)), query_(&context_->add()), pending_(pending) {
        pending_++;
    }
    ~Lease() {
        pending_--;
        if (query_->done)
            context_->remove(*query_);
        else
            query_->abandoned = true;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Query& query() { return *query_; }
    Context& context() { return *context_; }

  private:
    std::shared_ptr<Context> context_;
    Query* query_;
    size_t& pending_;
};

namespace {

struct Option {
    const char* name;
    const char* value;
};

// Bounded memory, no files, no threads. Names and meanings: unbound.conf(5).
constexpr Option kOptions[] = {
    {"msg-cache-size:", "2m"},
    {"rrset-cache-size:", "4m"},
    {"key-cache-size:", "1m"},
    {"neg-cache-size:", "256k"},
    {"infra-cache-numhosts:", "2000"},
    {"outgoing-range:", "512"},
    {"num-queries-per-thread:", "512"},
    {"outgoing-num-tcp:", "16"},
    {"use-caps-for-id:", "no"},
    {"harden-glue:", "yes"},
    {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},
    {"qname-minimisation:", "yes"},
    {"hide-identity:", "yes"},
    {"use-syslog:", "no"},
};

std::unexpected<Error> refused(const std::string& what, int code) {
    return permanent(ErrorCode::bad_request, "resolver: " + what + ": " + ub_strerror(code));
}

bool is_loopback(std::string_view address) {
    return address.starts_with("127.") || address == "::1" || address.starts_with("::1@");
}

/// Addresses in zone text of root hints: the last word of each A and AAAA record.
std::vector<std::string> addresses_of_hints(const std::string& zone) {
    std::vector<std::string> out;
    std::istringstream lines(zone);
    for (std::string line; std::getline(lines, line) && out.size() < 64;) {
        line.erase(std::min(line.find(';'), line.size()));
        std::istringstream words(line);
        std::string word, last, type;
        while (words >> word) {
            type = std::exchange(last, word);
        }
        if (text::iequals(type, "A") || text::iequals(type, "AAAA")) out.push_back(last);
    }
    return out;
}

Result<ipc::Done> set(ub_ctx* ctx, const char* name, const char* value) {
    if (int code = ub_ctx_set_option(ctx, name, value); code != 0) return refused(name, code);
    return ipc::Done{};
}

Result<ipc::Done> set_servers(ub_ctx* ctx, const proto::ConfigureDnsd& config) {
    bool loopback = false;
    for (const auto& address : config.forward) {
        loopback |= is_loopback(address);
        if (int code = ub_ctx_set_fwd(ctx, address.c_str()); code != 0) return refused("forward " + address, code);
    }
    for (const auto& address : addresses_of_hints(config.root_hints)) {
        loopback |= is_loopback(address);
        if (int code = ub_ctx_set_stub(ctx, ".", address.c_str(), 1); code != 0)
            return refused("root hint " + address, code);
    }
    if (loopback) return set(ctx, "do-not-query-localhost:", "no");
    return ipc::Done{};
}

Result<ipc::Done> add_anchors(ub_ctx* ctx, const std::string& text) {
    std::istringstream lines(text);
    size_t count = 0;
    for (std::string line; std::getline(lines, line);) {
        line.erase(std::min(line.find(';'), line.size()));
        std::string record(text::trim(line));
        if (record.empty()) continue;
        if (++count > kMaxAnchors) return permanent(ErrorCode::bad_request, "resolver: too many trust anchors");
        if (int code = ub_ctx_add_ta(ctx, record.c_str()); code != 0) return refused("trust anchor", code);
    }
    return ipc::Done{};
}

/// Records that are answered from here. A name that has some gives "no data" for other types; nothing goes out for it.
Result<ipc::Done> add_local_data(ub_ctx* ctx, const proto::ConfigureDnsd& config) {
    // Behind a forwarder the names that unbound answers itself (RFC 6761, RFC 6303) are the forwarder's business.
    if (!config.forward.empty()) {
        for (const char* zone : {"test.", "10.in-addr.arpa.", "168.192.in-addr.arpa."}) ub_ctx_zone_remove(ctx, zone);
    }
    for (const auto& record : config.local_data) {
        if (int code = ub_ctx_data_add(ctx, record.c_str()); code != 0) return refused("local data " + record, code);
    }
    return ipc::Done{};
}

}  // namespace

Resolver::Resolver() = default;
Resolver::~Resolver() = default;

void Resolver::prepare() {
    // The loop of the process stands already; a name that the library answers itself finishes its set-up without a
    // packet.
    auto context = std::make_shared<Context>();
    if (context->get() == nullptr) return;
    ub_ctx_debugout(context->get(), nullptr);
    Query& query = context->add();
    ub_resolve_event(context->get(), "localhost", static_cast<int>(RecordType::a), 1, &query, answered, nullptr);
}

Result<std::shared_ptr<Resolver::Context>> Resolver::make(const proto::ConfigureDnsd& config) {
    auto context = std::make_shared<Context>();
    ub_ctx* ctx = context->get();
    if (ctx == nullptr) return temporary(ErrorCode::internal, "resolver: no memory");
    ub_ctx_debugout(ctx, nullptr);
    for (const Option& option : kOptions) {
        if (auto done = set(ctx, option.name, option.value); !done) return std::unexpected(done.error());
    }
    bool validate = !config.no_dnssec && !config.trust_anchor.empty();
    if (auto done = set(ctx, "module-config:", validate ? "validator iterator" : "iterator"); !done)
        return std::unexpected(done.error());
    if (auto done = set_servers(ctx, config); !done) return std::unexpected(done.error());
    if (validate) {
        if (auto done = add_anchors(ctx, config.trust_anchor); !done) return std::unexpected(done.error());
    }
    if (auto done = add_local_data(ctx, config); !done) return std::unexpected(done.error());
    return context;
}

Result<ipc::Done> Resolver::configure(const proto::ConfigureDnsd& config) {
    auto made = make(config);
    if (!made) return std::unexpected(made.error());
    context_ = std::move(*made);
    return ipc::Done{};
}

size_t Resolver::pending() const {
    return context_ != nullptr ? std::max(pending_, context_->size()) : pending_;
}

void Resolver::answered(void* data, int rcode, void* packet, int size, int security, char* why_bogus, int limited) {
    Query& query = *static_cast<Query*>(data);
    query.done = true;
    if (query.abandoned) return query.context->remove(query);
    query.rcode = rcode;
    query.security = security;
    query.limited = limited != 0;
    if (packet != nullptr && size > 0) query.packet.assign(static_cast<const char*>(packet), static_cast<size_t>(size));
    if (why_bogus != nullptr) query.why_bogus = why_bogus;
    query.arrived.notify_all();
}

async::Task<Result<Answer>> Resolver::lookup(std::string name, RecordType type) {
    if (context_ == nullptr) co_return temporary(ErrorCode::unavailable, "the resolver is not configured yet");
    if (pending() >= kMaxLookups) co_return temporary(ErrorCode::busy, "too many DNS lookups at the same time");
    async::Deadline deadline = async::in(kLookupDeadline);
    Lease lease(context_, pending_);
    Query& query = lease.query();
    int code =
        ub_resolve_event(lease.context().get(), name.c_str(), static_cast<int>(type), 1, &query, answered, nullptr);
    if (code != 0) {
        query.done = true;  // the library will not call back
        co_return temporary(ErrorCode::internal, name + ": " + ub_strerror(code));
    }
    try {
        while (!query.done) co_await query.arrived.wait(deadline);
    } catch (const async::DeadlinePassed&) {
        co_return temporary(ErrorCode::timeout, name + ": no DNS answer in time");
    }
    // RFC 4035 5.5: bogus data is never used.
    if (query.security == 1) co_return temporary(ErrorCode::unavailable, name + ": DNSSEC: " + query.why_bogus);
    if (query.limited) co_return temporary(ErrorCode::busy, name + ": too many DNS queries");
    if (query.packet.empty() || (query.rcode != 0 && query.rcode != 3))
        co_return temporary(ErrorCode::unavailable,
                            name + ": the name servers do not answer (" + std::to_string(query.rcode) + ")");
    auto answer = parse_answer(query.packet, type);
    if (!answer) co_return temporary(answer.error().code, name + ": " + answer.error().text);
    answer->head.security = query.security == 2 ? proto::DnsSecurity::secure : proto::DnsSecurity::insecure;
    co_return answer;
}

}  // namespace mox::dnsd
