// What is done to a store while calls are recorded, and what has to be true of any image of the disk made up from them.
//
// Actors do one step after the other; each step that was answered is noted with the number of calls made by then. In an
// image of the first n calls an actor is where its last answered step before n left it, or one step further: that one
// may have happened or not, but never by half.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/replacing.h"
#include "tests/unit/storaged/world.h"

namespace mox::crash {

/// What an actor's steps lead to, step 0 being before anything.
struct Actor {
    std::string text;              // of its message
    std::vector<Places> alice;     // after each step
    std::vector<size_t> bob;       // copies that bob has
    std::vector<size_t> answered;  // calls made when the step was answered, from step 1 on
    size_t steps_before(size_t calls) const;
};

struct Workload {
    std::vector<Actor> actors;
    std::vector<size_t> mailbox_answered;  // of the actor that makes, renames and deletes mailboxes
    std::vector<size_t> carol_answered;    // of the one whose account is replaced (replacing.h)
};

struct Plan {
    unsigned seed = 1;
    size_t actors = 24;  // at most 200
    /// Called when all is set up, before the first step.
    std::function<void()> begin = {};
    /// Called behind the last step, before the store is closed.
    std::function<void(storaged::test::World&)> end = {};
    /// Gets a byte for each step that is answered: which actor's; the number of actors for the mailboxes, and one more
    /// for carol. Survives when the process does not.
    int progress = -1;
};

/// Small segments, so that everything about the journal happens often.
storaged::Options options();
/// The actors, and no step answered.
Workload make_workload(const Plan& plan);
/// Runs them in the working directory. An actor ends when a step fails.
Workload run_workload(const Plan& plan);
/// A workload of which so much was answered, whenever that was.
Workload answered_workload(const Plan& plan, std::string_view progress);
/// One more delivery, of a message that check_image() does not count.
std::optional<Error> deliver_afterwards(storaged::test::World& w);
/// Messages that were delivered to alice between two crashes.
struct Later {
    std::vector<size_t> answered;  // calls made by then
    size_t calls = 0;              // up to the second crash
};
/// Opens all stores in the working directory, which puts right what a crash left, delivers so many messages, and closes
/// them.
std::vector<size_t> recover(size_t deliveries);
/// Opens the store in the working directory and compares: an empty text when all is as it has to be.
std::string check_image(const Workload& workload, size_t calls, const Later& later = {});
/// What has to be true of any store: rows, files, counters, indexes. An empty text when it is.
std::string check_store();

}  // namespace mox::crash
