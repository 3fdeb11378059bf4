// Words: of a message as a search sees it, and lists and segments of the index as they may come from elsewhere. The
// first byte says which; for messages, the rest up to a NUL is looked for in what lies behind it, and the words must
// never say other than the texts.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/mail/fold_case.h"
#include "common/mail/mime_parser.h"
#include "common/mail/utf8.h"
#include "common/mail/words.h"
#include "storaged/segment.h"

using namespace mox;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

struct Finder : mail::TextSink {
    std::string text;  // what is looked for
    std::string seen;
    bool found = false;
    void begin_text() override { seen.clear(); }
    void add_text(std::string_view piece) override {
        seen += piece;
        found |= mail::fold_case(seen).find(text) != std::string::npos;
    }
};

bool has_piece(std::string_view list, const mail::QueryPiece& piece) {
    mail::WordListReader reader(list);
    while (auto word = reader.next())
        if ((word->classes & mail::kInBody) != 0 && mail::matches(piece, word->text)) return true;
    return false;
}

void read_message(std::string_view input) {
    auto end = std::min(input.find('\0'), input.size());
    Finder finder;
    finder.text = mail::fold_case(input.substr(0, end));
    std::string_view message = input.substr(std::min(end + 1, input.size()));
    mail::ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
        return offset < message.size() ? message.copy(into.data(), into.size(), offset) : 0;
    };
    auto info = mail::parse_message(message);
    auto list = mail::word_list({info, read});
    require(mail::is_word_list(list) && list.size() <= mail::kMaxWordList);
    if (finder.text.empty() || !mail::is_utf8(finder.text)) return;
    for (uint32_t part = 0; part < info.parts.size(); part++) mail::read_part_text({info, read}, part, finder);
    auto query = mail::split_query(finder.text);
    bool all = !query.pieces.empty();
    for (const auto& piece : query.pieces) all = all && has_piece(list, piece);
    if (all && query.is_exact) require(finder.found);
    if (!all && !query.pieces.empty() && mail::WordListReader(list).is_complete()) require(!finder.found);
}

void read_segment(std::string_view input) {
    auto half = input.size() / 2;
    // Damage that has the right hash.
    std::string words = storaged::seal(input.substr(0, half));
    std::string postings = storaged::seal(input.substr(half));
    try {
        storaged::BlockReader reader(words, postings);
        std::vector<storaged::Posting> decoded;
        while (auto item = reader.next()) storaged::decode_postings(item->postings, decoded);
    } catch (const storaged::Damaged&) {
    }
    try {
        uint64_t sum = 0;
        for (auto mode : {mail::PieceMode::within, mail::PieceMode::whole}) {
            auto found = storaged::find_in_block(words, {"a", mode});
            storaged::for_lists(postings, found, [&](std::string_view list) {
                storaged::for_postings(list, 1, [&](uint64_t content) { sum += content; });
            });
        }
    } catch (const storaged::Damaged&) {
    }
    try {
        auto numbers = storaged::unpack_numbers(input);
        require(storaged::unpack_numbers(storaged::pack_numbers(numbers)) == numbers);
    } catch (const storaged::Damaged&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] == 'l' && mail::is_word_list(input)) {
        mail::WordListReader reader(input);
        while (auto word = reader.next()) require(!word->text.empty() && word->classes != 0);
        require(mail::join_word_lists(input, input).empty() || mail::is_word_list(mail::join_word_lists(input, input)));
    }
    if (data[0] == 's') read_segment(input);
    if (data[0] == 'm') read_message(input);
    return 0;
}
