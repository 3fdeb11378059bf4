#include <ctime>

#include "storaged/mail_store.h"

// Version n of the schema is what the first n texts make. Never change one that was released: add one.
//
// `message` is clustered by (mailbox, uid), and narrow: opening a mailbox of a million reads it from end to end.
// `content` has what is large and never changes, once for all copies.

namespace mox::storaged {
namespace {

constexpr const char* kVersion1 = R"(
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_file INTEGER NOT NULL,
    clean INTEGER NOT NULL,             -- the journal's era in which it was closed; 0: it was not, files are looked for
    clean_below INTEGER NOT NULL,       -- files below have been checked against the rows
    next_modseq INTEGER NOT NULL,
    next_uidvalidity INTEGER NOT NULL,
    used INTEGER NOT NULL,              -- sum of message.size
    pack INTEGER NOT NULL               -- that gets the next small content; 0: none yet
);
CREATE TABLE erase (file INTEGER PRIMARY KEY);
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    special_use INTEGER NOT NULL,
    uidvalidity INTEGER NOT NULL UNIQUE,
    uidnext INTEGER NOT NULL,
    created INTEGER NOT NULL,           -- modseq of its creation
    highest_modseq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE keyword (
    mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    bit INTEGER NOT NULL CHECK (bit BETWEEN 0 AND 63),
    name TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (mailbox, bit)
) WITHOUT ROWID;
CREATE TABLE pack (
    id INTEGER PRIMARY KEY,             -- the number of the file
    size INTEGER NOT NULL,              -- where its records end
    live INTEGER NOT NULL,              -- contents that are in it
    live_bytes INTEGER NOT NULL,        -- of their records
    rewrite INTEGER NOT NULL,           -- 1: they are to be moved; -1: that was tried, and some are damaged
    moved INTEGER NOT NULL              -- to where that was done
);
CREATE TABLE content (
    id INTEGER PRIMARY KEY,             -- from the same numbers as those of files
    copies INTEGER NOT NULL,            -- rows of message that speak of it
    file INTEGER NOT NULL,              -- its own, with the same number; a pack; or one in compressed
    offset INTEGER NOT NULL,            -- in the pack: of its record
    length INTEGER NOT NULL,            -- stored bytes
    method INTEGER NOT NULL,            -- what they are: common/pack/record.h
    file_size INTEGER NOT NULL,         -- of the message, without the prefix
    stored INTEGER NOT NULL,            -- Unix seconds
    mail_from TEXT NOT NULL,
    remote_address TEXT NOT NULL,
    ehlo TEXT NOT NULL,
    prefix BLOB NOT NULL,
    info BLOB NOT NULL
);
CREATE TABLE message (
    mailbox INTEGER NOT NULL REFERENCES mailbox,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    created INTEGER NOT NULL,           -- modseq when it came into the mailbox
    flags INTEGER NOT NULL,
    keywords INTEGER NOT NULL,
    size INTEGER NOT NULL,              -- prefix and file
    received INTEGER NOT NULL,
    zone INTEGER NOT NULL,
    saved INTEGER NOT NULL,             -- when it came into the mailbox, Unix seconds
    content INTEGER NOT NULL,           -- content.id; no foreign key: it would need an index of its own
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX message_modseq ON message (mailbox, modseq);
CREATE TABLE expunged (
    mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    modseq INTEGER NOT NULL,
    first INTEGER NOT NULL,             -- uids that are gone, inclusive
    last INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, first)
) WITHOUT ROWID;
CREATE TABLE metadata (
    mailbox INTEGER NOT NULL,           -- 0: of the account; no foreign key for that
    name TEXT NOT NULL,                 -- lower case
    value BLOB NOT NULL,
    PRIMARY KEY (mailbox, name)
) WITHOUT ROWID;
CREATE TABLE subscription (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE credential (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    argon2 TEXT NOT NULL,
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,           -- these for SCRAM-SHA-256
    server_key BLOB NOT NULL,
    sha1_salt BLOB NOT NULL,            -- and for SCRAM-SHA-1; empty: none
    sha1_iterations INTEGER NOT NULL,
    sha1_stored_key BLOB NOT NULL,
    sha1_server_key BLOB NOT NULL
);
CREATE TABLE delivered (
    queue INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (queue, entry)
) WITHOUT ROWID;
CREATE INDEX delivered_time ON delivered (time);
-- The index of words (text_index.h).
CREATE TABLE word_list (
    content INTEGER PRIMARY KEY,        -- that is in no segment
    words BLOB NOT NULL                 -- common/mail/words.h
);
CREATE TABLE dead_content (content INTEGER PRIMARY KEY);   -- that a segment may still speak of
CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    level INTEGER NOT NULL,
    state INTEGER NOT NULL,             -- 0: used; 1: being made of those that have it as target; 2: to be removed
    target INTEGER NOT NULL,
    contents BLOB NOT NULL,             -- whose words it has
    incomplete BLOB NOT NULL,           -- not all words of these
    dead BLOB NOT NULL,                 -- being made: contents that are left out
    after BLOB NOT NULL                 -- being made: the last word written
);
CREATE TABLE segment_words (
    id INTEGER PRIMARY KEY,             -- of a block: segment << 24 | number
    first BLOB NOT NULL,
    words BLOB NOT NULL
);
CREATE TABLE segment_postings (id INTEGER PRIMARY KEY, postings BLOB NOT NULL);
)";

