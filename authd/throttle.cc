#include "authd/throttle.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cmath>

#include "common/text/network.h"

namespace mox::authd {
namespace {

constexpr double kHalfLife = 600;  // seconds
constexpr int kFree = 3;           // failures without a wait

bool is_loopback(const std::string& address) {
    return address.starts_with("127.") || address == "::1";
}

}  // namespace

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
    return !is_loopback(remote_address) && count("net " + text::network_of(remote_address), 0, now) >= kBlockAt;
}

std::chrono::milliseconds Throttle::failed(const std::string& remote_address, const std::string& account,
                                           Clock::time_point now) {
    double by_network = count("net " + text::network_of(remote_address), 1, now);
    double by_account = account.empty() ? 0 : count("account " + account, 1, now);
    int over = static_cast<int>(std::round(std::max(by_network, by_account))) - kFree;
    if (over <= 0) return std::chrono::milliseconds(0);
    int limit = is_loopback(remote_address) ? 1 : 4;  // a person at the machine itself waits a second at most
    return std::chrono::seconds(1 << std::min(over - 1, limit - 1));
}

void Throttle::succeeded(const std::string& remote_address, const std::string& account) {
    if (auto found = entries_.find("account " + account); found != entries_.end()) {
        by_use_.erase(found->second.position);
        entries_.erase(found);
    }
    // The network's count shrinks, but somebody with an account of his own cannot wash himself clean between guesses.
    if (auto found = entries_.find("net " + text::network_of(remote_address)); found != entries_.end())
        found->second.failures = std::max(0.0, found->second.failures - kFree);
}

}  // namespace mox::authd
