// The words of a message, as the index of a mail store has them, and what a search for a text asks of them.
//
// Words are what stands between separators in the texts of message_text.h, with their case folded. What is a separator
// is decided character by character, so a text that is searched for falls into pieces in the same way wherever it
// stands: a message that holds it has a word for each of its pieces. The reverse is true of a text that is one piece.
// Scripts that set no blanks between words are taken apart into pairs of characters. Long words become pieces that
// overlap: any kMaxPiece bytes of them lie whole in one.
//
// A word list travels as bytes: version, flags, then for each word the classes it was found in, its length and its
// bytes. It is bounded, and marked incomplete when something of the message is not in it: then it can say yes, but not
// no. Whoever receives one checks it with is_word_list().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/message_text.h"

namespace mox::mail {

/// Where in a message a word stands, as bits. TEXT searches body and header.
enum WordClass : uint8_t {
    kInBody = 1,    // text parts, and headers of embedded messages
    kInHeader = 2,  // fields of the message's header, with their names
    kInSubject = 4,
    kInFrom = 8,
    kInTo = 16,
    kInCc = 32,
    kInBcc = 64,
    kAllClasses = 127
};

constexpr size_t kMaxWord = 64;                     // bytes
constexpr size_t kMaxPiece = 28;                    // bytes of a word that are found wherever they stand in it
constexpr size_t kMaxWords = 20'000;                // of a message
constexpr size_t kMaxWordBytes = 128u << 10;        // of a message
constexpr size_t kMaxWordText = 1u << 20;           // bytes of text of a message that are taken apart
constexpr size_t kMaxWordHeader = 512u << 10;       // bytes of a header that are
constexpr size_t kMaxQueryText = 1000;              // bytes that are searched for
constexpr size_t kMaxQueryPieces = 16;              // of a query that are looked for
constexpr size_t kMaxWordList = 2 * kMaxWordBytes;  // bytes of an encoded list, also of one that was joined

/// The words of a message that `source` gives. Costs some 10 ns a byte of text.
std::string word_list(const TextSource& source);
/// The same of a message on its way in: `content` has read(), as an incoming::Content.
template <class Content>
std::string word_list_of(const Content& content, const MessageInfo& info) {
    ReadAt read = [&content](uint64_t offset, std::span<char> into) { return content.read(offset, into); };
    return word_list({info, read});
}
/// The words of header lines that stand in front of a message.
std::string header_word_list(std::string_view header);
/// Both as one; empty (nothing is known) when one of them is or when it would be too large.
std::string join_word_lists(std::string_view a, std::string_view b);

struct Word {
    std::string_view text;
    uint8_t classes = 0;
};
/// Walks a list that is_word_list().
class WordListReader {
  public:
    explicit WordListReader(std::string_view list);
    bool is_complete() const { return complete_; }
    std::optional<Word> next();

  private:
    std::string_view rest_;
    bool complete_;
};
/// Whether the bytes are a word list of this version: every length, class and bound.
bool is_word_list(std::string_view bytes);

/// How a piece of what is searched for stands in a word.
enum class PieceMode : uint8_t { whole, begins, ends, within, kEnd };
struct QueryPiece {
    std::string text;
    PieceMode mode;

    friend bool operator==(const QueryPiece&, const QueryPiece&) = default;
};
/// Words that a message has which holds the text. None: words cannot tell.
struct WordQuery {
    std::vector<QueryPiece> pieces;
    bool is_exact = false;  // a message that has them holds the text
};
/// `folded` is folded text, `name` the name of the header field it is in, if that is asked for.
WordQuery split_query(std::string_view folded, std::string_view name = {});
bool matches(const QueryPiece& piece, std::string_view word);

/// What a character is in a text.
enum class CharacterKind : uint8_t { separator, letter, dense, kEnd };

/// Collects the distinct words of texts. Memory is bounded as the list is.
class WordCollector : public TextSink {
  public:
    WordCollector();
    /// Where the next texts stand.
    void use(WordClass where) {
        end_run();
        class_ = where;
    }
    void begin_text() override { end_run(); }
    void add_text(std::string_view piece) override;
    bool has_enough() const override { return full_; }
    /// Something is left out.
    void mark_incomplete() { complete_ = false; }
    /// The list; the collector is used up.
    std::string finish();

  private:
    struct Entry {
        uint64_t head;  // its first bytes
        uint32_t offset;
        uint32_t hash;
        uint8_t length;
        uint8_t classes;
    };
    size_t take_ascii(const char* text, size_t size);
    void take_run(std::string_view run, CharacterKind kind, bool ends_here);
    void take_letters(std::string_view run, bool ends_here);
    void take_dense(std::string_view run);
    void end_run();
    void add_word(std::string_view word);
    void add_word(std::string_view word, uint64_t head);
    void add_entry(std::string_view word, uint64_t head, uint32_t hash, size_t slot);
    void grow();

    uint8_t class_ = kInBody;
    bool complete_ = true;
    bool full_ = false;
    size_t text_ = 0;  // bytes taken
    std::string folded_;
    CharacterKind kind_ = CharacterKind::separator;
    std::string run_;         // the run that has not ended; of a dense script its last character
    size_t dense_count_ = 0;  // characters of that run
    std::string bytes_;       // of the words, one behind the other
    std::vector<Entry> entries_;
    std::vector<uint32_t> table_;  // by hash, an entry's number and one; its size is a power of two
};

}  // namespace mox::mail