// What imports have brought (importing.cc).
constexpr const char* kVersion2 = R"(
CREATE TABLE imported (
    key BLOB PRIMARY KEY,
    count INTEGER NOT NULL,             -- messages added with this key
    run INTEGER NOT NULL,               -- the import that met it last
    seen INTEGER NOT NULL,              -- how often that has met it
    time INTEGER NOT NULL               -- when, Unix seconds
) WITHOUT ROWID;
)";

// Who else may do what with a mailbox (sharing.cc).
constexpr const char* kVersion3 = R"(
CREATE TABLE acl (
    mailbox INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE,
    identifier TEXT NOT NULL,           -- the name of an account, or anyone; with '-' in front: takes rights away
    rights INTEGER NOT NULL,            -- proto::Right bits
    PRIMARY KEY (mailbox, identifier)
) WITHOUT ROWID;
)";

// Random: with another value, the same numbers may be other files. A new store gets its own (fill_new).
constexpr const char* kVersion4 = R"(
ALTER TABLE state ADD COLUMN history INTEGER NOT NULL DEFAULT 0;
UPDATE state SET history = random();
)";

// Messages are compressed (common/pack/compression.h, frames.h): method has new values.
constexpr const char* kVersion5 = R"(
CREATE TABLE compressed (
    file INTEGER PRIMARY KEY,           -- with one large message
    content INTEGER NOT NULL,           -- whose
    size INTEGER NOT NULL               -- of the file
);
CREATE TABLE to_compress (
    content INTEGER PRIMARY KEY,        -- large and new (compressing.cc)
    tries INTEGER NOT NULL              -- that found its file shared
);
)";

// Which messages belong together (threading.cc), and whom the account has written to (recipients.cc). Message-IDs and
// subjects are hashes.
constexpr const char* kVersion6 = R"(
CREATE TABLE thread (
    id INTEGER PRIMARY KEY,             -- number of the content that began it
    born INTEGER NOT NULL,              -- when that was stored, Unix seconds
    messages INTEGER NOT NULL,          -- rows of thread_of that speak of it
    joined INTEGER NOT NULL,            -- messages that ever did: bounds thread_key
    subject INTEGER NOT NULL,           -- of the message that began it; 0: none
    newest INTEGER NOT NULL             -- date of its latest message
);
CREATE INDEX thread_subject ON thread (subject, newest);
CREATE TABLE thread_of (
    content INTEGER PRIMARY KEY,        -- ascends: those above the last one have no thread yet
    thread INTEGER NOT NULL
);
CREATE INDEX thread_of_thread ON thread_of (thread);
CREATE TABLE thread_key (
    message_id INTEGER NOT NULL,        -- that a message of the thread has or refers to
    subject INTEGER NOT NULL,           -- of that message
    thread INTEGER NOT NULL,
    PRIMARY KEY (message_id, subject)
) WITHOUT ROWID;
CREATE INDEX thread_key_thread ON thread_key (thread);
CREATE TABLE recipient (
    address TEXT PRIMARY KEY,           -- lower case
    last INTEGER NOT NULL,              -- when it was written to, Unix seconds
    count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX recipient_last ON recipient (last);
)";

// Keys: of TLS clients that log in with them (client_keys.cc), and of mailboxes for URLs (url_tokens.cc).
constexpr const char* kVersion7 = R"(
CREATE TABLE client_key (
    fingerprint BLOB PRIMARY KEY,       -- SHA-256 of the SubjectPublicKeyInfo
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    added INTEGER NOT NULL,             -- Unix seconds
    preauth INTEGER NOT NULL            -- 1: IMAP connections with it need no login
) WITHOUT ROWID;
CREATE TABLE url_key (
    mailbox INTEGER PRIMARY KEY REFERENCES mailbox ON DELETE CASCADE,
    key BLOB NOT NULL
);
)";

