// The words that a junk filter counts: which, where, and that their numbers are always the same.
#include <algorithm>
#include <fmt/format.h>

#include "common/mail/junk_words.h"
#include "common/mail/mime_parser.h"
#include "common/mail/words.h"
#include "tests/unit/catch.h"

using namespace mox::mail;

namespace {

std::vector<uint64_t> words_of(std::string_view text) {
    ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
        return offset < text.size() ? text.copy(into.data(), into.size(), offset) : 0;
    };
    auto info = parse_message(text);
    return junk_words(word_list({info, read}));
}

bool has_all(const std::vector<uint64_t>& words, const std::vector<uint64_t>& of) {
    return std::ranges::includes(words, of);
}

}  // namespace

TEST_CASE("words of the text, of Subject and of From are counted, each by its place") {
    auto body = words_of("\r\ncheap watches\r\n");
    CHECK(body.size() == 2);
    CHECK(words_of("\r\nWatches, CHEAP watches!\r\n") == body);
    auto subject = words_of("Subject: cheap watches\r\n\r\n");
    CHECK(subject.size() == 2);
    CHECK_FALSE(has_all(subject, body));
    auto both = words_of("Subject: cheap watches\r\n\r\ncheap watches\r\n");
    CHECK(both.size() == 4);
    CHECK((has_all(both, body) && has_all(both, subject)));
    CHECK(words_of("From: cheap@watches.example\r\n\r\n").size() == 3);
    CHECK(words_of("Received: cheap watches\r\nTo: cheap@watches.example\r\n\r\n").empty());
}

TEST_CASE("what tells nothing is left out") {
    CHECK(words_of("\r\nit is 12345 or so\r\n").empty());
    CHECK(words_of("\r\n" + std::string(60, 'x') + "\r\n").empty());
    CHECK(words_of("").empty());
}

TEST_CASE("of many words the same ones are chosen, in order") {
    std::string text = "\r\n";
    for (int i = 0; i < 3000; i++) text += fmt::format("word{} ", i);
    auto many = words_of(text + "\r\n");
    REQUIRE(many.size() == kMaxJunkWords);
    CHECK(std::ranges::is_sorted(many, std::ranges::less_equal{}));
    std::string half = "\r\n";
    for (int i = 0; i < 1500; i++) half += fmt::format("word{} ", i);
    std::vector<uint64_t> common;
    std::ranges::set_intersection(many, words_of(half + "\r\n"), std::back_inserter(common));
    CHECK(common.size() > 400);
}

TEST_CASE("numbers are on disk: they never change") {
    CHECK(words_of("\r\nviagra\r\n") == std::vector<uint64_t>{14429433810119702726u});
}
