// MailStore: the mail of one account: mailboxes, messages, flags, what changed when, credentials.
//
// A message is a row (mailbox, uid) that speaks of a content: where its bytes are, in a pack (packs.h) or a file of its
// own, and what is known of them. Copies share their content; it goes when its last row does. Every changing operation
// takes the account's next modseq; a mailbox's counters and highest_modseq are kept right in the same transaction. An
// operation that changes more than kRowsPerModSeq rows takes several modseqs, so that changes can always be handed out
// in bounded pieces. UIDs ascend in the order of arrival and are never used twice; nor are mailbox ids, UIDVALIDITY
// values, file numbers and modseqs.
//
// Runs in worker threads, inside a strand's operations. mailboxes.cc has the mailboxes, reading.cc what reads messages,
// searching.cc and threading.cc what finds them, sharing.cc who may, adding.cc, importing.cc and changing.cc what
// changes them, opinions.cc and junk_words.cc what is learned of that, mail_schema.cc the tables. RFC 3501, 9051, 7162
// (modseq), 6154 (special use), 4315 (UIDPLUS).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/account.h"
#include "proto/admin.h"
#include "proto/storage.h"
#include "proto/supervise.h"
#include "storaged/columns.h"
#include "storaged/compressing.h"
#include "storaged/guest_rules.h"
#include "storaged/packs.h"
#include "storaged/rights.h"
#include "storaged/sender_index.h"
#include "storaged/store.h"
#include "storaged/text_index.h"

namespace mox::storaged {

constexpr size_t kMaxInfo = 1u << 20;        // bytes of the opaque info of one message
constexpr size_t kMaxPrefix = 256u << 10;    // bytes in front of the file
constexpr size_t kMaxReplyBytes = 2u << 20;  // of long texts in one reply; well below a frame
constexpr size_t kMaxChanges = 10000;        // rows, and ranges, in one MailboxChanges
constexpr size_t kRowsPerModSeq = 5000;      // at most kMaxChanges / 2
constexpr size_t kMaxNameBytes = 2u << 20;   // of all mailbox and subscription names of an account

/// Marks a queue entry that was delivered here, so that a crash before it leaves the queue does not deliver it twice.
struct QueueMark {
    uint64_t queue = 0;  // which queue: a random number made with it
    uint64_t entry = 0;
};

/// A message on its way in.
struct NewMessage {
    std::shared_ptr<Content> content;
    std::string prefix;
    std::shared_ptr<const std::string> info;  // shared by all recipients
    std::string mail_from;
    std::string remote_address;
    std::string ehlo;
    proto::Timestamp received;
    uint32_t flags = 0;
    std::vector<std::string> keywords;
    std::string words;  // mail::word_list() of prefix and content; empty: they are not indexed now
    std::vector<std::string> recipients = {};  // noted when it comes into a mailbox for sent messages
    std::string sender = {};                   // encode_facts(); empty: nothing is kept of its senders
};

/// Empty files in the directory of an account that shares mailboxes (sharing.cc), of one that has keys of TLS clients
/// (client_keys.cc), and of one with sessions in a browser (web_sessions.cc), or that ever has: so others are spared
/// opening the databases of all to find out.
constexpr const char* kSharedMark = "shared";
constexpr const char* kClientKeysMark = "client-keys";
constexpr const char* kWebSessionsMark = "web-sessions";

/// A message of an import, and by what it is known when it comes again.
struct ImportedMessage {
    std::string key;  // empty: it is added whatever was imported before
    NewMessage message;
};

class MailStore : public Store {
  public:
    /// In this directory: accounts/NAME, but for one that is being restored.
    MailStore(const std::string& directory, Journal& journal, Counters& counters);

    /// Bytes the account may hold, 0 for no limit. From any thread.
    void set_quota(uint64_t bytes) { quota_ = bytes; }

    /// The account is no longer there: what it used is free.
    void forget_use();
    /// Makes the marks of a store that comes from a backup.
    void restore_marks();

