#include "common/mail/words.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "common/mail/fold_case.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

constexpr char kVersion = 1;
constexpr char kIncomplete = 1;
constexpr size_t kListHead = 2;    // bytes of a list, and of each word, in front of the rest
constexpr size_t kStep = 32;       // between the beginnings of the pieces of a long word
constexpr size_t kMaxRun = 4096;   // bytes of a word kept before it is taken apart
constexpr size_t kMaxProbes = 64;  // in the table: whoever makes words that collide gets an incomplete list
constexpr size_t kPadding = 64;    // bytes that may be read behind a text
constexpr size_t kMaxPairs = 8;    // of a text in a dense script that are looked for

using Kind = CharacterKind;
constexpr Kind kSeparator = Kind::separator;
constexpr Kind kLetters = Kind::letter;
constexpr Kind kDense = Kind::dense;

struct Range {
    char32_t first;
    char32_t last;
    Kind kind;
};
// Of what is not ASCII. What is not named is a letter.
constexpr std::array kRanges = {
    Range{0x80, 0xa9, kSeparator},       Range{0xab, 0xb4, kSeparator},     Range{0xb6, 0xb9, kSeparator},
    Range{0xbb, 0xbf, kSeparator},       Range{0xd7, 0xd7, kSeparator},     Range{0xf7, 0xf7, kSeparator},
    Range{0xe00, 0xfff, kDense},        // Thai, Lao, Tibetan
    Range{0x1000, 0x109f, kDense},      // Myanmar
    Range{0x1780, 0x17ff, kDense},      // Khmer
    Range{0x2000, 0x206f, kSeparator},  // punctuation, blanks
    Range{0x2190, 0x2bff, kSeparator},  // arrows, lines, symbols
    Range{0x2e00, 0x2e7f, kSeparator},   Range{0x2e80, 0x2fff, kDense},     Range{0x3000, 0x3004, kSeparator},
    Range{0x3005, 0x3007, kDense},       Range{0x3008, 0x3020, kSeparator}, Range{0x3021, 0x3029, kDense},
    Range{0x302a, 0x303f, kSeparator},   Range{0x3040, 0x30fa, kDense},     Range{0x30fb, 0x30fb, kSeparator},
    Range{0x30fc, 0x312f, kDense},       Range{0x31f0, 0x31ff, kDense},     Range{0x3400, 0x4dbf, kDense},
    Range{0x4e00, 0x9fff, kDense},       Range{0xe000, 0xf8ff, kSeparator}, Range{0xf900, 0xfaff, kDense},
    Range{0xfe10, 0xfe1f, kSeparator},   Range{0xfe30, 0xfe6f, kSeparator}, Range{0xfeff, 0xfeff, kSeparator},
    Range{0xff00, 0xff0f, kSeparator},   Range{0xff1a, 0xff20, kSeparator}, Range{0xff3b, 0xff40, kSeparator},
    Range{0xff5b, 0xff65, kSeparator},   Range{0xff66, 0xff9f, kDense},     Range{0xfff0, 0xffff, kSeparator},
    Range{0x1f000, 0x1faff, kSeparator},  // emoji
    Range{0x20000, 0x3ffff, kDense},
};
static_assert(std::ranges::is_sorted(kRanges, {}, &Range::first));

Kind kind_of(char32_t c) {
    auto range = std::ranges::lower_bound(kRanges, c, {}, &Range::last);
    return range != kRanges.end() && c >= range->first ? range->kind : kLetters;
}

constexpr std::array<bool, 128> kAsciiLetters = [] {
    std::array<bool, 128> letters{};
    for (size_t c = 0; c < letters.size(); c++) letters[c] = text::is_alnum(static_cast<char>(c)) || c == '_';
    return letters;
}();

