#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <future>
#include <iterator>
#include <random>
#include <set>
#include <sys/wait.h>
#include <xxhash.h>

#include "storaged/journal.h"
#include "storaged/journal_format.h"
#include "storaged/replay.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged::test;

namespace {

/// Delivers, flags, moves and expunges as fast as it can, and writes down what was acknowledged.
async::Task<void> deliver_for_ever(World& w, std::string prefix, int log) {
    for (size_t i = 0;; i++) {
        auto file = co_await w.smtpd->call(proto::CreateSpool{}, async::in(30s));
        if (!file) co_return;
        std::string text = prefix + std::to_string(i);
        if (write(file->file.get(), text.data(), text.size()) < 0) co_return;
        file->file.reset();
        proto::Deliver request{file->spool, World::facts(text), {}};
        request.targets.push_back({"alice", "", ""});
        request.targets.push_back({"bob", "", ""});
        auto outcomes = co_await w.smtpd->call(std::move(request), async::in(30s));
        if (!outcomes || outcomes->targets[0].error || outcomes->targets[1].error) co_return;
        // One write of a short line: whole or not at all.
        std::string line = text + "\n";
        if (write(log, line.data(), line.size()) < 0) co_return;
    }
}

[[noreturn]] void run_child(int round, int log) {
    World w;
    async::Scope scope;
    for (int i = 0; i < 8; i++)
        scope.spawn(deliver_for_ever(w, std::to_string(round) + "-" + std::to_string(i) + "-", log));
    w.loop.run();
    _exit(1);
}

std::multiset<std::string> texts_in(World& w, const std::string& account) {
    auto client = w.open(account);
    auto opened = w.call(*client, proto::OpenMailbox{"INBOX"});
    REQUIRE(opened);
    std::multiset<std::string> texts;
    auto rows = rows_of(*opened);
    REQUIRE(opened->mailbox.messages == rows.size());
    for (size_t i = 0; i < rows.size(); i += 16) {
        std::vector<proto::Uid> uids;
        for (size_t k = i; k < std::min(i + 16, rows.size()); k++) uids.push_back({rows[k].uid});
        auto files = w.call(*client, proto::OpenMessages{opened->mailbox.id, uids});
        REQUIRE(files);
        REQUIRE(files->messages.size() == uids.size());
        for (const auto& message : files->messages) texts.insert(text_of(message));
    }
    return texts;
}

}  // namespace

TEST_CASE("after kill -9 at any moment, what was acknowledged is there exactly once") {
    TemporaryDirectory directory;
    int log = open("../mox-storaged-acknowledged", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    REQUIRE(log >= 0);
    unlink("../mox-storaged-acknowledged");
    std::mt19937 random(7);
    for (int round = 0; round < 12; round++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) run_child(round, log);
        usleep(static_cast<useconds_t>(20000 + random() % 300000));
        kill(child, SIGKILL);
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
    }
    std::string lines(1u << 24, '\0');
    ssize_t n = pread(log, lines.data(), lines.size(), 0);
    REQUIRE(n > 0);
    lines.resize(static_cast<size_t>(n));
    close(log);
    World w;
    for (const char* account : {"alice", "bob"}) {
        auto texts = texts_in(w, account);
        size_t acknowledged = 0;
        for (size_t at = 0; at < lines.size();) {
            size_t end = lines.find('\n', at);
            if (texts.count(lines.substr(at, end - at)) != 1) FAIL("lost or doubled: " << lines.substr(at, end - at));
            at = end + 1;
            acknowledged++;
        }
        CHECK(acknowledged > 50);
        for (auto text = texts.begin(); text != texts.end(); text++) CHECK(texts.count(*text) == 1);
        // Files and rows agree.
        w.settle();
        CHECK(w.stored(account) == texts.size());
    }
    CHECK(count_files("spool") == 0);
}

