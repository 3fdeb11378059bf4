// The form of a message on the wire of DATA: lines end in CRLF, and lines that begin with a dot get another.
//
// A pure transformation of a stream, in pieces of any size. Nothing in the message can end DATA early: a bare LF or a
// bare CR becomes CRLF, so that no server can take one for a line end that we did not see. RFCs:
// 5321 2.3.8, 4.1.1.4, 4.5.2.
#pragma once

#include <string>
#include <string_view>

namespace mox::smtp {

class DotStuffing {
  public:
    /// Appends the wire form of the next bytes.
    void feed(std::string_view bytes, std::string& out);
    /// Appends what ends DATA; a last line without line end gets one.
    void finish(std::string& out);

  private:
    void end_line(std::string& out);
    bool at_line_start_ = true;
    bool after_cr_ = false;  // its line end is not written yet
};

}  // namespace mox::smtp
