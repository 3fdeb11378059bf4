#include "smtpd/received.h"

#include <fmt/format.h>

namespace mox::smtpd {

std::string received_field(const TraceFacts& f) {
    std::string out = "Received:";
    if (!f.from.empty())
        out += " from " + f.from + "\r\n\t";
    else
        out += " ";
    out += "by " + f.by + " with " + f.with + " id " + f.id;
    if (!f.tls.empty()) out += "\r\n\t(" + f.tls + ")";
    if (!f.for_address.empty()) out += "\r\n\tfor <" + f.for_address + ">";
    return out + ";\r\n\t" + mail::format_date(f.when) + "\r\n";
}

std::string with_protocol(Extended extended, Encrypted encrypted, Authenticated authenticated, Internationalized utf8) {
    std::string name = utf8 == Internationalized::yes ? "UTF8SMTP" : extended == Extended::yes ? "ESMTP" : "SMTP";
    if (extended == Extended::no && utf8 == Internationalized::no) return name;
    if (encrypted == Encrypted::yes) name += 'S';
    if (authenticated == Authenticated::yes) name += 'A';
    return name;
}

}  // namespace mox::smtpd