TEST_CASE("the journal reads what it may write, and tells a record of another version from its end") {
    using storaged::EntryKind;
    constexpr uint64_t kSeed = 0x1234567890abcdef;
    storaged::RecordWriter writer(kSeed);
    writer.begin(7);
    for (const char* path : {"accounts/a/index.db-wal", "restore/1/index.db-wal", "removed/a.1700000000/index.db-wal"})
        writer.add({EntryKind::forget, path, 0, {}});
    std::string bytes = storaged::segment_header(7, 1, kSeed) + std::string(writer.finish());
    auto segment = storaged::parse_segment(bytes);
    REQUIRE(segment.records.size() == 1);
    CHECK(segment.records[0].entries.size() == 3);
    CHECK_FALSE(segment.is_unreadable);

    constexpr size_t kHead = 24;
    char* record = bytes.data() + storaged::kJournalBlock;
    uint32_t size = 0;
    std::memcpy(&size, record + 4, sizeof size);
    record[kHead] = 99;  // a kind that is unknown
    CHECK(storaged::parse_segment(bytes).records.empty());
    CHECK_FALSE(storaged::parse_segment(bytes).is_unreadable);  // torn, for all that can be told
    uint64_t checksum = XXH3_64bits_withSeed(record + kHead, size, 7 + kSeed);
    std::memcpy(record + 16, &checksum, sizeof checksum);
    CHECK(storaged::parse_segment(bytes).records.empty());
    CHECK(storaged::parse_segment(bytes).is_unreadable);
}

TEST_CASE(
    "a record that was made up by who does not know the segment's number is none; the first version has no number") {
    storaged::RecordWriter writer(0);
    writer.begin(7);
    writer.add({storaged::EntryKind::forget, "accounts/a/index.db-wal", 0, {}});
    std::string record(writer.finish());
    CHECK(storaged::parse_segment(storaged::segment_header(7, 1, 0) + record).records.size() == 1);
    CHECK(storaged::parse_segment(storaged::segment_header(7, 1, 5) + record).records.empty());

    std::string first("mox journal 1.0\n\7\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0", 32);
    uint64_t checksum = XXH3_64bits_withSeed(first.data(), first.size(), 7);
    first.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    first.resize(storaged::kJournalBlock);
    auto segment = storaged::parse_segment(first + record);
    CHECK(segment.era == 3);
    CHECK(segment.records.size() == 1);
}

TEST_CASE("a journal of a later version ends the start before anything is changed") {
    TemporaryDirectory directory;
    {
        storaged::Journal journal;
    }
    std::string later = storaged::segment_header(7, 1, 5);
    later.replace(0, 16, "mox journal 1.9\n");
    std::ofstream(storaged::journal_segment_path(0), std::ios::binary) << later;
    CHECK_THROWS_AS(storaged::replay_journal(1u << 20), storaged::StoreFailure);
    std::ifstream file(storaged::journal_segment_path(0), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    CHECK(bytes == later);
    // One that is torn is no segment at all.
    later.replace(0, 16, "mox journal 1.1\n");
    std::ofstream(storaged::journal_segment_path(0), std::ios::binary) << later;
    CHECK_NOTHROW(storaged::replay_journal(1u << 20));
}

TEST_CASE("a segment whose first record was cut off does not hide what the next process writes") {
    TemporaryDirectory directory;
    std::filesystem::create_directories("accounts/a/msg/0");
    storaged::JournalOptions options{.segment_size = 128u << 10};
    auto add = [](storaged::Journal& journal, uint64_t file) {
        std::promise<int> done;
        storaged::Journal::Request request;
        request.entries.push_back({storaged::EntryKind::bytes, fmt::format("accounts/a/msg/0/{}", file), 0,
                                   std::make_shared<const std::string>("some bytes")});
        request.done = [&done](int error) { done.set_value(error); };
        journal.submit(std::move(request));
        REQUIRE(done.get_future().get() == 0);
    };
    {
        storaged::Journal journal(options);
        add(journal, 1);
    }
    // That process went over to the other segment, and lost its power when only the header was on disk.
    size_t current = storaged::replay_journal(options.segment_size).newest;
    std::ifstream file(storaged::journal_segment_path(current), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    auto segment = storaged::parse_segment(bytes);
    std::string header = storaged::segment_header(segment.next_sequence(), segment.era, segment.seed);
    // So that the choice by position would be the wrong one.
    REQUIRE(current == 1);
    std::ofstream(storaged::journal_segment_path(0), std::ios::binary) << header << std::string(64u << 10, '\0');
    {
        storaged::Journal journal(options);
        add(journal, 2);
    }
    std::filesystem::remove_all("accounts/a/msg");
    storaged::Journal journal(options);
    CHECK(std::filesystem::file_size("accounts/a/msg/0/2") == 10);
}
