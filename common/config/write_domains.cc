// domains.conf in its canonical form. Only what differs from the default is written; what is written is read back
// as the same values.
#include <fmt/format.h>

#include "common/config/config.h"
#include "common/config/syntax.h"
#include "common/config/values.h"
#include "common/config/words.h"

namespace mox::config {
namespace {

/// Lines with their indentation.
class Writer {
  public:
    void line(const std::string& text) { out_ += std::string(4 * depth_, ' ') + text + "\n"; }
    void open(const std::string& text) {
        line(text + " {");
        depth_++;
    }
    void close() {
        depth_--;
        line("}");
    }
    std::string take() { return std::move(out_); }

  private:
    std::string out_;
    size_t depth_ = 0;
};

std::string quoted_list(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : ", ") + quote(word);
    return out;
}

void write(Writer& out, const Route& route) {
    out.open("route");
    if (!route.from_domains.empty()) out.line("from-domain " + quoted_list(route.from_domains));
    if (!route.to_domains.empty()) out.line("to-domain " + quoted_list(route.to_domains));
    if (route.min_attempts != 0) out.line(fmt::format("min-attempts {}", route.min_attempts));
    out.line("transport " + quote(route.transport));
    out.close();
}

void write(Writer& out, const Expiry& expiry) {
    out.line("expire " + quote(expiry.mailbox) + ' ' + (expiry.after ? write_duration(*expiry.after) : "never"));
}

void write(Writer& out, const Domain& domain) {
    const Domain defaults;
    Domain plain = defaults;
    plain.name = domain.name;
    if (domain == plain) return out.line("domain " + quote(domain.name));
    out.open("domain " + quote(domain.name));
    if (!domain.description.empty()) out.line("description " + quote(domain.description));
    if (domain.disabled) out.line("disabled yes");
    if (domain.localpart_separators != defaults.localpart_separators) {
        const auto& separators = domain.localpart_separators;
        out.line("localpart-separators " + (separators.empty() ? "none" : quoted_list(separators)));
    }
    if (domain.case_sensitive) out.line("case-sensitive yes");
    for (const Expiry& expiry : domain.expiries) write(out, expiry);
    for (const Route& route : domain.routes) write(out, route);
    out.close();
}

void write(Writer& out, const Address& address) {
    std::string statement = "address " + quote(address.localpart + "@" + address.domain);
    if (address.mailbox != Address{}.mailbox) statement += " { mailbox " + quote(address.mailbox) + " }";
    out.line(statement);
}

void write(Writer& out, const Account& account) {
    Account plain{.name = account.name};
    if (account == plain) return out.line("account " + quote(account.name));
    out.open("account " + quote(account.name));
    if (!account.full_name.empty()) out.line("full-name " + quote(account.full_name));
    for (const Address& address : account.addresses) write(out, address);
    if (account.quota) out.line("quota " + write_size(*account.quota));
    if (!account.login_disabled.empty()) out.line("login-disabled " + quote(account.login_disabled));
    if (account.submission_server) out.line("submission-server yes");
    for (const Expiry& expiry : account.expiries) write(out, expiry);
    for (const Route& route : account.routes) write(out, route);
    out.close();
}

void write(Writer& out, const Transport& transport) {
    out.open("transport " + quote(transport.name));
    out.line("host " + quote(transport.host));
    out.line(fmt::format("port {}", transport.port));
    out.line(fmt::format("tls {}", kTransportTlsWords[static_cast<size_t>(transport.tls)]));
    if (transport.tls == TransportTls::implicit || transport.tls == TransportTls::starttls) {
        out.line(transport.verify ? "verify yes" : "verify no");
    }
    if (!transport.username.empty()) {
        out.line("username " + quote(transport.username));
        out.line("password " + quote(transport.password));
    }
    out.close();
}

template <class T>
std::string written(const T& value) {
    Writer out;
    write(out, value);
    return out.take();
}

}  // namespace

std::string write_statement(const Domain& domain) {
    return written(domain);
}
std::string write_statement(const Account& account) {
    return written(account);
}
std::string write_statement(const Address& address) {
    return written(address);
}

std::string write_domains(const Domains& domains) {
    Writer out;
    for (const Domain& domain : domains.domains) write(out, domain);
    for (const Account& account : domains.accounts) write(out, account);
    for (const Transport& transport : domains.transports) write(out, transport);
    for (const Expiry& expiry : domains.expiries) write(out, expiry);
    for (const Route& route : domains.routes) write(out, route);
    return out.take();
}

}  // namespace mox::config