    // ---- who asks, and what that may (sharing.cc)
    /// As long as it lives, within one operation, it is not the owner who asks but this account.
    class Asker {
      public:
        Asker(MailStore& store, const std::string& account) : store_(store) { store.asker_ = &account; }
        ~Asker() { store_.asker_ = nullptr; }
        Asker(const Asker&) = delete;
        Asker& operator=(const Asker&) = delete;

      private:
        MailStore& store_;
    };
    /// Whether a message of this kind about this mailbox may be carried out for who asks. Errors not_found, denied.
    Result<void> admit(const GuestRule& rule, const NamedMailbox& named);
    Result<proto::AclEntries> acl(const std::string& mailbox);
    /// The identifier is one in canonical form.
    Result<proto::Done> set_acl(const proto::SetAcl& request);
    Result<proto::Rights> my_rights(const std::string& mailbox);
    Shares shares();
    /// An account of this name that is made later has no rights here.
    Result<proto::Done> forget_identifier(const std::string& account);

    // ---- mailboxes (mailboxes.cc)
    Result<proto::MailboxList> list();
    Result<proto::Mailboxes> get(const std::vector<proto::MailboxId>& mailboxes);
    Result<proto::CreatedMailboxes> create(const std::string& name, uint32_t special_use);
    Result<proto::Done> remove(const std::string& name);
    Result<proto::Done> rename(const std::string& from, const std::string& to);
    Result<proto::Done> subscribe(const std::string& name, proto::Subscription subscription);

    // ---- what is known of mailboxes besides (metadata.cc)
    Result<proto::QuotaUse> quota();
    Result<proto::MetadataEntries> metadata(const std::string& mailbox);
    Result<proto::Done> set_metadata(const std::string& mailbox, const std::vector<proto::MetadataEntry>& entries);

    // ---- reading messages (reading.cc)
    Result<proto::MailboxColumns> open_mailbox(const proto::OpenMailbox& which);
    Result<proto::MailboxChanges> changes(proto::MailboxId mailbox, uint64_t since);
    Result<proto::MessageInfos> infos(const proto::FetchInfos& wanted);
    Result<proto::MessageFiles> files(const proto::OpenMessages& wanted);

    // ---- URLs that carry their authorization (url_tokens.cc)
    Result<proto::UrlToken> make_url_token(const proto::AuthorizedUrl& url);
    /// An empty name: of all mailboxes.
    Result<proto::Done> reset_url_keys(const std::string& mailbox);
    /// The message when the token is that of the URL. Error not_found when not, whatever the reason.
    Result<proto::MessageFiles> open_url(const proto::AuthorizedUrl& url, const std::string& token);

    // ---- changing messages (changing.cc, adding.cc)
    /// Creates the mailbox when it is missing; an empty name is INBOX. Does nothing when the mark is there already;
    /// true when the message was added.
    Result<bool> deliver(const std::string& mailbox, const NewMessage& message, std::optional<QueueMark> mark);
    /// `replaced` goes in the same operation, and its size does not count against the quota.
    Result<proto::MessagesAppended> append(const std::string& mailbox, const std::vector<NewMessage>& messages,
                                           std::optional<proto::ReplacedMessage> replaced = {});
    /// Messages that earlier imports brought are left out (importing.cc).
    Result<proto::MessagesImported> import(const std::string& mailbox, uint64_t run,
                                           const std::vector<ImportedMessage>& messages);
    Result<proto::FlagsStored> store_flags(proto::StoreFlags request);
    Result<proto::MessagesCopied> copy(const proto::CopyMessages& request);
    Result<proto::MessagesCopied> move(const proto::MoveMessages& request);
    Result<proto::MessagesExpunged> expunge(const proto::Expunge& request);

    // ---- retention (expiring.cc)
    struct Expired {
        uint64_t messages = 0;
        bool more = false;     // there are more to go now
        int64_t next_due = 0;  // when the next one goes at the earliest, Unix seconds
    };
    /// Removes messages that have been in their mailbox for too long, some at a time.
    Result<Expired> expire(const std::vector<proto::ConfigureStoraged::Expiry>& expiries, int64_t now);

