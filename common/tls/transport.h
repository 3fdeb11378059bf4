// TLS over a socket as an async::Transport, by libtls.
#pragma once

#include <memory>
#include <string>
#include <tls.h>

#include "common/async/stream.h"

namespace mox::tls {

struct TlsDeleter {
    void operator()(::tls* t) const { tls_free(t); }
};
struct ConfigDeleter {
    void operator()(tls_config* c) const { tls_config_free(c); }
};
using TlsHandle = std::unique_ptr<::tls, TlsDeleter>;
using ConfigHandle = std::unique_ptr<tls_config, ConfigDeleter>;

/// An established or just begun TLS connection.
class TlsTransport : public async::Transport {
  public:
    TlsTransport(TlsHandle connection, Fd fd) : fd_(std::move(fd)), tls_(std::move(connection)) {}

    async::IoResult read(std::span<char> into) override;
    async::IoResult write(std::string_view bytes) override;
    void close_write() override;
    int fd() const override { return fd_.get(); }

    /// Runs the handshake to its end; throws ConnectionLost with the library's reason, or DeadlinePassed.
    async::Task<void> handshake(async::Deadline deadline);

    /// As logged: "TLSv1.3", "TLS_AES_256_GCM_SHA384".
    std::string version() const;
    std::string cipher() const;
    /// The server name the client asked for, empty when none.
    std::string server_name() const;
    /// The fingerprint of the key of the client's certificate (public_key.h), which it has proved to have; empty when
    /// it showed none, or was not asked.
    const std::string& peer_key() const { return peer_key_; }
    void set_peer_key(std::string fingerprint) { peer_key_ = std::move(fingerprint); }

  private:
    Fd fd_;
    std::string peer_key_;
    TlsHandle tls_;  // freed before the descriptor is closed
};

}  // namespace mox::tls
