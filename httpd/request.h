// The head of an HTTP/1.x request: request line and fields, parsed strictly.
//
// Pure: text in, a Request or the status code of the refusal out. Only what this server needs is kept. What two parsers
// could read differently (folded lines, blanks before a colon, two lengths) is refused, never repaired. RFC 9110
// (semantics), RFC 9112 (HTTP/1.1).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mox::httpd {

enum class Method : uint8_t { get, head, other };
/// What happens to the connection after the answer.
enum class After : uint8_t { keep_alive, close };

struct Request {
    Method method = Method::other;
    std::string path;  // as sent, without the query
    After after = After::close;
};

/// A status code of RFC 9110 section 15.
using Status = int;

constexpr size_t kMaxHead = 16384;  // bytes of request line and fields
constexpr size_t kMaxFields = 100;

/// `head` holds the request line and the field lines, each with its CRLF, without the empty line that ends them. A
/// request with a body is closed after its answer: the body is never read.
std::expected<Request, Status> parse_request(std::string_view head);

}  // namespace mox::httpd
