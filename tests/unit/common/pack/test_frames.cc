#include <cstring>

#include "common/pack/frames.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/pack/hex.h"

using namespace mox::pack;
using mox::pack::test::from_hex;

namespace {

constexpr uint64_t kContent = 4711;

/// Text of which no two places are the same.
std::string text_of(size_t size) {
    std::string text;
    for (size_t line = 0; text.size() < size; line++) text += "line " + std::to_string(line) + " of a long letter\r\n";
    text.resize(size);
    return text;
}

std::string file_of(std::string_view message) {
    FrameWriter writer(kContent);
    std::string file;
    for (size_t at = 0; at < message.size(); at += kFrameContent) file += writer.add(message.substr(at, kFrameContent));
    file += writer.finish();
    CHECK(writer.size() == message.size());
    CHECK(writer.stored() == file.size());
    return file;
}

FrameReader::ReadAt bytes_of(const std::string& file) {
    return [&file](uint64_t offset, std::span<char> into) {
        if (offset + into.size() > file.size()) return false;
        std::memcpy(into.data(), file.data() + offset, into.size());
        return true;
    };
}

/// What can be read, up to the first place that cannot.
std::string read_all(FrameReader& reader, size_t piece) {
    std::string out;
    std::string bytes(piece, '\0');
    for (;;) {
        size_t n = reader.read(out.size(), bytes);
        if (n == 0) return out;
        out.append(bytes, 0, n);
    }
}

}  // namespace

TEST_CASE("a large message is read back from its frames, from any place") {
    for (size_t size : {size_t{1}, kFrameContent - 1, kFrameContent, kFrameContent + 1, 5 * kFrameContent + 777}) {
        std::string message = text_of(size);
        std::string file = file_of(message);
        auto reader = FrameReader::open(bytes_of(file), file.size());
        REQUIRE(reader);
        CHECK(reader->size() == size);
        CHECK(reader->content() == kContent);
        CHECK(reader->is_whole(0, size));
        CHECK(reader->is_as_written());
        CHECK(read_all(*reader, 10000) == message);
        for (uint64_t at : {size - 1, size / 2, size / 3, uint64_t{0}}) {
            std::string piece(100, '\0');
            piece.resize(reader->read(at, piece));
            CHECK(!piece.empty());
            CHECK(piece == message.substr(at, piece.size()));
        }
        char byte = 0;
        CHECK(reader->read(size, {&byte, 1}) == 0);
        CHECK(reader->read(UINT64_MAX, {&byte, 1}) == 0);
    }
}

TEST_CASE("a file that is damaged gives fewer bytes, never wrong ones") {
    std::string message = text_of(3 * kFrameContent + 100);
    std::string file = file_of(message);
    for (size_t at = 0; at < file.size(); at += 1 + at / 50) {
        std::string damaged = file;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        INFO("byte " << at);
        auto reader = FrameReader::open(bytes_of(damaged), damaged.size());
        if (!reader) continue;
        std::string got = read_all(*reader, kFrameContent);
        CHECK(message.starts_with(got));
        bool in_head = at >= file.size() - 48 - 4 * 12 - 8;  // of the skippable frame, which is for other decoders
        CHECK((got.size() == message.size()) == in_head);
        CHECK(reader->is_whole(0, message.size()) == in_head);
        CHECK(reader->is_as_written() == in_head);
        if (!in_head) CHECK(reader->is_whole(got.size(), kFrameContent) == false);
    }
}

TEST_CASE("a frame of another message, or of another place, is noticed") {
    std::string message = text_of(kFrameContent) + text_of(kFrameContent);
    std::string file = file_of(message);
    FrameWriter other(kContent);
    size_t length = other.add(text_of(kFrameContent)).size();
    // The tables agree in all but the checksums, which depend on the place.
    CHECK(file.compare(0, length, file, length, length) == 0);
    FrameWriter another(kContent + 1);
    another.add(text_of(kFrameContent));
    another.add(text_of(kFrameContent));
    std::string end = another.finish();
    std::string entries = file.substr(file.size() - 48 - 2 * 12, 2 * 12);
    CHECK(entries.substr(4, 8) != entries.substr(16, 8));
    CHECK(end.substr(8, 24).substr(4, 8) != entries.substr(4, 8));
}

TEST_CASE("what is no such file is not taken for one") {
    std::string message = text_of(2 * kFrameContent);
    std::string file = file_of(message);
    CHECK_FALSE(FrameReader::open(bytes_of(file), file.size() - 1));
    CHECK_FALSE(FrameReader::open(bytes_of(file), file.size() + 1));
    CHECK_FALSE(FrameReader::open(bytes_of(file), 10));
    CHECK_FALSE(FrameReader::open(bytes_of(file), UINT64_MAX));
    std::string longer = "x" + file;
    CHECK_FALSE(FrameReader::open(bytes_of(longer), longer.size()));
    std::string zeros(100000, '\0');
    CHECK_FALSE(FrameReader::open(bytes_of(zeros), zeros.size()));
}

TEST_CASE("the form on disk stays as it is: a file of the first version is read") {
    std::string file = from_hex(
        "28b52ffd603e022d0400a4036c696e652030206f662061206c65747465720d0a31323334"
        "353637383931313131313131313132323232323232323232333333333333333333332820"
        "80a3d2039dd09766b4a08f6669a10fcd68411fcdd0421fcdd2421f9ad1327d5569469596"
        "a9f449a559545aa0d2f794664e69694a03d37709934872129688e4129648cfebaec8045d"
        "2a4d183c0000008f000000ee1868d62dbaa93e7a6d78660000020001000000000000003e"
        "030000000000002a0000000000000098aee585703a91d414fec1d53677e975");
    std::string message;
    for (int i = 0; i < 40; i++) message += "line " + std::to_string(i) + " of a letter\r\n";
    auto reader = FrameReader::open(bytes_of(file), file.size());
    REQUIRE(reader);
    CHECK(reader->content() == 42);
    CHECK(read_all(*reader, 1000) == message);
    CHECK(reader->is_as_written());
}

TEST_CASE("a third has to be saved") {
    CHECK(saves_enough(300, 200));
    CHECK_FALSE(saves_enough(300, 201));
}
