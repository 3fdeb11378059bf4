// The validating resolver: libunbound on the event loop of this thread.
//
// Owns the library's context, in which the cache lives. configure() puts a new context in its place; lookups that are
// under way finish on the old one, which goes with the last of them. The library calls back from the loop, never from
// another thread. It needs no files: root servers are built in, anchors and forwarders come with the configuration. A
// lookup has a deadline, and their number is bounded. RFCs: 4035 (validation, by the library).
#pragma once

#include <memory>
#include <string>

#include "common/async/task.h"
#include "common/error.h"
#include "common/ipc/message.h"
#include "dnsd/answer.h"
#include "proto/supervise.h"

namespace mox::dnsd {

constexpr auto kLookupDeadline = std::chrono::seconds(20);
constexpr size_t kMaxLookups = 1000;  // under way at the same time
constexpr size_t kMaxAnchors = 64;

class Resolver {
  public:
    Resolver();
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Loads what the library would otherwise load at first use; call before the sandbox is entered.
    static void prepare();

    /// Error bad_request says which setting the library refuses; the present context then stays.
    Result<ipc::Done> configure(const proto::ConfigureDnsd& config);

    /// Looks up a checked name. Bogus answers, failures of servers and the deadline are temporary errors. May be
    /// dropped.
    async::Task<Result<Answer>> lookup(std::string name, RecordType type);

    /// Lookups under way, those given up by their callers included.
    size_t pending() const;

  private:
    class Context;
    struct Query;
    class Lease;
    static Result<std::shared_ptr<Context>> make(const proto::ConfigureDnsd& config);
    static void answered(void* query, int rcode, void* packet, int size, int security, char* why_bogus, int limited);
    std::shared_ptr<Context> context_;
    size_t pending_ = 0;
};

}  // namespace mox::dnsd
