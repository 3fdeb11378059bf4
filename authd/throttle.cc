#include "authd/throttle.h"

#include <arpa/inet.h>
#include <cmath>
#include <cstring>

namespace mox::authd {
namespace {

constexpr double kHalfLife = 600;  // seconds
constexpr int kFree = 3;           // failures without a wait

bool is_loopback(const std::string& address) {
    return address.starts_with("127.") || address == "::1";
}

}  // namespace

std::string Throttle::network_of(const std::string& address) {
    in6_addr v6{};
    if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return address;
    std::memset(v6.s6_addr + 8, 0, 8);
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(AF_INET6, &v6, text, sizeof text);
}

double Throttle::count(const std::string& key, double more, Clock::time_point now) {
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (more == 0) return 0;
        if (entries_.size() >= kMaxEntries) {
            entries_.erase(by_use_.back());
            by_use_.pop_back();
        }
        by_use_.push_front(key);
        entries_.emplace(key, Entry{more, now, by_use_.begin()});
        return more;
    }
    Entry& e = found->second;
    double age = std::chrono::duration<double>(now - e.updated).count();
    e.failures = e.failures * std::exp2(-age / kHalfLife) + more;
    e.updated = now;
    by_use_.splice(by_use_.begin(), by_use_, e.position);
    return e.failures;
}

bool Throttle::blocked(const std::string& remote_address, Clock::time_point now) {
    return !is_loopback(remote_address) && count("net " + network_of(remote_address), 0, now) >= kBlockAt;
}

std::chrono::milliseconds Throttle::failed(const std::string& remote_address, const std::string& account,
                                           Clock::time_point now) {
    double by_network = count("net " + network_of(remote_address), 1, now);
    double by_account = account.empty() ? 0 : count("account " + account, 1, now);
    int over = static_cast<int>(std::round(std::max(by_network, by_account))) - kFree;
    if (over <= 0) return std::chrono::milliseconds(0);
    int limit = is_loopback(remote_address) ? 1 : 4;  // a person at the machine itself waits a second at most
    return std::chrono::seconds(1 << std::min(over - 1, limit - 1));
}

void Throttle::succeeded(const std::string& remote_address, const std::string& account) {
    for (const std::string& key : {"net " + network_of(remote_address), "account " + account}) {
        auto found = entries_.find(key);
        if (found == entries_.end()) continue;
        by_use_.erase(found->second.position);
        entries_.erase(found);
    }
}

}  // namespace mox::authd