    // ---- the index of words (searching.cc)
    Result<proto::TextFound> find_text(const std::vector<proto::TextKey>& keys);
    Result<proto::Done> index_words(const std::vector<proto::ContentWords>& contents);
    Result<proto::Done> drop_index();
    /// Does some of what this index, and that of senders, has to do; whether there is more. `now` in Unix seconds.
    Result<bool> build_index(int64_t now);

    // ---- threads (threading.cc)
    Result<proto::UnthreadedMessages> unthreaded();
    Result<proto::Done> assign_threads(const std::vector<proto::ThreadFacts>& messages);
    Result<proto::Threads> threads_of(const std::vector<uint64_t>& contents);
    Result<proto::ThreadContents> find_thread(proto::ThreadId thread);

    // ---- whom the account has written to (recipients.cc)
    /// What is no address is passed over.
    Result<proto::Done> note_recipients(const std::vector<std::string>& addresses, int64_t when);
    Result<proto::KnownRecipients> recipients(const std::string& after);

    // ---- senders, and what is said of their messages (opinions.cc)
    Result<proto::SenderHistories> sender_history(const Senders& senders);
    /// Facets of this value that are known.
    Result<proto::SenderHistories> senders_named(const std::string& who);
    Result<proto::KnownSenders> known_senders(const std::string& after);
    /// An empty name: all.
    Result<proto::SendersForgotten> forget_senders(const std::string& who);

    // ---- the words of junk (junk_words.cc)
    Result<bool> has_unlearned();
    Result<proto::UnlearnedMessages> unlearned();
    Result<proto::Done> learn(const std::vector<proto::LearnedMessage>& messages);
    Result<proto::WordCounts> word_counts(const std::vector<uint64_t>& words);
    Result<proto::JunkStatus> junk_status();
    Result<proto::Done> reset_junk_words(proto::JunkReset reset);

    // ---- large messages become compressed files (compressing.cc)
    /// The first to be tried whose number is greater.
    Result<std::optional<Compressible>> next_compressible(uint64_t after);
    /// Puts the compressed file in the place of the present one, or notes that it stays as it is.
    Result<proto::Done> finish_compression(uint64_t content, const Compression& compression);

    /// Does some of what there is to do about packs; whether there is more.
    Result<bool> rewrite_packs() { return packs_.rewrite(); }

    // ---- credentials
    Result<proto::StoredCredentials> credentials();
    /// All sessions in a browser end with it.
    Result<proto::Done> set_credentials(const proto::Credentials& credentials);
    /// By when they were added (client_keys.cc).
    Result<std::vector<proto::ClientKey>> client_keys();
    /// Error over_quota. That it is nobody else's is for the caller to see to.
    Result<proto::Done> add_client_key(const proto::ClientKey& key);
    Result<proto::Done> remove_client_key(const std::string& fingerprint);

    // ---- sessions in a browser; `now` in Unix seconds (web_sessions.cc)
    /// Those used longest ago end when there are too many.
    Result<proto::WebSession> add_web_session(const proto::NewWebSession& session, int64_t now);
    /// By the hash of its token. Error not_found.
    Result<proto::WebSession> find_web_session(const std::string& token, proto::WebSessionKind kind, int64_t now);
    Result<proto::Done> use_web_session(uint64_t id, int64_t now);
    Result<proto::WebSessions> web_sessions(int64_t now);
    /// One, or with 0 all. Error not_found.
    Result<proto::Done> end_web_sessions(uint64_t id);
    /// Of those that nobody finds any more.
    Result<bool> has_ended_web_sessions(int64_t now);
    Result<proto::Done> drop_ended_web_sessions(int64_t now);

