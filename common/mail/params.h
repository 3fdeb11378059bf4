// Parameters of Content-Type and Content-Disposition: `; name=value; name*0*=utf-8''...`.
//
// parse_* split a field value into raw parameters (what BODYSTRUCTURE shows) and are tolerant and bounded;
// find_parameter joins and decodes the continuations of one parameter to UTF-8 (what people see).
// RFCs: 2045 5.1, 2183 2, 2231 3 and 4.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/message_info.h"

namespace mox::mail {

struct ParamLimits {
    size_t count = 32;          // parameters of one field
    size_t value_bytes = 1000;  // bytes of one value; longer parameters are left out
};

/// A Content-Type value taken apart.
struct ContentType {
    std::string type;
    std::string subtype;
    std::vector<Parameter> params;
    bool truncated = false;  // parameters were left out
};

/// Nothing if there is no type/subtype in it (RFC 2045 5.1). A lone `text` counts as text/plain.
std::optional<ContentType> parse_content_type(std::string_view value, const ParamLimits& limits = {});

/// Content-Disposition, RFC 2183 2. Nothing if there is no type. `truncated` is set when parameters were left out.
std::optional<Disposition> parse_disposition(std::string_view value, bool& truncated, const ParamLimits& limits = {});

/// The value of a parameter in UTF-8: continuations and charsets of RFC 2231 undone, in plain values encoded words
/// too (DEVIATES RFC 2047 5 (3): many write file names so). Nothing if there is none of that name.
std::optional<std::string> find_parameter(std::span<const Parameter> params, std::string_view name);

/// The name to save a part under: filename of the disposition, else name of the type (RFC 2183 2.3). May hold
/// anything, even slashes: whoever uses it as a file name must clean it.
std::optional<std::string> file_name(const Part& part);

}  // namespace mox::mail
