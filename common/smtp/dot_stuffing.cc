#include "common/smtp/dot_stuffing.h"

namespace mox::smtp {

void DotStuffing::end_line(std::string& out) {
    out += "\r\n";
    at_line_start_ = true;
    after_cr_ = false;
}

void DotStuffing::feed(std::string_view bytes, std::string& out) {
    while (!bytes.empty()) {
        if (after_cr_) {
            if (bytes[0] == '\n') bytes.remove_prefix(1);
            end_line(out);
            continue;
        }
        auto end = bytes.find_first_of("\r\n");
        auto line = bytes.substr(0, end);
        if (!line.empty()) {
            if (at_line_start_ && line[0] == '.') out += '.';  // RFC 5321 4.5.2
            out += line;
            at_line_start_ = false;
            bytes.remove_prefix(line.size());
        }
        if (bytes.empty()) break;
        if (bytes[0] == '\r')
            after_cr_ = true;
        else
            end_line(out);  // RFC 5321 2.3.8: a bare LF never goes out
        bytes.remove_prefix(1);
    }
}

void DotStuffing::finish(std::string& out) {
    if (after_cr_ || !at_line_start_) end_line(out);
    out += ".\r\n";  // RFC 5321 4.1.1.4
}

}  // namespace mox::smtp
