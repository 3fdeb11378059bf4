#include "common/mail/encoded_word.h"

#include <algorithm>
#include <optional>

#include "common/mail/charset.h"
#include "common/mail/header.h"
#include "common/mail/scanner.h"
#include "common/mail/transfer.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::mail {
namespace {

// RFC 2047 2 says 75; longer ones exist. Bounds the work of looking for the end of words that have none.
constexpr size_t kMaxWord = 2048;

struct Word {
    std::string_view charset;
    char encoding = 0;
    std::string_view text;
    size_t length = 0;
};

// The encoded word at the start of `s`. DEVIATES RFC 2047 2: any length, blanks in Q text, blanks around it optional.
std::optional<Word> find_word(std::string_view s) {
    s = s.substr(0, kMaxWord);
    if (!s.starts_with("=?")) return std::nullopt;
    auto charset_end = s.find('?', 2);
    if (charset_end == s.npos || charset_end - 2 > 60 || charset_end + 2 >= s.size() || s[charset_end + 2] != '?') {
        return std::nullopt;
    }
    Word word;
    word.charset = s.substr(2, charset_end - 2);
    word.charset = word.charset.substr(0, word.charset.find('*'));  // RFC 2231 5: *language
    word.encoding = text::to_lower(s[charset_end + 1]);
    if (word.charset.empty() || (word.encoding != 'q' && word.encoding != 'b')) return std::nullopt;
    auto start = charset_end + 3;
    auto end = s.find('?', start);
    // DEVIATES RFC 2047 4.2: some encoders leave '?' in Q text as it is
    while (end != s.npos && word.encoding == 'q' && end + 1 < s.size() && s[end + 1] != '=') end = s.find('?', end + 1);
    if (end == s.npos || end + 1 >= s.size() || s[end + 1] != '=') return std::nullopt;
    word.text = s.substr(start, end - start);
    word.length = end + 2;
    return word;
}

void decode_q(std::string_view in, std::string& out) {
    for (size_t i = 0; i < in.size(); ++i) {
        if (in[i] == '_') {
            out += ' ';  // RFC 2047 4.2 (2)
        } else if (auto byte = in[i] == '=' ? hex_byte(in.substr(i + 1)) : std::nullopt) {
            out += *byte;
            i += 2;
        } else {
            out += in[i];
        }
    }
}

void decode_word(const Word& word, std::string& out) {
    if (word.encoding == 'q') return decode_q(word.text, out);
    Base64Decoder decoder;
    decoder.feed(word.text, out);
    decoder.finish(out);
}

class Decoder {
  public:
    explicit Decoder(size_t max) : max_(max) {}

    std::string run(std::string_view s) {
        size_t pos = 0;
        while (pos < s.size() && out_.size() < max_) {
            auto next = s.find("=?", pos);
            auto word = next == s.npos ? std::nullopt : find_word(s.substr(next));
            if (!word) {
                auto end = next == s.npos ? s.size() : next + 2;
                plain(s.substr(pos, end - pos));
                pos = end;
                continue;
            }
            auto between = s.substr(pos, next - pos);
            // RFC 2047 6.2: white space between two encoded words is not shown
            bool joined = have_word_ && text::trim(between).empty();
            if (!joined) plain(between);
            add(*word, s.substr(next, word->length));
            pos = next + word->length;
        }
        flush();
        out_.resize(cut_utf8(out_, max_).size());
        return std::move(out_);
    }

  private:
    void plain(std::string_view s) {
        if (s.empty()) return;
        flush();
        have_word_ = false;
        out_ += repair_utf8(s);
    }

    void add(const Word& word, std::string_view raw) {
        if (!text::iequals(word.charset, charset_)) flush();
        charset_ = word.charset;
        decode_word(word, bytes_);
        raw_ += raw;
        have_word_ = true;
    }

    // Converts the collected bytes of words in one charset.
    void flush() {
        if (raw_.empty()) return;
        auto converted = charset_to_utf8(charset_, bytes_, max_);
        auto added = converted ? std::move(*converted) : repair_utf8(raw_);
        for (char& c : added) {
            if (c == '\r' || c == '\n' || c == '\0') c = ' ';  // what is decoded must not look like another line
        }
        out_ += added;
        raw_.clear();
        bytes_.clear();
    }

    size_t max_;
    std::string out_;
    std::string charset_, bytes_, raw_;
    bool have_word_ = false;  // nothing but blanks since the last encoded word
};

}  // namespace

std::string decode_encoded_words(std::string_view text, size_t max_bytes) {
    auto line = unfold(text.substr(0, std::min(text.size(), max_bytes * 4 + kMaxWord)));
    return Decoder(max_bytes).run(line);
}

}  // namespace mox::mail
