// Thousands of crashes and failures. A workload is recorded once for a seed, then the disk is made up as a kill or a
// loss of power at any moment may leave it, and the store opened on it; and once more when it is cut off while it puts
// things right. Then the workload runs while calls fail as on a full or broken disk.
//
// MOX_CRASH_IMAGES says how many of each (400), MOX_CRASH_SEED with what; MOX_CRASH_AT repeats one:
// calls:percent:seed.
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>

#include "common/log/log.h"
#include "tests/crash/recorder.h"
#include "tests/crash/workload.h"

using namespace mox;
using namespace mox::crash;
using storaged::test::TemporaryDirectory;

namespace {

constexpr const char* kMemory = "/dev/shm";  // images are many, and nothing of them has to last
constexpr unsigned kPercents[] = {100, 0, 50, 10, 90, 0, 100, 30};

unsigned from_environment(const char* name, unsigned otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr ? static_cast<unsigned>(std::strtoul(value, nullptr, 10)) : otherwise;
}

unsigned seed() {
    return from_environment("MOX_CRASH_SEED", 1);
}
unsigned images() {
    return from_environment("MOX_CRASH_IMAGES", 400);
}

struct Point {
    size_t calls = 0;
    Survival survival;
};

/// Recorded once, in this process.
const Workload& recorded_workload() {
    static const Workload workload = [] {
        log::set_level(log::Level::error);
        TemporaryDirectory directory(kMemory);
        Recorder::get().start(directory.path());
        uint64_t compressed = 0;
        Plan plan{.seed = seed()};
        plan.end = [&](storaged::test::World& w) { compressed = w.server->engine().counters.compressed; };
        Workload made = run_workload(plan);
        REQUIRE(compressed > 0);  // so that the images have that too
        Recorder::get().stop();
        REQUIRE(made.carol_answered.size() == carols_steps());
        for (const Actor& actor : made.actors) REQUIRE(actor.answered.size() == actor.alice.size() - 1);
        return made;
    }();
    return workload;
}

/// In a process of its own: a store that ends the process is a result too. Its exit status, 255 for a signal.
template <class Work>
int in_child(Work work) {
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0) std::_Exit(work());
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/// 1 and a line when the store in the working directory is not as it has to be.
int check(const Workload& workload, size_t calls, const std::string& what, const Later& later = {}) {
    return in_child([&] {
        std::string wrong = check_image(workload, calls, later);
        if (wrong.empty()) wrong = check_store();
        if (!wrong.empty()) std::fprintf(stderr, "%s: %s\n", what.c_str(), wrong.c_str());
        return wrong.empty() ? 0 : 1;
    });
}

std::string describe(const Point& point) {
    return fmt::format("after {} calls, {}% of what was not synced (MOX_CRASH_AT={}:{}:{})", point.calls,
                       point.survival.percent, point.calls, point.survival.percent, point.survival.seed);
}

int check_crash(const Workload& workload, const Point& point) {
    TemporaryDirectory directory(kMemory);
    Recorder::get().make_image(directory.path(), point.calls, point.survival);
    return check(workload, point.calls, describe(point));
}

/// A second crash, while what the first left is put right, or soon after it.
int check_two_crashes(const Workload& workload, const Point& point) {
    TemporaryDirectory first(kMemory);
    Recorder& recorder = Recorder::get();
    recorder.make_image(first.path(), point.calls, point.survival);
    return in_child([&] {
        recorder.start(first.path());
        std::mt19937_64 random(point.survival.seed);
        Later later{recover(random() % 4)};
        recorder.stop();
        Point second{random() % (recorder.count() + 1), {kPercents[random() % std::size(kPercents)], random()}};
        TemporaryDirectory again(kMemory);
        recorder.make_image(again.path(), second.calls, second.survival);
        later.calls = second.calls;
        return check(workload, point.calls, describe(point) + ", then " + describe(second), later);
    });
}

/// Runs the points in two processes; how many went wrong.
template <class Check>
size_t check_all(const std::vector<Point>& points, Check check_one) {
    constexpr size_t kAtOnce = 2;
    std::vector<pid_t> parts;
    for (size_t part = 0; part < kAtOnce; part++) {
        std::fflush(nullptr);
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            size_t wrong = 0;
            for (size_t i = part; i < points.size(); i += kAtOnce) wrong += check_one(points[i]) != 0;
            std::_Exit(static_cast<int>(std::min<size_t>(wrong, 254)));
        }
        parts.push_back(child);
    }
    size_t wrong = 0;
    for (pid_t child : parts) {
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        wrong += static_cast<size_t>(WEXITSTATUS(status));
    }
    return wrong;
}