    // ---- restoring (restoring.cc)
    uint64_t next_uidvalidity();
    /// Gives each mailbox a UIDVALIDITY that is above all that it or another store of the account has had: uids may
    /// have been used for other messages meanwhile (RFC 3501 2.3.1.1).
    void renew_uidvalidity(uint64_t above);
    /// From now on its numbers of files are not those of the store that it was copied from.
    void renew_history() { db().run("UPDATE state SET history = random()"); }
    Result<proto::StagedMessages> list_messages(const std::string& mailbox, uint32_t after);

    std::span<const Check> checks() const override;
    const char* files_sql() const override;
    const char* count_sql() const override;
    const char* history_sql() const override { return "SELECT history FROM state"; }
    uint64_t check_contents(const proto::FileRow& file, const std::function<void(std::string)>& report) override;
    /// The next small message begins a new pack: what a backup has of the current one may differ from now on.
    void end_pack() { db().run("UPDATE state SET pack = 0"); }
    void finish_operation() override { packs_.finish(); }
    uint64_t check_part(uint64_t from, Repair repair, const std::function<void(std::string)>& report) override;

  protected:
    void fill_new() override;
    bool row_has_file(uint64_t file) override;
    void note_use() override;
    void forget_rows() noexcept override;
    void forget_operation() noexcept override { packs_.undo(); }
    void recover_contents() override { packs_.recover(); }
    void unpack_stray(uint64_t file) override { packs_.unpack_stray(file); }

  private:
    struct Row {
        uint32_t uid = 0;
        uint32_t flags = 0;
        uint64_t keywords = 0;
        uint64_t modseq = 0;
        uint64_t size = 0;
        uint64_t content = 0;
        int64_t received = 0;
        int16_t zone = 0;
        uint32_t saved = 0;
    };
    /// Hands out modseqs for one operation: a new one every kRowsPerModSeq rows.
    class ModSeqs {
      public:
        explicit ModSeqs(MailStore& store) : store_(store) {}
        uint64_t for_row();
        uint64_t last() const { return value_; }

      private:
        MailStore& store_;
        uint64_t value_ = 0;
        size_t rows_ = 0;
    };
    /// What a change adds to the counters of a mailbox.
    struct Delta {
        int64_t messages = 0;
        int64_t unseen = 0;
        int64_t deleted = 0;
        int64_t size = 0;
        void add(uint32_t flags, uint64_t bytes, int64_t sign);
    };

    Result<std::optional<proto::Mailbox>> find_annotated(const std::string& name);
    std::vector<proto::AclEntry> acl_of(uint64_t mailbox);
    uint32_t rights_on(uint64_t mailbox);
    Result<void> permit(const proto::Mailbox& mailbox, uint32_t all_of, uint32_t any_of = 0);
    Result<void> permit_new(const std::string& name);
    /// The mailbox of that name, if who asks has these rights on it. Errors bad_request, not_found, denied.
    Result<proto::Mailbox> find_for(const std::string& name, uint32_t needed);
    Result<void> add_acl(uint64_t mailbox, const proto::AclEntry& entry);
    Result<void> inherit_acl(uint64_t mailbox, const std::string& name);
    void note_shares();
    void make_mark(const char* mark);
    proto::Mailbox mailbox_from(const Query& row);

    std::optional<proto::Mailbox> find(std::string_view name);
    std::optional<proto::Mailbox> find(proto::MailboxId id);
    bool has_children(std::string_view name);
    Result<proto::Mailbox> create_one(const std::string& name, uint32_t special_use);
    Result<std::vector<proto::Mailbox>> create_with_parents(const std::string& name, uint32_t special_use);
    Result<void> check_room_for_name(std::string_view name);
    Result<proto::Done> rename_inbox(const proto::Mailbox& inbox, const std::string& to);
    Result<void> rename_tree(const std::string& from, const std::string& to);
    bool is_subscribed(std::string_view name);
    void add_subscription(std::string_view name);

