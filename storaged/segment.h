// The form of a segment of the index of words: blocks of sorted words, and beside each block where its words stand.
//
// Pure functions over bytes; text_index.h keeps them in the database. The words of a block lie one behind the other,
// each between NULs, so that looking for a piece of a word is a scan for bytes; the posting lists are read only for
// words that were found. A posting list is, for each combination of classes in which the word stands, the ascending
// numbers of the contents. Each blob carries a hash of itself: what the disk has damaged is noticed (Damaged), and what
// passes it is still read with every bound checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/words.h"

namespace mox::storaged {

/// A blob of a segment that is not as it was written.
class Damaged : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Bytes with their hash in front, and the other way round.
std::string seal(std::string_view bytes);
std::string_view unseal(std::string_view sealed);

/// Ascending numbers, packed.
std::string pack_numbers(std::span<const uint64_t> numbers);
std::vector<uint64_t> unpack_numbers(std::string_view packed);

/// Numbers of seven bits a byte.
void put_number(std::string& out, uint64_t number);
uint64_t take_long_number(std::string_view& in);
inline uint64_t take_number(std::string_view& in) {
    if (in.empty() || static_cast<unsigned char>(in.front()) >= 0x80) return take_long_number(in);
    auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    return byte;
}

/// A content in which a word stands, and where.
struct Posting {
    uint64_t content;
    uint8_t classes;
};
/// Appends postings that are ascending by content.
void encode_postings(std::span<const Posting> postings, std::string& out);
/// Appends what is encoded, by classes, then by content.
void decode_postings(std::string_view bytes, std::vector<Posting>& out);
/// Those of an encoded list that stand in one of the classes.
template <class F>
void for_postings(std::string_view bytes, uint8_t classes, F take) {
    while (!bytes.empty()) {
        auto group = static_cast<uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        uint64_t count = take_number(bytes);
        uint64_t content = 0;
        bool wanted = (group & classes) != 0;
        for (; count > 0; count--) {
            content += take_number(bytes);
            if (wanted) take(content);
        }
    }
}

/// A block as it is stored, sealed.
struct Block {
    std::string first;  // its first word
    std::string words;
    std::string postings;
};

/// Makes blocks of words that come in order.
class BlockWriter {
  public:
    void add(std::string_view word, std::string_view postings);
    bool is_full() const { return words_.size() >= kMaxWords || lists_.size() >= kMaxPostings; }
    bool is_empty() const { return count_ == 0; }
    const std::string& last() const { return last_; }
    /// What was added since the last one.
    Block finish();

  private:
    static constexpr size_t kMaxWords = 32u << 10;      // bytes
    static constexpr size_t kMaxPostings = 256u << 10;  // bytes
    std::string first_;
    std::string last_;
    std::string words_;
    std::string lengths_;
    std::string lists_;
    size_t count_ = 0;
};

/// Walks the words of a block with their postings.
class BlockReader {
  public:
    /// Sealed blobs. Throws Damaged, here and in next().
    BlockReader(std::string_view words, std::string_view postings);
    struct Item {
        std::string_view word;
        std::string_view postings;
    };
    std::optional<Item> next();

  private:
    std::string_view words_;
    std::string_view lengths_;
    std::string_view lists_;
    uint64_t left_;
};

/// The words of a block that have a piece, as their positions, ascending.
std::vector<uint32_t> find_in_block(std::string_view sealed_words, const mail::QueryPiece& piece);
/// Gives the posting lists of those.
template <class F>
void for_lists(std::string_view sealed_postings, std::span<const uint32_t> positions, F take) {
    std::string_view lengths = unseal(sealed_postings);
    uint64_t count = take_number(lengths);
    std::string_view lists = lengths;
    if (count > lists.size()) throw Damaged("postings");
    for (uint64_t i = 0; i < count; i++) take_number(lists);
    uint32_t at = 0;
    for (uint32_t position : positions) {
        if (position >= count) throw Damaged("postings");
        uint64_t length = 0;
        for (;; at++) {
            length = take_number(lengths);
            if (length > lists.size()) throw Damaged("postings");
            if (at == position) break;
            lists.remove_prefix(length);
        }
        take(lists.substr(0, length));
        lists.remove_prefix(length);
        at++;
    }
}

}  // namespace mox::storaged
