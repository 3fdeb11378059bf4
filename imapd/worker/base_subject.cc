#include "imapd/worker/base_subject.h"

#include "common/mail/encoded_word.h"
#include "common/text/ascii.h"
#include "imapd/worker/search_text.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxSubject = 1000;  // bytes compared

// RFC 5256 2.1 (1): UTF-8, and white space as one space
std::string plain_subject(std::string_view raw) {
    std::string out;
    for (char c : mail::decode_encoded_words(raw, kMaxSubject)) {
        bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!blank)
            out += c;
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    return out;
}

void trim_front(std::string_view& s) {
    while (s.starts_with(' ')) s.remove_prefix(1);
}
void trim_back(std::string_view& s) {
    while (s.ends_with(' ')) s.remove_suffix(1);
}

// subj-blob = "[" *BLOBCHAR "]" *WSP; its length, 0 if there is none
size_t blob_length(std::string_view s) {
    if (!s.starts_with('[')) return 0;
    auto end = s.find_first_of("[]", 1);
    if (end == std::string_view::npos || s[end] != ']') return 0;
    for (end++; end < s.size() && s[end] == ' ';) end++;
    return end;
}

// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"; its length, 0 if there is none
size_t refwd_length(std::string_view s) {
    size_t at = 0;
    if (text::istarts_with(s, "fwd"))
        at = 3;
    else if (text::istarts_with(s, "re") || text::istarts_with(s, "fw"))
        at = 2;
    else
        return 0;
    while (at < s.size() && s[at] == ' ') at++;
    at += blob_length(s.substr(at));
    return at < s.size() && s[at] == ':' ? at + 1 : 0;
}

// (2): trailers "(fwd)" and white space
void strip_trailers(std::string_view& s, bool& is_reply) {
    constexpr std::string_view kForwarded = "(fwd)";
    for (trim_back(s);
         s.size() >= kForwarded.size() && text::iequals(s.substr(s.size() - kForwarded.size()), kForwarded);
         trim_back(s)) {
        s.remove_suffix(kForwarded.size());
        is_reply = true;
    }
}

// (3): one leader, blobs in front of a "re:"; true when there was one
bool strip_leader(std::string_view& s, bool& is_reply) {
    trim_front(s);
    auto rest = s;
    for (size_t blob = blob_length(rest); blob > 0; blob = blob_length(rest)) rest.remove_prefix(blob);
    size_t length = refwd_length(rest);
    if (length == 0) return false;
    rest.remove_prefix(length);
    s = rest;
    is_reply = true;
    return true;
}

// (4): one blob, when something is left without it
bool strip_blob(std::string_view& s) {
    size_t length = blob_length(s);
    if (length == 0 || length == s.size()) return false;
    s.remove_prefix(length);
    return true;
}

}  // namespace

BaseSubject base_subject(std::string_view subject) {
    constexpr std::string_view kWrapped = "[fwd:";
    std::string plain = plain_subject(subject);
    std::string_view s = plain;
    bool is_reply = false;
    for (;;) {
        strip_trailers(s, is_reply);
        bool more = true;
        while (more) {  // (5)
            more = strip_leader(s, is_reply);
            more |= strip_blob(s);
        }
        if (!text::istarts_with(s, kWrapped) || !s.ends_with(']')) break;  // (6)
        s.remove_prefix(kWrapped.size());
        s.remove_suffix(1);
        is_reply = true;
    }
    trim_front(s);
    return {fold_case(s), is_reply};
}

}  // namespace mox::imapd
