#include "storaged/segment.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <xxhash.h>

namespace mox::storaged {
namespace {

constexpr size_t kHash = sizeof(uint64_t);
constexpr char kEnd = '\0';  // between words

/// What a piece looks like between the words of a block.
std::string pattern_of(const mail::QueryPiece& piece) {
    using Mode = mail::PieceMode;
    bool begins = piece.mode == Mode::begins || piece.mode == Mode::whole;
    bool ends = piece.mode == Mode::ends || piece.mode == Mode::whole;
    return (begins ? std::string(1, kEnd) : std::string()) + piece.text + (ends ? std::string(1, kEnd) : std::string());
}

/// Whether the block's words can have the piece at all, as they are sorted.
bool may_have(std::string_view words, const mail::QueryPiece& piece) {
    using Mode = mail::PieceMode;
    if (piece.mode != Mode::begins && piece.mode != Mode::whole) return true;
    std::string_view first = words.substr(1, words.find(kEnd, 1) - 1);
    std::string_view last = words.substr(words.rfind(kEnd, words.size() - 2) + 1);
    last.remove_suffix(1);
    std::string_view text = piece.text;
    return first.substr(0, text.size()) <= text && text <= last;
}

char* write_number(char* at, uint64_t number) {
    while (number >= 0x80) {
        *at++ = static_cast<char>(number | 0x80);
        number >>= 7;
    }
    *at++ = static_cast<char>(number);
    return at;
}

}  // namespace

std::string seal(std::string_view bytes) {
    uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
    std::string sealed(kHash, '\0');
    std::memcpy(sealed.data(), &hash, kHash);
    sealed += bytes;
    return sealed;
}

std::string_view unseal(std::string_view sealed) {
    uint64_t hash = 0;
    if (sealed.size() < kHash) throw Damaged("short");
    std::memcpy(&hash, sealed.data(), kHash);
    sealed.remove_prefix(kHash);
    if (XXH3_64bits(sealed.data(), sealed.size()) != hash) throw Damaged("wrong hash");
    return sealed;
}

void put_number(std::string& out, uint64_t number) {
    std::array<char, 10> bytes;
    out.append(bytes.data(), write_number(bytes.data(), number));
}

uint64_t take_long_number(std::string_view& in) {
    uint64_t number = 0;
    for (unsigned shift = 0; !in.empty() && shift < 64; shift += 7) {
        auto byte = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        number |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return number;
    }
    throw Damaged("a number that does not end");
}

std::string pack_numbers(std::span<const uint64_t> numbers) {
    std::string packed;
    put_number(packed, numbers.size());
    uint64_t before = 0;
    for (uint64_t number : numbers) {
        put_number(packed, number - before);
        before = number;
    }
    return packed;
}

std::vector<uint64_t> unpack_numbers(std::string_view packed) {
    uint64_t count = take_number(packed);
    if (count > packed.size()) throw Damaged("too many numbers");
    std::vector<uint64_t> numbers(count);
    uint64_t number = 0;
    for (uint64_t& n : numbers) {
        uint64_t step = take_number(packed);
        if (step == 0 || number + step < number) throw Damaged("numbers that do not ascend");
        n = number += step;
    }
    if (!packed.empty()) throw Damaged("bytes behind the numbers");
    return numbers;
}

void encode_postings(std::span<const Posting> postings, std::string& out) {
    std::array<bool, mail::kAllClasses + 1> done{};
    for (const Posting& first : postings) {
        if (done[first.classes]) continue;
        done[first.classes] = true;
        auto count = static_cast<size_t>(std::ranges::count(postings, first.classes, &Posting::classes));
        constexpr size_t kLongest = 10;  // bytes of a number
        size_t size = out.size();
        out.resize_and_overwrite(size + 1 + (count + 1) * kLongest, [&](char* bytes, size_t) {
            char* at = bytes + size;
            *at++ = static_cast<char>(first.classes);
            at = write_number(at, count);
            uint64_t before = 0;
            for (const Posting& posting : postings) {
                if (posting.classes != first.classes) continue;
                at = write_number(at, posting.content - before);
                before = posting.content;
            }
            return static_cast<size_t>(at - bytes);
        });
    }
}

void decode_postings(std::string_view bytes, std::vector<Posting>& out) {
    while (!bytes.empty()) {
        auto classes = static_cast<uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        if (classes == 0 || classes > mail::kAllClasses) throw Damaged("unknown classes");
        uint64_t count = take_number(bytes);
        if (count > bytes.size()) throw Damaged("too many postings");
        uint64_t content = 0;
        for (; count > 0; count--) {
            content += take_number(bytes);
            out.push_back({content, classes});
        }
    }
}

void BlockWriter::add(std::string_view word, std::string_view postings) {
    if (count_++ == 0) {
        first_ = word;
        words_ = kEnd;
    }
    last_ = word;
    words_ += word;
    words_ += kEnd;
    put_number(lengths_, postings.size());
    lists_ += postings;
}

Block BlockWriter::finish() {
    std::string postings;
    put_number(postings, count_);
    postings += lengths_;
    postings += lists_;
    Block block{std::move(first_), seal(words_), seal(postings)};
    words_.clear();
    lengths_.clear();
    lists_.clear();
    count_ = 0;
    return block;
}

BlockReader::BlockReader(std::string_view words, std::string_view postings)
    : words_(unseal(words)), lengths_(unseal(postings)), left_(take_number(lengths_)) {
    if (words_.size() < 3 || words_.front() != kEnd || words_.back() != kEnd) throw Damaged("words");
    words_.remove_prefix(1);
    lists_ = lengths_;
    if (left_ > lists_.size()) throw Damaged("postings");
    for (uint64_t i = 0; i < left_; i++) take_number(lists_);
}

std::optional<BlockReader::Item> BlockReader::next() {
    if (words_.empty() != (left_ == 0)) throw Damaged("words without postings");
    if (left_ == 0) return std::nullopt;
    left_--;
    Item item;
    item.word = words_.substr(0, words_.find(kEnd));
    words_.remove_prefix(item.word.size() + 1);
    uint64_t length = take_number(lengths_);
    if (length > lists_.size()) throw Damaged("postings");
    item.postings = lists_.substr(0, length);
    lists_.remove_prefix(length);
    return item;
}

std::vector<uint32_t> find_in_block(std::string_view sealed_words, const mail::QueryPiece& piece) {
    std::vector<uint32_t> found;
    std::string_view words = unseal(sealed_words);
    if (words.size() < 3 || words.front() != kEnd || words.back() != kEnd) throw Damaged("words");
    if (!may_have(words, piece)) return found;
    std::string pattern = pattern_of(piece);
    size_t inside = pattern.front() == kEnd ? 1 : 0;
    uint32_t position = 0;
    size_t counted = 0;  // up to here, ends of words
    for (size_t from = 0; from < words.size();) {
        const void* hit = memmem(words.data() + from, words.size() - from, pattern.data(), pattern.size());
        if (hit == nullptr) break;
        size_t at = static_cast<size_t>(static_cast<const char*>(hit) - words.data()) + inside;
        auto begin = words.begin();
        position += static_cast<uint32_t>(
            std::count(begin + static_cast<ptrdiff_t>(counted), begin + static_cast<ptrdiff_t>(at), kEnd));
        counted = at;
        found.push_back(position - 1);
        from = words.find(kEnd, at);
    }
    return found;
}

}  // namespace mox::storaged