struct Character {
    Kind kind;
    size_t length;
};
// A byte that belongs to no character separates. No well-formed text can be found across it.
Character character_at(std::string_view s) {
    auto first = static_cast<unsigned char>(s.front());
    if (first < 0x80) return {kAsciiLetters[first] ? kLetters : kSeparator, 1};
    size_t length = utf8_length(s);
    if (length == 0) return {kSeparator, 1};
    return {kind_of(utf8_decode(s, length)), length};
}

// The length of the run of characters of one kind that `s` begins with.
size_t run_length(std::string_view s, Kind kind) {
    size_t at = 0;
    while (at < s.size()) {
        auto byte = static_cast<unsigned char>(s[at]);
        if (byte < 0x80) {
            if ((kAsciiLetters[byte] ? kLetters : kSeparator) != kind) break;
            at++;
            continue;
        }
        Character c = character_at(s.substr(at));
        if (c.kind != kind) break;
        at += c.length;
    }
    return at;
}

// Gives the pieces of a long word, and what is left of it.
template <class F>
std::string_view take_apart(std::string_view word, F take) {
    while (word.size() > kMaxWord) {
        take(cut_utf8(word, kMaxWord));
        word.remove_prefix(cut_utf8(word, kStep).size());
    }
    return word;
}

std::string_view end_of(std::string_view word, size_t max) {
    size_t at = word.size() - std::min(word.size(), max);
    while (at < word.size() && (static_cast<unsigned char>(word[at]) & 0xc0) == 0x80) at++;
    return word.substr(at);
}

constexpr size_t kHead = sizeof(uint64_t);  // bytes of a word that are compared at once
constexpr uint64_t kOnes = 0x0101010101010101;

uint64_t load(const char* bytes) {
    uint64_t value = 0;
    std::memcpy(&value, bytes, sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = std::byteswap(value);
    return value;
}

// The first bytes of what has kHead bytes in memory, of which `size` belong to it.
uint64_t head_in(const char* bytes, size_t size) {
    return size >= kHead ? load(bytes) : load(bytes) & ((uint64_t{1} << 8 * size) - 1);
}

uint64_t head_of(std::string_view word) {
    std::array<char, kHead> padded{};
    std::memcpy(padded.data(), word.data(), std::min(word.size(), kHead));
    return load(padded.data());
}

uint32_t hash_of(std::string_view word, uint64_t head) {
    constexpr uint64_t kPrime = 0x9e3779b97f4a7c15;
    uint64_t hash = (head ^ word.size()) * kPrime;
    for (size_t at = kHead; at < word.size(); at += kHead)
        hash = (std::rotl(hash, 29) ^ load(word.data() + std::min(at, word.size() - kHead))) * kPrime;
    return static_cast<uint32_t>((hash ^ hash >> 29) * kPrime >> 32);
}

/// What each of 64 bytes is, as bits. Of folded text: ASCII letters are capitals.
struct Block {
    uint64_t letters = 0;
    uint64_t others = 0;  // not ASCII
};
Block classify(const char* bytes) {
    auto within = [](uint64_t x, unsigned char first, unsigned char last) {
        return (x + (0x80 - first) * kOnes) & ~(x + (0x7f - last) * kOnes);
    };
    auto to_bits = [](uint64_t high_bits) { return (high_bits >> 7 & kOnes) * 0x0102040810204080 >> 56; };
    Block block;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t x = load(bytes + kHead * i);
        uint64_t ascii = x & 0x7f * kOnes;
        uint64_t letters = within(ascii, 'A', 'Z') | within(ascii, '0', '9') | within(ascii, '_', '_');
        block.letters |= to_bits(letters & ~x) << 8 * i;
        block.others |= to_bits(x) << 8 * i;
    }
    return block;
}

