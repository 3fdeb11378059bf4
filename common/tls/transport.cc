#include "common/tls/transport.h"

namespace mox::tls {

using async::IoResult;

namespace {

IoResult outcome(ssize_t n, ::tls* connection) {
    if (n == TLS_WANT_POLLIN) return {IoResult::State::want_read};
    if (n == TLS_WANT_POLLOUT) return {IoResult::State::want_write};
    if (n < 0) {
        const char* reason = tls_error(connection);
        throw async::ConnectionLost(std::string("TLS: ") + (reason != nullptr ? reason : "unknown error"));
    }
    if (n == 0) return {IoResult::State::end};
    return {IoResult::State::done, static_cast<size_t>(n)};
}

std::string or_empty(const char* s) {
    return s != nullptr ? s : "";
}

}  // namespace

IoResult TlsTransport::read(std::span<char> into) {
    return outcome(tls_read(tls_.get(), into.data(), into.size()), tls_.get());
}

IoResult TlsTransport::write(std::string_view bytes) {
    return outcome(tls_write(tls_.get(), bytes.data(), bytes.size()), tls_.get());
}

void TlsTransport::close_write() {
    // Sends close_notify when the socket takes it; a peer that does not read gets none.
    tls_close(tls_.get());
}

async::Task<void> TlsTransport::handshake(async::Deadline deadline) {
    for (;;) {
        int n = tls_handshake(tls_.get());
        if (n == 0) co_return;
        co_await async::wait_for(*this, outcome(n, tls_.get()).state, deadline);
    }
}

std::string TlsTransport::version() const {
    return or_empty(tls_conn_version(tls_.get()));
}
std::string TlsTransport::cipher() const {
    return or_empty(tls_conn_cipher(tls_.get()));
}
std::string TlsTransport::server_name() const {
    return or_empty(tls_conn_servername(tls_.get()));
}

}  // namespace mox::tls
