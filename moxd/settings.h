// The two configuration files as one checked whole, and what each process gets of them.
//
// Reading and translating are pure but for the files named in the configuration (certificates, keys, trust anchors),
// which moxd alone can read.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/error.h"
#include "proto/supervise.h"

namespace mox::moxd {

/// A self-signed certificate of a listener, kept as long as moxd runs.
struct MadeCertificate {
    std::string hostname;
    std::string chain_pem;
    std::string key_pem;
};

/// mox.conf, domains.conf and the files they name, as they were at one moment.
struct Settings {
    std::string config_file;
    std::string domains_file;  // next to mox.conf
    config::Config config;
    config::Domains domains;
    std::string domains_text;                                  // as a person wrote it, for edits
    std::vector<proto::Certificate> certificates;              // those of all listeners
    std::vector<std::vector<uint32_t>> listener_certificates;  // by listener: indexes into certificates
    std::vector<ipc::Secret> private_keys;
    std::vector<MadeCertificate> made;
    std::string trust_anchor;
    std::string ca_pem;
};

/// Reads and validates everything. The error's text has a line for each problem: file:line:column: what is wrong.
/// Self-signed certificates are taken over from `made`, as far as they are there.
Result<Settings> load_settings(const std::string& config_file, std::vector<MadeCertificate> made = {});
/// As load_settings, with this text in place of the domains.conf on disk.
Result<Settings> check_domains(const Settings& present, std::string domains_text);
/// Replaces domains.conf: whole, durable, keeping its owner and mode.
Result<ipc::Done> write_domains_file(const Settings& settings);

/// A socket that a process is to listen on.
struct Endpoint {
    ipc::Role role;
    std::string address;
    uint16_t port;
    proto::Listener listener;  // without its socket
    auto key() const { return std::pair(address, port); }
};
std::vector<Endpoint> endpoints(const Settings& settings);

proto::ConfigureStoraged for_storaged(const Settings& settings);
proto::ConfigureAuthd for_authd(const Settings& settings);
proto::ConfigureDnsd for_dnsd(const Settings& settings);
proto::ConfigureSmtpd for_smtpd(const Settings& settings);
proto::ConfigureImapd for_imapd(const Settings& settings);
proto::ConfigureHttpd for_httpd(const Settings& settings);
proto::ConfigureQueued for_queued(const Settings& settings);
proto::ConfigureImapdWorker for_imapd_worker(const Settings& settings, const std::string& account);

/// The user a role runs as, when moxd is root.
std::string user_of(const config::Config& config, ipc::Role role);

/// A whole file, at most `limit` bytes.
Result<std::string> read_file(const std::string& path, size_t limit);

}  // namespace mox::moxd
