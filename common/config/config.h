// The readers of mox.conf and domains.conf: text to checked values. This is what programs include.
//
// parse_config and parse_domains check each file for itself as far as single statements go; validate() checks what
// only the whole shows (names that must be unique or must exist, listeners that collide). A configuration is good
// when all three are silent. Nothing here touches the file system; moxd reads and writes the files.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/diagnostic.h"
#include "common/config/model.h"

namespace mox::config {

/// Reads mox.conf; `file_name` is used in messages only.
std::expected<Config, std::vector<Diagnostic>> parse_config(std::string_view text, std::string file_name);

/// Reads domains.conf; `file_name` is used in messages only.
std::expected<Domains, std::vector<Diagnostic>> parse_domains(std::string_view text, std::string file_name);

/// What is wrong with mox.conf as a whole; empty when nothing.
std::vector<Diagnostic> validate(const Config& config);
/// What is wrong with domains.conf as a whole; empty when nothing.
std::vector<Diagnostic> validate(const Domains& domains);
/// What is wrong with either, or between them; empty when nothing.
std::vector<Diagnostic> validate(const Config& config, const Domains& domains);

/// domains.conf in its canonical form: parse_domains(write_domains(x)) == x for every x that parse_domains made.
std::string write_domains(const Domains& domains);
/// One statement in the canonical form, without indentation in front, ending in a newline.
std::string write_statement(const Domain& domain);
std::string write_statement(const Account& account);
std::string write_statement(const Address& address);

/// The localpart by which addresses of the domain are compared: cut at the first separator, and in lower case
/// (ASCII letters) unless the domain is case sensitive. "*" and "" stay as they are.
std::string canonical_localpart(const Domain& domain, std::string_view localpart);

/// The service's name in mox.conf, and the port it has there by default.
std::string_view service_name(ServiceKind kind);
uint16_t default_port(ServiceKind kind);
/// Whether the first byte on a connection of this service belongs to TLS.
bool is_implicit_tls(ServiceKind kind);

enum class File : uint8_t { config, domains };

/// Every keyword that may begin a statement in the file, sorted; each stands in the file's man page.
std::vector<std::string> known_keywords(File file);

}  // namespace mox::config
