#include "smtpd/command.h"

#include <algorithm>

#include "common/mail/utf8.h"
#include "common/text/ascii.h"

namespace mox::smtpd {
namespace {

constexpr size_t kMaxParameters = 20;

std::unexpected<Error> syntax(std::string text) {
    return permanent(ErrorCode::bad_request, std::move(text));
}

std::expected<uint64_t, ParameterError> parse_size(const Parameter& p) {
    // RFC 1870 6: size-value is 1*20DIGIT.
    if (!p.value || p.value->empty() || p.value->size() > 20 || !std::ranges::all_of(*p.value, text::is_digit))
        return std::unexpected(ParameterError{501, "5.5.4", "SIZE takes a number of bytes"});
    return text::parse_number<uint64_t>(*p.value).value_or(UINT64_MAX);
}

}  // namespace

std::optional<Command> parse_command(std::string_view line) {
    for (char c : line)
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t') return std::nullopt;
    size_t end = 0;
    while (end < line.size() && text::is_alnum(line[end])) end++;
    if (end == 0 || (end < line.size() && !text::is_wsp(line[end]))) return std::nullopt;
    return Command{text::to_upper(line.substr(0, end)), text::trim(line.substr(end))};
}

Result<PathCommand> parse_path_command(std::string_view arguments, std::string_view word) {
    if (!text::istarts_with(arguments, word) || arguments.size() <= word.size() || arguments[word.size()] != ':')
        return syntax("expected " + std::string(word) + ":<address>");
    arguments.remove_prefix(word.size() + 1);
    // DEVIATES RFC 5321 4.1.1.2: many clients put a space before the path.
    while (!arguments.empty() && arguments.front() == ' ') arguments.remove_prefix(1);
    PathCommand result;
    auto path = mail::take_path(arguments, mail::Utf8::allowed);
    if (!path) return std::unexpected(std::move(path.error()));
    result.path = std::move(*path);
    while (!arguments.empty()) {
        if (arguments.front() != ' ') return syntax("expected a space after the address");
        while (!arguments.empty() && arguments.front() == ' ') arguments.remove_prefix(1);
        if (arguments.empty()) break;
        std::string_view item = arguments.substr(0, arguments.find(' '));
        arguments.remove_prefix(item.size());
        size_t equals = item.find('=');
        Parameter p{text::to_upper(item.substr(0, equals)), std::nullopt};
        if (equals != std::string_view::npos) p.value = item.substr(equals + 1);
        // RFC 5321 4.1.2: esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
        if (p.keyword.empty() || !text::is_alnum(p.keyword[0]) ||
            !std::ranges::all_of(p.keyword, [](char c) { return text::is_alnum(c) || c == '-'; }))
            return syntax("malformed parameter");
        if (std::ranges::find(result.parameters, p.keyword, &Parameter::keyword) != result.parameters.end())
            return syntax("parameter " + p.keyword + " stands twice");
        if (result.parameters.size() >= kMaxParameters) return syntax("too many parameters");
        result.parameters.push_back(std::move(p));
    }
    return result;
}

std::expected<MailParameters, ParameterError> check_mail_parameters(const std::vector<Parameter>& parameters) {
    MailParameters result;
    for (const auto& p : parameters) {
        if (p.keyword == "SIZE") {
            auto size = parse_size(p);
            if (!size) return std::unexpected(size.error());
            result.size = *size;
        } else if (p.keyword == "BODY") {
            // RFC 6152 3
            bool eight = p.value && text::iequals(*p.value, "8BITMIME");
            if (!eight && !(p.value && text::iequals(*p.value, "7BIT")))
                return std::unexpected(ParameterError{501, "5.5.4", "BODY is 7BIT or 8BITMIME"});
            result.body_8bit = eight;
        } else if (p.keyword == "SMTPUTF8") {
            // RFC 6531 3.1: no value
            if (p.value) return std::unexpected(ParameterError{501, "5.5.4", "SMTPUTF8 takes no value"});
            result.smtputf8 = true;
        } else if (p.keyword == "AUTH") {
            // RFC 4954 5: may be ignored by a server that does not trust it.
            if (!p.value) return std::unexpected(ParameterError{501, "5.5.4", "AUTH takes a mailbox or <>"});
        } else {
            // RFC 5321 4.1.1.11
            return std::unexpected(
                ParameterError{555, "5.5.4", "parameter " + p.keyword.substr(0, 40) + " not supported"});
        }
    }
    return result;
}

bool is_valid_hello(std::string_view argument) {
    if (argument.empty() || argument.size() > 255 || !mail::is_utf8(argument)) return false;
    bool literal = argument.front() == '[';
    if (literal && (argument.size() < 3 || argument.back() != ']')) return false;
    std::string_view inside = literal ? argument.substr(1, argument.size() - 2) : argument;
    // DEVIATES RFC 5321 4.1.1.1: names with underscores and single labels are common, and nothing depends on them.
    return std::ranges::all_of(inside, [](char c) {
        return text::is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':' ||
               static_cast<unsigned char>(c) >= 0x80;
    });
}

}  // namespace mox::smtpd