// What of a run of letters has to be in a word, and whether that is all.
bool add_letters(std::vector<QueryPiece>& pieces, std::string_view run, PieceMode mode) {
    std::string_view text = run;
    if (mode == PieceMode::whole) {
        if (text.size() > kMaxWord) text = cut_utf8(text, kMaxWord);  // its first piece
    } else if (mode == PieceMode::ends) {
        text = end_of(text, kMaxPiece);
    } else {
        text = cut_utf8(text, kMaxPiece);
    }
    pieces.push_back({std::string(text), mode});
    return text.size() == run.size();
}

bool add_dense(std::vector<QueryPiece>& pieces, std::string_view run) {
    size_t first = utf8_length(run);
    if (first == run.size()) {
        pieces.push_back({std::string(run), PieceMode::within});
        return true;
    }
    size_t pairs = 0;
    for (; first < run.size() && pairs < kMaxPairs; pairs++) {
        size_t second = utf8_length(run.substr(first));
        pieces.push_back({std::string(run.substr(0, first + second)), PieceMode::whole});
        run.remove_prefix(first);
        first = second;
    }
    return pairs == 1 && first == run.size();
}

}  // namespace

WordCollector::WordCollector() : table_(2048, 0) {
    entries_.reserve(512);
    bytes_.reserve(4096);
}

void WordCollector::add_text(std::string_view piece) {
    if (full_) return;
    if (text_ + piece.size() > kMaxWordText) {
        full_ = true;
        piece = cut_utf8(piece, kMaxWordText - text_);
    }
    text_ += piece.size();
    folded_.clear();
    fold_case(piece, folded_);
    size_t size = folded_.size();
    folded_.append(kPadding, '\0');
    std::string_view rest = std::string_view(folded_).substr(0, size);
    while (!rest.empty()) {
        if (kind_ == kSeparator) rest.remove_prefix(take_ascii(rest.data(), rest.size()));
        if (rest.empty()) break;
        Kind kind = character_at(rest).kind;
        if (kind != kind_) end_run();
        size_t length = run_length(rest, kind);
        take_run(rest.substr(0, length), kind, length < rest.size());
        rest.remove_prefix(length);
    }
}

// Takes the words that `text` begins with and that ASCII separators end: the common case, without a decision for each
// byte. kPadding bytes may be read behind it. Returns how much of it is done.
size_t WordCollector::take_ascii(const char* text, size_t size) {
    size_t start = size;  // of the word that has not ended; none
    bool in_word = false;
    for (size_t at = 0; at < size; at += kPadding) {
        Block block = classify(text + at);
        size_t limit = std::min<size_t>(size - at, static_cast<size_t>(std::countr_zero(block.others)));
        uint64_t edges = block.letters ^ (block.letters << 1 | (in_word ? 1 : 0));
        if (limit < 64) edges &= (uint64_t{1} << limit) - 1;
        for (; edges != 0; edges &= edges - 1) {
            size_t edge = at + static_cast<size_t>(std::countr_zero(edges));
            in_word = !in_word;
            if (in_word) {
                start = edge;
                continue;
            }
            std::string_view word(text + start, edge - start);
            if (word.size() <= kMaxWord)
                add_word(word, head_in(word.data(), word.size()));
            else
                add_word(take_apart(word, [this](std::string_view w) { add_word(w); }));
        }
        if (limit < 64) return in_word ? start : at + limit;
    }
    return in_word ? start : size;
}

void WordCollector::take_run(std::string_view run, Kind kind, bool ends_here) {
    kind_ = kind;
    if (kind == kLetters) take_letters(run, ends_here);
    if (kind == kDense) take_dense(run);
}

void WordCollector::take_letters(std::string_view run, bool ends_here) {
    auto add = [this](std::string_view word) { add_word(word); };
    if (ends_here && run_.empty()) {
        add_word(take_apart(run, add));
        kind_ = kSeparator;
        return;
    }
    while (!run.empty()) {
        auto piece = cut_utf8(run, kMaxRun);
        run_ += piece;
        run.remove_prefix(piece.size());
        if (run_.size() > kMaxRun) run_ = std::string(take_apart(run_, add));
    }
}

