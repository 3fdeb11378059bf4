#include "common/mail/address_list.h"

#include "common/mail/scanner.h"
#include "common/mail/utf8.h"

namespace mox::mail {
namespace {

bool is_word_char(char c) {
    // DEVIATES RFC 5322 3.4: dots and brackets in display names without quotes are common
    return !is_blank(c) && std::string_view("(),:;<>@\"").find(c) == std::string_view::npos;
}

bool is_domain_char(char c) {
    return is_word_char(c) && c != '[' && c != ']';
}

class ListParser {
  public:
    ListParser(std::string_view value, size_t max) : in_(value), max_(max) {}

    void run() {
        while (true) {
            in_.clear_comment();
            in_.skip_cfws();
            if (in_.done()) break;
            if (in_.accept(',')) continue;  // RFC 5322 4.4: empty list elements
            if (in_.accept(';')) {
                end_group();
                continue;
            }
            if (!has_room(1)) truncated_ = true;
            if (truncated_) break;
            element();
        }
        end_group();
    }

    std::vector<EnvelopeAddress> take() { return std::move(entries_); }
    bool truncated() const { return truncated_; }

  private:
    // The words up to a special, as a display name (one space between words) and as a local part (none).
    struct Words {
        std::string phrase;
        std::string joined;
        size_t count = 0;
    };

    Words take_words() {
        Words words;
        while (true) {
            bool blank = in_.skip_cfws();
            std::string word;
            if (in_.peek() == '"' && !in_.done()) {
                word = in_.take_quoted();
            } else {
                word = in_.take_while(is_word_char);
                if (word.empty()) return words;
            }
            if (blank && words.count > 0) words.phrase += ' ';
            words.phrase += word;
            words.joined += word;
            ++words.count;
        }
    }

    // One address or the start of a group; whatever comes, at least one character is consumed.
    void element() {
        auto words = take_words();
        if (in_.accept(':')) {
            end_group();  // groups do not nest (RFC 5322 3.4)
            truncated_ = !has_room(2);
            if (truncated_) return;
            entries_.push_back({std::nullopt, std::nullopt, words.phrase, std::nullopt});
            in_group_ = true;
        } else if (in_.accept('<')) {
            angle_address(words);
        } else if (in_.accept('@')) {
            bare_address(words);
        } else if (words.count > 0) {
            // DEVIATES RFC 5322 3.4: "undisclosed-recipients", local users; there must be a host, else it is a group
            add(std::nullopt, std::nullopt, words.phrase, "");
        } else if (!in_.done()) {
            in_.skip();
        }
    }

    void bare_address(const Words& words) {
        in_.clear_comment();
        auto host = take_domain();
        skip_to_delimiter();
        // RFC 5322 3.4 note: addr (Full Name) is the old way to give a name
        std::optional<std::string> name;
        if (!in_.comment().empty()) name = in_.comment();
        add(std::move(name), std::nullopt, words.joined, std::move(host));
    }

    void angle_address(const Words& words) {
        std::optional<std::string> route;
        in_.skip_cfws();
        if (in_.peek() == '@' || in_.peek() == ',') route = take_route();
        auto local = take_words();
        std::string host;
        if (in_.accept('@')) host = take_domain();
        in_.take_while([](char c) { return c != '>' && c != ',' && c != ';'; });
        in_.accept('>');
        skip_to_delimiter();
        std::optional<std::string> name;
        if (!words.phrase.empty()) name = words.phrase;
        if (!name && !in_.comment().empty()) name = in_.comment();
        if (local.count == 0 && host.empty()) return;  // <>: not an address
        add(std::move(name), std::move(route), local.joined, std::move(host));
    }

    // RFC 5322 4.4 obs-route: @a,@b:
    std::optional<std::string> take_route() {
        auto start = in_.position();
        std::string route;
        while (in_.peek() == '@' || in_.peek() == ',') {
            if (in_.accept('@')) {
                route += (route.empty() ? "@" : ",@") + take_domain();
            } else {
                in_.skip();
                in_.skip_cfws();
            }
        }
        if (in_.accept(':')) return route;
        in_.seek(start);
        in_.skip();
        return std::nullopt;
    }

    // RFC 5322 3.4.1 domain, blanks around the dots allowed (4.4).
    std::string take_domain() {
        std::string host;
        in_.skip_cfws();
        if (in_.peek() == '[') {
            host = in_.take_literal();
            in_.skip_cfws();
            return host;
        }
        while (true) {
            auto piece = in_.take_while(is_domain_char);
            host += piece;
            bool more = in_.skip_cfws() && !piece.empty() && (piece.ends_with('.') || in_.peek() == '.');
            if (!more) return host;
        }
    }

    void skip_to_delimiter() {
        while (true) {
            in_.skip_cfws();
            if (in_.done() || in_.peek() == ',' || in_.peek() == ';') return;
            if (in_.peek() == '"') {
                in_.take_quoted();
            } else {
                in_.skip();
            }
        }
    }

    void add(std::optional<std::string> name, std::optional<std::string> adl, std::string mailbox, std::string host) {
        entries_.push_back({std::move(name), std::move(adl), std::move(mailbox), std::move(host)});
    }

    // For `count` more entries, the end of the open group not forgotten.
    bool has_room(size_t count) const { return entries_.size() + count + (in_group_ ? 1 : 0) <= max_; }

    void end_group() {
        if (in_group_) entries_.emplace_back();
        in_group_ = false;
    }

    Scanner in_;
    size_t max_;
    std::vector<EnvelopeAddress> entries_;
    bool in_group_ = false;
    bool truncated_ = false;
};

}  // namespace

std::vector<EnvelopeAddress> parse_address_list(std::string_view value, size_t max, bool* truncated) {
    ListParser parser(value, max);
    parser.run();
    if (truncated != nullptr && parser.truncated()) *truncated = true;
    return parser.take();
}

std::optional<Address> to_address(const EnvelopeAddress& entry) {
    if (!entry.mailbox || !entry.host || entry.mailbox->size() > kMaxLocalpart) return std::nullopt;
    for (char c : *entry.mailbox) {
        if (!is_8bit(c) && (c < ' ' || c > '~')) return std::nullopt;
    }
    if (!is_utf8(*entry.mailbox)) return std::nullopt;
    auto domain = parse_domain(*entry.host, Utf8::allowed);
    if (!domain) return std::nullopt;
    return Address{*entry.mailbox, std::move(*domain)};
}

}  // namespace mox::mail
