// What IMAP clients are told this server can do; each of it works.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mox::imapd {

/// Messages that one APPEND takes; without a limit for all commands, a client should not exceed it in one COPY either
/// (RFC 9738 3 SAVELIMIT).
constexpr size_t kSaveLimit = 1000;

constexpr std::string_view kCapabilities =
    "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UNSELECT UIDPLUS MOVE CHILDREN SPECIAL-USE "
    "CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS LIST-METADATA STATUS=SIZE UTF8=ACCEPT CONDSTORE QRESYNC ESEARCH "
    "SEARCHRES WITHIN PARTIAL UIDONLY SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES BINARY "
    "MULTIAPPEND CATENATE URLAUTH URLAUTH=BINARY REPLACE SAVEDATE OBJECTID PREVIEW QUOTA QUOTA=RES-STORAGE METADATA "
    "COMPRESS=DEFLATE "
    "ACL RIGHTS=kxte LIST-MYRIGHTS "
    "INPROGRESS NOTIFY CONTEXT=SEARCH CONTEXT=SORT MULTISEARCH "
    "UIDBATCHES SEARCH=FUZZY FILTERS LANGUAGE I18NLEVEL=1";

/// Whether UNAUTHENTICATE can be had on this connection (RFC 8437 8).
enum class Reuse : uint8_t { refused, allowed, kEnd };

/// What differs from listener to listener.
struct Offer {
    uint64_t max_message_size;  // bytes that APPEND takes
    uint32_t message_limit;     // messages that one command works on; 0: any number
    Reuse reuse;
};

/// After login; before it the same, with STARTTLS, AUTH= and LOGINDISABLED as they apply (RFC 3501 6.1.1).
inline std::string capabilities(const Offer& offer) {
    std::string out(kCapabilities);
    out += " APPENDLIMIT=" + std::to_string(offer.max_message_size);  // RFC 7889 3
    // RFC 9738 3: one or the other
    out += offer.message_limit != 0 ? " MESSAGELIMIT=" + std::to_string(offer.message_limit)
                                    : " SAVELIMIT=" + std::to_string(kSaveLimit);
    if (offer.reuse == Reuse::allowed) out += " UNAUTHENTICATE";
    return out;
}

}  // namespace mox::imapd
