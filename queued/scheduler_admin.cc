// What an admin does with the queue: listing, kicking and dropping entries that match a filter.
#include <algorithm>
#include <chrono>

#include "common/text/ascii.h"
#include "queued/scheduler.h"

namespace mox::queued {
namespace {

constexpr uint32_t kScanStep = 200;
constexpr size_t kMaxMatching = 100000;  // changed by one request

bool contains(std::string_view text, std::string_view part) {
    return part.empty() || text::to_lower(text).find(text::to_lower(part)) != std::string::npos;
}

}  // namespace

bool matches(const proto::QueueFilter& filter, const proto::QueueEntry& entry) {
    if (!filter.ids.empty() && std::ranges::find(filter.ids, entry.id) == filter.ids.end()) return false;
    if (!filter.account.empty() && filter.account != entry.account) return false;
    return contains(entry.mail_from, filter.sender) && contains(entry.recipient, filter.recipient);
}

async::Task<Result<ipc::Done>> Scheduler::scan(uint64_t after, proto::QueueFilter filter, Visit visit) {
    for (;;) {
        auto page = co_await peers_.storage.call(proto::QueueScan{after, kScanStep}, kStorageTimeout);
        if (!page) co_return std::unexpected(page.error());
        if (page->entries.empty()) co_return ipc::Done{};
        for (auto& entry : page->entries) {
            after = std::max(after, entry.id);
            if (matches(filter, entry) && !visit(entry)) co_return ipc::Done{};
        }
    }
}

async::Task<Result<Scheduler::Entries>> Scheduler::matching(proto::QueueFilter filter) {
    Entries found;
    auto take = [&found](proto::QueueEntry& entry) {
        found.push_back(std::move(entry));
        return found.size() < kMaxMatching;
    };
    auto done = co_await scan(0, std::move(filter), take);
    if (!done) co_return std::unexpected(done.error());
    co_return found;
}

async::Task<Result<proto::QueueListing>> Scheduler::list(proto::QueueList request) {
    proto::QueueListing listing{};
    size_t limit = std::clamp<uint32_t>(request.limit, 1, kMaxListed);
    auto take = [&listing, limit](proto::QueueEntry& entry) {
        if (listing.entries.size() == limit) {
            listing.more = true;
            return false;
        }
        listing.entries.push_back(std::move(entry));
        return true;
    };
    auto done = co_await scan(request.after, std::move(request.filter), take);
    if (!done) co_return std::unexpected(done.error());
    co_return listing;
}

async::Task<Result<proto::QueueAffected>> Scheduler::kick(proto::QueueKick request) {
    auto found = co_await matching(std::move(request.filter));
    if (!found) co_return std::unexpected(found.error());
    proto::QueueAffected affected{0};
    for (auto& entry : *found) {
        affected.count++;
        if (running_.contains(entry.id)) continue;  // it is being tried right now
        auto done =
            co_await peers_.storage.call(proto::QueueUpdate{entry.id, unix_now(), entry.last_attempt, entry.attempts,
                                                            std::move(entry.last_error), entry.delay_notified},
                                         kStorageTimeout);
        if (!done && done.error().is_temporary()) co_return std::unexpected(done.error());
    }
    look_again();
    co_return affected;
}

async::Task<Result<proto::QueueAffected>> Scheduler::drop(proto::QueueDrop request) {
    auto found = co_await matching(std::move(request.filter));
    if (!found) co_return std::unexpected(found.error());
    proto::QueueRemove remove;
    for (const auto& entry : *found) remove.ids.push_back(entry.id);
    proto::QueueAffected affected{remove.ids.size()};
    if (remove.ids.empty()) co_return affected;
    std::set<uint64_t> ids(remove.ids.begin(), remove.ids.end());
    auto done = co_await peers_.storage.call(std::move(remove), kStorageTimeout);
    if (!done) co_return std::unexpected(done.error());
    std::erase_if(waiting_, [&](const auto& w) { return ids.contains(w.entry.id); });
    for (const auto& [id, update] : running_) {
        if (ids.contains(id)) dropped_.insert(id);
    }
    for (const auto& entry : *found)
        log::info("dropped from the queue by an admin",
                  {{"id", entry.id}, {"from", entry.mail_from}, {"to", entry.recipient}});
    look_again();
    co_return affected;
}

}  // namespace mox::queued