void WordCollector::take_dense(std::string_view run) {
    while (!run.empty()) {
        auto character = run.substr(0, utf8_length(run));
        if (dense_count_++ > 0) {
            run_ += character;
            add_word(run_);
        }
        run_ = character;
        run.remove_prefix(character.size());
    }
}

void WordCollector::end_run() {
    if (kind_ == kLetters && !run_.empty()) add_word(take_apart(run_, [this](std::string_view w) { add_word(w); }));
    if (kind_ == kDense && dense_count_ == 1) add_word(run_);
    run_.clear();
    dense_count_ = 0;
    kind_ = kSeparator;
}

void WordCollector::add_word(std::string_view word) {
    add_word(word, head_of(word));
}

void WordCollector::add_word(std::string_view word, uint64_t head) {
    uint32_t hash = hash_of(word, head);
    size_t slot = hash & (table_.size() - 1);
    for (size_t probe = 0; probe < kMaxProbes; probe++, slot = (slot + 1) & (table_.size() - 1)) {
        if (table_[slot] == 0) return add_entry(word, head, hash, slot);
        Entry& entry = entries_[table_[slot] - 1];
        if (entry.head != head || entry.length != word.size()) continue;
        bool is_same = word.size() <= kHead ||
                       std::memcmp(bytes_.data() + entry.offset + kHead, word.data() + kHead, word.size() - kHead) == 0;
        if (!is_same) continue;
        entry.classes |= class_;
        return;
    }
    full_ = true;
}

void WordCollector::add_entry(std::string_view word, uint64_t head, uint32_t hash, size_t slot) {
    if (entries_.size() >= kMaxWords ||
        bytes_.size() + kListHead * entries_.size() + word.size() > kMaxWordBytes - 64) {
        full_ = true;
        return;
    }
    entries_.push_back({head, static_cast<uint32_t>(bytes_.size()), hash, static_cast<uint8_t>(word.size()), class_});
    bytes_ += word;
    table_[slot] = static_cast<uint32_t>(entries_.size());
    if (entries_.size() * 2 > table_.size()) grow();
}

void WordCollector::grow() {
    table_.assign(table_.size() * 4, 0);
    for (size_t i = 0; i < entries_.size(); i++) {
        size_t slot = entries_[i].hash & (table_.size() - 1);
        while (table_[slot] != 0) slot = (slot + 1) & (table_.size() - 1);
        table_[slot] = static_cast<uint32_t>(i + 1);
    }
}

std::string WordCollector::finish() {
    end_run();
    std::string list;
    list.reserve(kListHead + bytes_.size() + kListHead * entries_.size());
    list += kVersion;
    list += complete_ && !full_ ? '\0' : kIncomplete;
    for (const Entry& entry : entries_) {
        list += static_cast<char>(entry.classes);
        list += static_cast<char>(entry.length);
        list.append(bytes_, entry.offset, entry.length);
    }
    return list;
}

std::string word_list(const TextSource& source) {
    WordCollector words;
    const auto& root = source.info.parts[0];
    std::string header;
    if (root.range.body_offset > kMaxWordHeader)
        words.mark_incomplete();
    else
        header = root_header(source);
    // What stands in front of it, and is not known here, goes on with such a line.
    if (source.shift == 0 && header.find_first_of(" \t") == 0) {
        words.mark_incomplete();
        header.clear();
    }
    words.use(kInHeader);
    read_header_fields(header, words);
    if (root.envelope) {
        constexpr std::array kFields = {std::pair{EnvelopeField::subject, kInSubject},
                                        std::pair{EnvelopeField::from, kInFrom}, std::pair{EnvelopeField::to, kInTo},
                                        std::pair{EnvelopeField::cc, kInCc}, std::pair{EnvelopeField::bcc, kInBcc}};
        for (auto [field, where] : kFields) {
            words.use(where);
            words.add_text(envelope_text(source.info.envelopes[*root.envelope], field));
        }
    }
    words.use(kInBody);
    for (uint32_t part = 0; part < source.info.parts.size() && !words.has_enough(); part++)
        if (read_part_text(source, part, words) == PartText::unknown_charset) words.mark_incomplete();
    return words.finish();
}

