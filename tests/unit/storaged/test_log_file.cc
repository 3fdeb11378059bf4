#include <fstream>
#include <iterator>

#include "storaged/sql.h"
#include "tests/unit/storaged/world.h"

using namespace mox;
using namespace mox::storaged;
using namespace mox::storaged::test;

namespace {

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a commit that is not durable stays out of the file, however late the one before is settled") {
    TemporaryDirectory directory;
    Journal journal({});
    Database db("some.db", journal);
    db.execute("CREATE TABLE t (a)");
    LogFile::Taken first = db.log()->take();
    db.log()->settle();  // by the strand, which goes on at once
    db.execute("INSERT INTO t VALUES (1)");
    LogFile::Taken second = db.log()->take();
    std::string before = bytes_of("some.db-wal");
    REQUIRE(before.ends_with(*first.bytes));
    db.log()->settle(first.bytes);  // by the journal's thread, which was late
    CHECK(bytes_of("some.db-wal") == before);
    db.log()->settle(second.bytes);
    CHECK(bytes_of("some.db-wal") == before + *second.bytes);
}
