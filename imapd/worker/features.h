// What the client of a session has enabled, and what follows from it for the form of answers.
#pragma once

#include "common/mail/imap_text.h"
#include "imapd/grammar/scanner.h"

namespace mox::imapd {

/// For the rest of the session (RFC 5161 3.1).
struct Features {
    bool rev2 = false;       // IMAP4rev2 (RFC 9051)
    bool utf8 = false;       // UTF8=ACCEPT (RFC 6855)
    bool condstore = false;  // by ENABLE, or by any command that speaks of modseqs (RFC 7162 3.1)
    bool qresync = false;    // RFC 7162 3.2
    bool uidonly = false;    // RFC 9586

    /// As bits, and back; for sessions at rest.
    uint32_t to_bits() const { return rev2 | utf8 << 1 | condstore << 2 | qresync << 3 | uidonly << 4; }
    static Features of_bits(uint32_t bits) {
        return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0};
    }

    /// Both let UTF-8 into quoted strings and mailbox names.
    bool has_utf8() const { return rev2 || utf8; }
    NameForm names() const { return has_utf8() ? NameForm::utf8 : NameForm::utf7; }
    mail::Utf8 strings() const { return has_utf8() ? mail::Utf8::allowed : mail::Utf8::forbidden; }
    mail::ImapRevision revision() const { return rev2 ? mail::ImapRevision::rev2 : mail::ImapRevision::rev1; }
    /// Removals are told as VANISHED, not as EXPUNGE.
    bool tells_vanished() const { return qresync || uidonly; }
};

static_assert(sizeof(Features) == 5, "what is added has to be in to_bits() and of_bits()");

}  // namespace mox::imapd