/// One of eight soon after an account was replaced: what that makes durable by itself is durable a little later anyway.
std::vector<Point> random_points(const Workload& workload, size_t calls) {
    std::vector<Point> points;
    if (const char* at = std::getenv("MOX_CRASH_AT")) {
        Point point;
        REQUIRE(std::sscanf(at, "%zu:%u:%lu", &point.calls, &point.survival.percent, &point.survival.seed) == 3);
        Recorder::get().print(point.calls);
        return {point};
    }
    std::mt19937_64 random(seed());
    for (unsigned i = 0; i < images(); i++)
        points.push_back({1 + random() % calls, {kPercents[i % std::size(kPercents)], random()}});
    const std::vector<size_t>& replaced = workload.carol_answered;
    for (size_t i = 1; i < points.size(); i += 8)
        points[i].calls = std::min(replaced[random() % replaced.size()] + random() % 10, calls);
    return points;
}

/// Up to the header of a segment, with and without it, and up to its first record.
std::vector<size_t> calls_that_begin_segments() {
    std::vector<size_t> calls;
    const auto& ops = Recorder::get().ops();
    for (size_t i = 0; i < ops.size(); i++)
        if (ops[i].kind == OpKind::write && ops[i].offset == 0 && ops[i].bytes.starts_with("mox journal"))
            for (size_t more = 0; more < 3; more++) calls.push_back(std::min(i + more, ops.size()));
    REQUIRE_FALSE(calls.empty());
    return calls;
}

// ---- failing calls

struct Failing {
    size_t from;
    size_t count;
    int error;
};

/// What the other end wrote until it was closed.
std::string read_all(int fd) {
    std::string all;
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
    return all;
}

/// The workload while calls fail: 0 when it went on afterwards, 1 when the process ended (a failed sync), 2 when the
/// disk was well again and the store was not.
int run_failing(const Failing& failing, const Plan& plan) {
    int exit_status = 0;
    Plan with_failure = plan;
    Recorder& recorder = Recorder::get();
    with_failure.begin = [&] { recorder.fail_after(failing.from, failing.count, failing.error); };
    with_failure.end = [&](storaged::test::World& w) {
        recorder.fail_after(SIZE_MAX, 0, 0);
        if (deliver_afterwards(w)) exit_status = 2;
    };
    run_workload(with_failure);
    recorder.stop();
    return exit_status;
}

int check_failing(const Failing& failing) {
    TemporaryDirectory directory(kMemory);
    int ends[2];
    if (pipe(ends) != 0) return 1;
    Plan plan{.seed = seed(), .actors = 12, .progress = ends[1]};
    std::string progress;
    int status = in_child([&] {
        // The log is full of expected errors.
        if (freopen("/dev/null", "w", stderr) == nullptr) return 3;
        Recorder::get().start(directory.path());
        return run_failing(failing, plan);
    });
    close(ends[1]);
    progress = read_all(ends[0]);
    close(ends[0]);
    std::string what =
        fmt::format("{} calls from {} on fail with errno {}", failing.count, failing.from, failing.error);
    if (status > 1) {
        std::fprintf(stderr, "%s: %s (%d)\n", what.c_str(), status == 2 ? "it did not heal" : "it crashed", status);
        return 1;
    }
    return check(answered_workload(plan, progress), SIZE_MAX, what);
}

}  // namespace

TEST_CASE("whatever a kill or a loss of power leaves, what was acknowledged is there exactly once") {
    const Workload& workload = recorded_workload();
    size_t calls = Recorder::get().count();
    auto points = random_points(workload, calls);
    std::printf("%zu calls recorded, %zu images\n", calls, points.size());
    CHECK(check_all(points, [&](const Point& point) { return check_crash(workload, point); }) == 0);
}

TEST_CASE("a second crash while the first is put right, or soon after it, loses nothing either") {
    const Workload& workload = recorded_workload();
    auto points = random_points(workload, Recorder::get().count());
    // Where a part of the journal begins there is least in it.
    std::vector<size_t> beginnings = calls_that_begin_segments();
    for (size_t i = 0; i < points.size() && points.size() > 1; i += 4)
        points[i].calls = beginnings[i / 4 % beginnings.size()];
    CHECK(check_all(points, [&](const Point& point) { return check_two_crashes(workload, point); }) == 0);
}

TEST_CASE("a disk that fails loses nothing that was acknowledged, and heals") {
    recorded_workload();
    std::mt19937_64 random(seed());
    std::vector<Point> points;
    size_t calls = Recorder::get().count() / 2;
    for (unsigned i = 0; i < images() / 4; i++) points.push_back({random() % calls, {0, random()}});
    constexpr int kErrors[] = {ENOSPC, EIO, EDQUOT, EROFS};
    constexpr size_t kCounts[] = {1, 3, 20, SIZE_MAX / 2};
    CHECK(check_all(points, [&](const Point& point) {
              uint64_t choice = point.survival.seed;
              return check_failing({point.calls, kCounts[choice % 4], kErrors[choice / 4 % 4]});
          }) == 0);
}