std::string header_word_list(std::string_view header) {
    WordCollector words;
    words.use(kInHeader);
    if (!header.empty() && !header.ends_with('\n')) words.mark_incomplete();
    read_header_fields(header, words);
    return words.finish();
}

std::string join_word_lists(std::string_view a, std::string_view b) {
    if (a.size() < kListHead || b.size() < kListHead || a.size() + b.size() > kMaxWordList) return {};
    std::string joined(a);
    joined[1] |= b[1];
    joined += b.substr(kListHead);
    return joined;
}

WordListReader::WordListReader(std::string_view list) : rest_(list.substr(kListHead)), complete_(list[1] == 0) {}

std::optional<Word> WordListReader::next() {
    if (rest_.empty()) return std::nullopt;
    auto classes = static_cast<uint8_t>(rest_[0]);
    auto length = static_cast<uint8_t>(rest_[1]);
    Word word{rest_.substr(kListHead, length), classes};
    rest_.remove_prefix(kListHead + length);
    return word;
}

bool is_word_list(std::string_view bytes) {
    if (bytes.size() < kListHead || bytes.size() > kMaxWordList) return false;
    if (bytes[0] != kVersion || (bytes[1] != 0 && bytes[1] != kIncomplete)) return false;
    for (bytes.remove_prefix(kListHead); !bytes.empty();) {
        if (bytes.size() < kListHead) return false;
        auto classes = static_cast<uint8_t>(bytes[0]);
        auto length = static_cast<uint8_t>(bytes[1]);
        if (classes == 0 || classes > kAllClasses || length == 0 || length > kMaxWord) return false;
        if (bytes.size() < kListHead + length || bytes.substr(kListHead, length).find('\0') != std::string_view::npos)
            return false;
        bytes.remove_prefix(kListHead + length);
    }
    return true;
}

WordQuery split_query(std::string_view folded, std::string_view name) {
    WordQuery query;
    bool whole = true;  // all of the text is in the pieces
    size_t runs = 0;
    for (size_t at = 0; at < folded.size() && query.pieces.size() < kMaxQueryPieces;) {
        auto rest = folded.substr(at);
        Kind kind = character_at(rest).kind;
        size_t length = run_length(rest, kind);
        auto run = rest.substr(0, length);
        bool first = at == 0;
        bool last = at + length == folded.size();
        at += length;
        whole = whole && first && last;
        if (kind == kSeparator) continue;
        runs++;
        auto mode =
            first ? (last ? PieceMode::within : PieceMode::ends) : (last ? PieceMode::begins : PieceMode::whole);
        whole &= kind == kDense ? add_dense(query.pieces, run) : add_letters(query.pieces, run, mode);
    }
    query.is_exact = whole && runs == 1 && name.empty();
    std::string folded_name = fold_case(name);
    for (std::string_view rest = folded_name; !rest.empty();) {
        Kind kind = character_at(rest).kind;
        auto run = rest.substr(0, run_length(rest, kind));
        if (kind == kLetters) add_letters(query.pieces, run, PieceMode::whole);
        rest.remove_prefix(run.size());
    }
    if (query.pieces.size() > kMaxQueryPieces) query.pieces.resize(kMaxQueryPieces);
    return query;
}

bool matches(const QueryPiece& piece, std::string_view word) {
    switch (piece.mode) {
        case PieceMode::whole:
            return word == piece.text;
        case PieceMode::begins:
            return word.starts_with(piece.text);
        case PieceMode::ends:
            return word.ends_with(piece.text);
        default:
            return word.find(piece.text) != std::string_view::npos;
    }
}

}  // namespace mox::mail
