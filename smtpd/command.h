// The grammar of SMTP command lines, without I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "common/mail/address.h"

namespace mox::smtpd {

/// A command line taken apart: the verb in upper case, and what follows its first space.
struct Command {
    std::string verb;
    std::string_view arguments;
};
/// Nothing when the line holds control characters or begins with no word of letters.
std::optional<Command> parse_command(std::string_view line);

/// ESMTP parameter (RFC 5321 4.1.2): KEYWORD[=value].
struct Parameter {
    std::string keyword;  // upper case
    std::optional<std::string> value;
};

/// What stands behind MAIL or RCPT.
struct PathCommand {
    mail::Path path;
    std::vector<Parameter> parameters;
};
/// Parses "FROM:<...> params" or "TO:<...> params"; `word` is FROM or TO. The error's text is for the 501 reply.
Result<PathCommand> parse_path_command(std::string_view arguments, std::string_view word);

/// MAIL's parameters, checked (RFC 1870, 6152, 6531).
struct MailParameters {
    uint64_t size = 0;  // 0: not declared
    bool body_8bit = false;
    bool smtputf8 = false;
};
/// The reply is for the error: 501 or 555 with its enhanced code.
struct ParameterError {
    int code;
    std::string enhanced;
    std::string text;
};
std::expected<MailParameters, ParameterError> check_mail_parameters(const std::vector<Parameter>& parameters);

/// RFC 5321 4.1.1.1: a domain or an address literal, as the argument of EHLO or HELO.
bool is_valid_hello(std::string_view argument);

}  // namespace mox::smtpd
