#include "moxctl/transfer/names.h"

#include <array>
#include <fmt/format.h>

#include "common/mail/utf7.h"
#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::moxctl {
namespace {

/// Escapes that path_of_mailbox() makes, and only they, are taken back.
struct Escape {
    std::string_view code;
    char byte;
};
constexpr std::array kEscapes = {Escape{"%25", '%'}, Escape{"%26", '&'}, Escape{"%2E", '.'},
                                 Escape{"%63", 'c'}, Escape{"%6E", 'n'}, Escape{"%74", 't'}};

std::string unescaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        char c = text.front();
        size_t length = 1;
        for (const Escape& escape : kEscapes)
            if (text.starts_with(escape.code)) {
                c = escape.byte;
                length = escape.code.size();
            }
        out += c;
        text.remove_prefix(length);
    }
    return out;
}

// As storaged's rules for names: well-formed, no control characters, no line separators.
bool may_stand_in_name(std::string_view text, size_t length) {
    if (length == 0) return false;
    char32_t c = mail::utf8_decode(text, length);
    return c >= 0x20 && (c < 0x7f || c >= 0xa0) && c != 0x2028 && c != 0x2029 && c != '/';
}

std::string valid_level(std::string_view text) {
    if (text.empty()) return "_";
    std::string out;
    if (text == "." || text == "..") {
        out = "%2E";
        text.remove_prefix(1);
    }
    while (!text.empty()) {
        size_t length = mail::utf8_length(text);
        if (may_stand_in_name(text, length)) {
            out += text.substr(0, length);
        } else {
            length = 1;
            out += fmt::format("%{:02X}", static_cast<unsigned char>(text.front()));
        }
        text.remove_prefix(length);
    }
    return out;
}

void add_level(std::string& name, std::string_view level) {
    std::string text(level);
    if (text.find('&') != std::string::npos)
        if (auto decoded = mail::decode_utf7(text)) text = *decoded;
    std::string valid = valid_level(unescaped(text));
    if (name.empty() && valid.front() == '#') valid.replace(0, 1, "%23");
    name += (name.empty() ? "" : "/") + valid;
}

void add_component(std::string& name, std::string_view component) {
    if (component.ends_with(".sbd")) component.remove_suffix(4);
    if (component.size() < 2 || component.front() != '.') return add_level(name, component);
    component.remove_prefix(1);
    for (size_t start = 0; start <= component.size();) {
        size_t end = std::min(component.find('.', start), component.size());
        add_level(name, component.substr(start, end - start));
        start = end + 1;
    }
}

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> parts;
    for (size_t start = 0; start < path.size();) {
        size_t end = std::min(path.find('/', start), path.size());
        std::string_view part = path.substr(start, end - start);
        if (!part.empty() && part != ".") parts.emplace_back(part);
        start = end + 1;
    }
    return parts;
}

std::string mailbox_of_path(std::string_view path) {
    std::string name;
    for (const std::string& component : split_path(path)) add_component(name, component);
    return name;
}

std::string mailbox_of_file(std::string_view path) {
    for (std::string_view ending : {".mbox", ".mbx"})
        if (path.size() > ending.size() && text::iequals(path.substr(path.size() - ending.size()), ending)) {
            path.remove_suffix(ending.size());
            break;
        }
    return mailbox_of_path(path);
}

std::string path_of_mailbox(std::string_view name) {
    std::string path;
    for (const std::string& level : split_path(name)) {
        std::string part;
        // An ampersand would begin modified UTF-7.
        for (char c : level) part += c == '%' ? "%25" : c == '&' ? "%26" : std::string(1, c);
        bool reserved = part == "cur" || part == "new" || part == "tmp" || part.front() == '.';
        if (reserved) part = fmt::format("%{:02X}{}", static_cast<unsigned char>(part.front()), part.substr(1));
        // These endings would be taken off again.
        if (part.ends_with(".sbd") || part.ends_with(".mbox") || part.ends_with(".mbx"))
            part.replace(part.rfind('.'), 1, "%2E");
        path += (path.empty() ? "" : "/") + part;
    }
    return path;
}

}  // namespace mox::moxctl