    static std::vector<proto::WebSession> read_web_sessions(Query rows);
    std::optional<std::string> url_key(uint64_t mailbox);
    bool use_kept(proto::MailboxColumns& columns);
    /// Calls `take` with each of the messages that exists, in order, until it returns false. `sql` has the mailbox, the
    /// first and the last UID as values, and selects the UID first.
    template <class Take>
    void each_wanted(const char* sql, proto::MailboxId mailbox, std::span<const proto::Uid> uids, Take take);
    bool read_content(proto::MessageFile& message, const ContentPlace& place, const proto::OpenMessages& wanted,
                      PackReader& packs);
    std::vector<std::string> keywords_of(uint64_t mailbox);
    Result<uint64_t> keyword_bits(uint64_t mailbox, const std::vector<std::string>& names, bool create);
    Result<uint64_t> translate_keywords(uint64_t bits, const std::vector<std::string>& names, uint64_t destination);
    std::vector<Row> rows_in(uint64_t mailbox, const std::vector<proto::UidRange>& uids, uint32_t with_flags,
                             size_t limit);

    uint64_t next_modseq();
    bool over_quota(uint64_t more);
    void note_changed(uint64_t mailbox, uint64_t modseq, const Delta& delta);
    Result<uint32_t> add_message(const proto::Mailbox& mailbox, const NewMessage& message, uint64_t modseq);
    std::vector<std::string> fitting_keywords(uint64_t mailbox, const std::vector<std::string>& names);
    Result<proto::ImportState> import_one(const proto::Mailbox& mailbox, uint64_t run, const ImportedMessage& message,
                                          uint64_t modseq);
    uint64_t add_content(const proto::Mailbox& mailbox, const NewMessage& message);
    void note_compressible(uint64_t content);
    /// The content of a file of its own is gone.
    void drop_file(uint64_t content, const ContentPlace& place);
    Result<uint32_t> take_uids(uint64_t mailbox, size_t count);
    void insert_row(uint64_t mailbox, uint32_t uid, uint64_t modseq, const Row& row);
    /// Takes messages out of a mailbox; the modseq.
    uint64_t remove_rows(uint64_t mailbox, const std::vector<Row>& rows);
    uint64_t expire_one(const proto::Mailbox& mailbox, int64_t before, int64_t& oldest);
    /// The system flags that who asks may change.
    static uint32_t changeable(const proto::Mailbox& mailbox);
    static Result<void> keep_permitted(const proto::Mailbox& mailbox, proto::StoreFlags& request);
    static void drop_flags(const proto::Mailbox& mailbox, uint32_t& flags, uint64_t& keywords);
    void add_tombstones(uint64_t mailbox, const std::vector<std::pair<uint32_t, uint64_t>>& uids);
    void drop_content(uint64_t content);
    uint64_t find_thread_for(const proto::ThreadFacts& facts);
    void assign_thread(const proto::ThreadFacts& facts);
    void leave_thread(uint64_t content);
    /// What says whether a message is junk: its flags, and the use of its mailbox.
    struct Standing {
        uint32_t flags = 0;
        uint32_t special_use = 0;
    };
    void note_opinion(uint64_t content, Standing before, Standing after);
    /// The content is about to go.
    void keep_opinion(uint64_t content);
    void count_words(proto::JunkClass as, const std::vector<uint64_t>& words, int64_t by);
    bool drop_rare_words();
    Result<proto::MessagesCopied> move_rows(const proto::Mailbox& source, const proto::Mailbox& destination,
                                            const std::vector<Row>& rows);
    Result<std::vector<Row>> rows_to_copy(uint64_t mailbox, const std::vector<proto::UidRange>& uids);

    const std::string directory_;
    const std::string* asker_ = nullptr;  // nullptr: the owner
    std::atomic<uint64_t> quota_ = 0;
    KeptColumns kept_{counters().columns};
    TextIndex index_;
    SenderIndex senders_{counters().senders};
    Packs packs_{*this, counters().packs};
    uint64_t counted_use_ = 0;  // of this store, in Counters::used
};

/// The tables of an account's database.
Upgrades mail_upgrades();

}  // namespace mox::storaged