// Sessions in a browser (web_sessions.cc), and what is learned of mail.
constexpr const char* kVersion8 = R"(
CREATE TABLE web_session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token BLOB NOT NULL UNIQUE,         -- SHA-256 of it
    csrf BLOB NOT NULL,                 -- the same of the second token
    kind INTEGER NOT NULL,              -- proto::WebSessionKind
    created INTEGER NOT NULL,           -- Unix seconds
    last_used INTEGER NOT NULL,
    remote_address TEXT NOT NULL,
    user_agent TEXT NOT NULL
);
-- Senders (sender_index.h), what is said of messages (opinions.cc) and learned of them (junk_words.cc).
ALTER TABLE content ADD COLUMN sender BLOB NOT NULL DEFAULT x'';            -- encode_facts(); empty: nothing is kept
ALTER TABLE state ADD COLUMN sender_indexed INTEGER NOT NULL DEFAULT 0;     -- contents up to this one are, or have none
ALTER TABLE state ADD COLUMN sender_secret BLOB NOT NULL DEFAULT x'';       -- of the hashes in sender_key
ALTER TABLE state ADD COLUMN junk_messages INTEGER NOT NULL DEFAULT 0;      -- that were learned as junk
ALTER TABLE state ADD COLUMN not_junk_messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN junk_words INTEGER NOT NULL DEFAULT 0;         -- rows of junk_word
UPDATE state SET sender_indexed = next_file - 1, sender_secret = randomblob(16);
CREATE TABLE sender (
    content INTEGER PRIMARY KEY,        -- which may be gone
    stored INTEGER NOT NULL,            -- Unix seconds
    facts INTEGER NOT NULL,             -- the first byte of content.sender
    address TEXT NOT NULL               -- in From
);
CREATE TABLE sender_key (
    segment INTEGER NOT NULL,
    key INTEGER NOT NULL,               -- hash of a facet and its value
    content INTEGER NOT NULL,           -- sender has it, unless it was forgotten
    PRIMARY KEY (segment, key, content)
) WITHOUT ROWID;
CREATE TABLE sender_segment (
    first INTEGER PRIMARY KEY,          -- content; what sender_key knows it by
    last INTEGER NOT NULL,
    messages INTEGER NOT NULL
);
CREATE TABLE opinion (
    content INTEGER PRIMARY KEY,        -- which may be gone when sender has it
    value INTEGER NOT NULL,             -- proto::Opinion
    wanted INTEGER NOT NULL,            -- proto::JunkClass: what its words are to be learned as
    learned INTEGER NOT NULL            -- what they are
);
CREATE INDEX opinion_unlearned ON opinion (content) WHERE wanted != learned;
CREATE TABLE junk_word (
    word INTEGER PRIMARY KEY,           -- common/mail/junk_words.h
    junk INTEGER NOT NULL,              -- messages that were learned
    not_junk INTEGER NOT NULL,
    last INTEGER NOT NULL               -- when it was counted, days since 1970
);
)";

constexpr const char* kUpgrades[] = {kVersion1, kVersion2, kVersion3, kVersion4,
                                     kVersion5, kVersion6, kVersion7, kVersion8};

struct DefaultMailbox {
    const char* name;
    uint32_t special_use;
};
constexpr DefaultMailbox kDefaults[] = {{"INBOX", 0},
                                        {"Archive", proto::kArchiveUse},
                                        {"Drafts", proto::kDraftsUse},
                                        {"Junk", proto::kJunkUse},
                                        {"Sent", proto::kSentUse},
                                        {"Trash", proto::kTrashUse}};

}  // namespace

Upgrades mail_upgrades() {
    return kUpgrades;
}

void MailStore::fill_new() {
    // Half the time: an account that is made anew gets other values than the one before (RFC 3501 2.3.1.1), for as long
    // as 32 bits last.
    db().run("INSERT INTO state VALUES (1, 1, 0, 1, 1, ?, 0, 0, random(), 0, randomblob(16), 0, 0, 0)",
             std::time(nullptr) / 2);
    for (const DefaultMailbox& mailbox : kDefaults) {
        auto created = create_one(mailbox.name, mailbox.special_use);
        if (!created) throw StoreFailure(created.error(), "creating the first mailboxes");
    }
}

}  // namespace mox::storaged
