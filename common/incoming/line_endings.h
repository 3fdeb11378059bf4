// Lines end in CRLF in the store, whatever they end in where a message comes from.
#pragma once

#include <string>
#include <string_view>

namespace mox::incoming {

/// Makes each bare LF of a stream CRLF.
class LineEndings {
  public:
    /// Appends `bytes` to `out`.
    void convert(std::string_view bytes, std::string& out) {
        for (;;) {
            auto at = bytes.find('\n');
            if (at == std::string_view::npos) break;
            bool bare = at > 0 ? bytes[at - 1] != '\r' : last_ != '\r';
            out += bytes.substr(0, at);
            out += bare ? "\r\n" : "\n";
            bytes.remove_prefix(at + 1);
            last_ = '\n';
        }
        out += bytes;
        if (!bytes.empty()) last_ = bytes.back();
    }

  private:
    char last_ = 0;
};

}  // namespace mox::incoming
