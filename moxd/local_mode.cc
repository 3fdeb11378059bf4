#include "moxd/local_mode.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/async/fd.h"
#include "common/config/local.h"
#include "common/tls/self_signed.h"

namespace mox::moxd {
namespace {

std::unexpected<Error> failed(const std::string& path) {
    return permanent(ErrorCode::io, path + ": " + std::strerror(errno));
}

Result<ipc::Done> make_directory(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
        mkdir(path.substr(0, slash).c_str(), 0700);
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed(path);
    return ipc::Done{};
}

/// Writes a file that is not there yet; one that is stays.
Result<ipc::Done> write_new(const std::string& path, const std::string& text, mode_t mode) {
    Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file) {
        if (errno == EEXIST) return ipc::Done{};
        return failed(path);
    }
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || fsync(file.get()) != 0) {
        auto error = failed(path);
        unlink(path.c_str());
        return error;
    }
    return ipc::Done{};
}

bool exists(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

std::string marker(const std::string& directory) {
    return directory + "/password-not-set";
}

}  // namespace

Result<LocalDirectory> prepare_local_directory(const std::string& path, unsigned port_offset) {
    if (auto done = make_directory(path); !done) return std::unexpected(std::move(done.error()));
    char resolved[PATH_MAX];
    if (realpath(path.c_str(), resolved) == nullptr) return failed(path);
    LocalDirectory local{resolved, std::string(resolved) + "/mox.conf", false};
    if (auto done = make_directory(local.path + "/tls"); !done) return std::unexpected(std::move(done.error()));
    if (!exists(local.path + "/tls/cert.pem")) {
        auto made = tls::make_self_signed({"localhost"}, {"127.0.0.1", "::1"});
        if (!made) return std::unexpected(std::move(made.error()));
        unlink((local.path + "/tls/key.pem").c_str());
        if (auto done = write_new(local.path + "/tls/key.pem", made->key_pem, 0600); !done)
            return std::unexpected(std::move(done.error()));
        if (auto done = write_new(local.path + "/tls/cert.pem", made->certificate_pem, 0644); !done)
            return std::unexpected(std::move(done.error()));
    }
    if (!exists(local.config_file))
        if (auto done = write_new(marker(local.path), "", 0600); !done) return std::unexpected(std::move(done.error()));
    if (auto done = write_new(local.path + "/domains.conf", config::local_domains_conf(), 0600); !done)
        return std::unexpected(std::move(done.error()));
    auto text = config::local_mox_conf({local.path, "127.0.0.1", static_cast<uint16_t>(port_offset)});
    if (auto done = write_new(local.config_file, text, 0600); !done) return std::unexpected(std::move(done.error()));
    local.needs_password = exists(marker(local.path));
    return local;
}

void password_is_set(const LocalDirectory& directory) {
    unlink(marker(directory.path).c_str());
}

}  // namespace mox::moxd
