// Slowing down those who guess passwords, without locking anybody out for long. Pure: time comes in, delays go out.
//
// Failures are counted by network (IPv4 address, IPv6 /64) and by account, and halve every ten minutes. From the fourth
// on, the answer to each further failure waits: 1 s, 2 s, 4 s, at most 8 s. A network with very many is refused for a
// while before its password is even looked at, in words that say so; loopback is not. A success clears the account's
// count and lowers the network's, so a person who mistyped is not held up. Bounded: the least recently failing entries
// are forgotten.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

namespace mox::authd {

class Throttle {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr size_t kMaxEntries = 20000;
    static constexpr double kBlockAt = 100;  // failures of one network

    /// Whether this network has to wait before it may try again at all.
    bool blocked(const std::string& remote_address, Clock::time_point now);
    /// Counts a failure; how long the answer is to wait.
    std::chrono::milliseconds failed(const std::string& remote_address, const std::string& account,
                                     Clock::time_point now);
    void succeeded(const std::string& remote_address, const std::string& account);
    size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        double failures = 0;
        Clock::time_point updated;
        std::list<std::string>::iterator position;
    };
    double count(const std::string& key, double more, Clock::time_point now);
    std::unordered_map<std::string, Entry> entries_;
    std::list<std::string> by_use_;  // most recent first
};

}  // namespace mox::authd
