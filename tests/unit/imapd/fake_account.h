// A mail store in memory that speaks proto/account.h over real channels, for tests of IMAP sessions.
#pragma once

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "common/ipc/channel.h"
#include "common/mail/mime_parser.h"
#include "common/mail/words.h"
#include "common/text/ascii.h"
#include "proto/account.h"

namespace mox::imapd::fake {

struct Message {
    proto::MessageRow row{};
    std::string prefix;
    std::shared_ptr<std::string> content;
    std::string info;
    proto::ContentId id{};
};

struct Box {
    proto::Mailbox mailbox{};
    std::vector<std::string> keywords;
    std::vector<Message> messages;
    struct Gone {
        uint32_t uid;
        uint64_t modseq;
    };
    std::vector<Gone> gone;
};

inline Fd memory_file(std::string_view bytes) {
    Fd fd(memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    while (!bytes.empty()) {
        auto n = ::write(fd.get(), bytes.data(), bytes.size());
        if (n <= 0) break;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return fd;
}

class Store {
  public:
    Store() { make("INBOX"); }

    /// The worker's end of a new channel to this store.
    Fd connect(std::string account = "test") {
        auto [ours, theirs] = ipc::make_socket_pair();
        auto channel = std::make_unique<ipc::Channel>(std::move(ours), ipc::PeerId{ipc::Role::imapd_worker, "worker"});
        channel->serve(proto::AccountMessages{}, *this);
        channel->start();
        channel->send(proto::AccountOpened{std::move(account)});
        channels_.push_back(std::move(channel));
        return std::move(theirs);
    }
    void cut() {
        for (auto& channel : channels_) channel->close("cut by the test");
    }

    Box* find(std::string_view name) {
        for (auto& box : boxes_)
            if (box->mailbox.name == name) return box.get();
        return nullptr;
    }
    Box& make(std::string name) {
        auto box = std::make_unique<Box>();
        box->mailbox.id = {++last_id_};
        box->mailbox.name = std::move(name);
        box->mailbox.uidvalidity = static_cast<uint32_t>(1000 + last_id_);
        box->mailbox.uidnext = 1;
        box->mailbox.highest_modseq = ++modseq_;
        boxes_.push_back(std::move(box));
        std::ranges::sort(boxes_, {}, [](const auto& b) { return b->mailbox.name; });
        return *by_id_or_null({last_id_});
    }
    /// A message as if delivered; tells the sessions.
    uint32_t add(Box& box, std::string content, uint32_t flags = 0, std::string prefix = "",
                 proto::Timestamp when = {0, 0}, uint64_t keywords = 0) {
        Message message;
        message.row.uid = box.mailbox.uidnext++;
        message.row.flags = flags;
        message.row.keywords = keywords;
        message.row.modseq = ++modseq_;
        message.row.size = content.size() + prefix.size();
        message.row.received = when.unix_seconds;
        message.row.received_zone = when.zone_minutes;
        message.row.saved = saved;
        message.id = {++last_content_, 1000};
        message.row.content = message.id.number;
        message.info = ipc::encode(mail::parse_message(content));
        message.prefix = std::move(prefix);
        message.content = std::make_shared<std::string>(std::move(content));
        if (index_new) words[message.id.number] = words_of(message);
        box.messages.push_back(std::move(message));
        changed(box);
        return box.messages.back().row.uid;
    }
    void remove(Box& box, uint32_t uid) {
        std::erase_if(box.messages, [&](const auto& m) { return m.row.uid == uid; });
        box.gone.push_back({uid, ++modseq_});
        changed(box);
    }
    void changed(Box& box) {
        box.mailbox.highest_modseq = modseq_;
        if (quiet) return;
        for (auto& channel : channels_)
            if (!channel->lost()) channel->send(proto::MailboxChanged{box.mailbox.id, modseq_});
    }

    std::string identity = "test";  // what a channel says it is for, when asked
    Result<proto::AccountIdentity> on(proto::AskAccount) { return proto::AccountIdentity{identity}; }
    Result<proto::SpoolFile> on(proto::CreateSpool) {
        if (fail_next) return temporary(ErrorCode::no_space, "full");
        Fd mine = memory_file("");
        Fd theirs(fcntl(mine.get(), F_DUPFD_CLOEXEC, 0));
        spools_[++last_spool_] = std::move(mine);
        return proto::SpoolFile{last_spool_, std::move(theirs)};
    }
    void on(proto::DropSpool message) { spools_.erase(message.spool); }
    size_t spools() const { return spools_.size(); }

    Result<proto::MailboxList> on(proto::ListMailboxes) {
        proto::MailboxList list;
        for (auto& box : boxes_) list.mailboxes.push_back(counted(*box));
        list.subscribed = subscribed;
        return list;
    }
    Result<proto::CreatedMailboxes> on(proto::CreateMailbox message) {
        if (find(message.name)) return permanent(ErrorCode::exists, "exists");
        if (message.name.empty() || message.name.find("//") != std::string::npos)
            return permanent(ErrorCode::bad_request, "not a mailbox name");
        auto& box = make(message.name);
        box.mailbox.special_use = message.special_use;
        if (subscribe_created) subscribed.push_back(message.name);
        list_changed();
        return proto::CreatedMailboxes{{box.mailbox}};
    }
    Result<proto::Done> on(proto::DeleteMailbox message) {
        if (message.name == "INBOX") return permanent(ErrorCode::bad_request, "INBOX stays");
        Box* box = find(message.name);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        auto id = box->mailbox.id;
        std::erase_if(boxes_, [&](const auto& b) { return b.get() == box; });
        for (auto& channel : channels_)
            if (!channel->lost()) channel->send(proto::MailboxChanged{id, ++modseq_});
        list_changed();
        return proto::Done{};
    }
    Result<proto::Done> on(proto::RenameMailbox message) {
        Box* box = find(message.from_name);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        if (find(message.to_name)) return permanent(ErrorCode::exists, "exists");
        for (auto& each : boxes_)
            if (each->mailbox.name.starts_with(message.from_name + "/"))
                each->mailbox.name = message.to_name + each->mailbox.name.substr(message.from_name.size());
        box->mailbox.name = message.to_name;
        list_changed();
        return proto::Done{};
    }
    Result<proto::Done> on(proto::Subscribe message) {
        std::erase(subscribed, message.name);
        if (message.subscription == proto::Subscription::subscribe) subscribed.push_back(message.name);
        list_changed();
        return proto::Done{};
    }
    Result<proto::AclEntries> on(proto::GetAcl message) {
        if (find(message.mailbox) == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        proto::AclEntries out;
        for (auto& [identifier, rights] : acl[message.mailbox]) out.entries.push_back({identifier, rights});
        return out;
    }
    Result<proto::Done> on(proto::SetAcl message) {
        if (find(message.mailbox) == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        if (message.identifier == identity) return permanent(ErrorCode::exists, "the owner");
        if (message.identifier == "nobody") return permanent(ErrorCode::bad_request, "no such account");
        uint32_t& rights = acl[message.mailbox][message.identifier];
        if (message.change == proto::AclChange::replace) rights = message.rights;
        if (message.change == proto::AclChange::add) rights |= message.rights;
        if (message.change == proto::AclChange::remove) rights &= ~message.rights;
        if (rights == 0) acl[message.mailbox].erase(message.identifier);
        return proto::Done{};
    }
    Result<proto::Rights> on(proto::GetFixedRights message) {
        return proto::Rights{message.identifier == identity ? uint32_t{proto::kAllRights} : 0};
    }
    Result<proto::Rights> on(proto::GetMyRights message) {
        Box* box = find(message.mailbox);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        return proto::Rights{box->mailbox.rights};
    }
    /// Not what storaged makes, but as different for what differs.
    std::string token_of(const proto::AuthorizedUrl& url) {
        auto number = url_keys[url.mailbox];
        return ipc::encode(url).substr(0, 200) + std::to_string(number);
    }
    Result<proto::UrlToken> on(proto::MakeUrlToken message) {
        if (message.url.user != identity || find(message.url.mailbox) == nullptr)
            return permanent(ErrorCode::not_found, "not yours");
        return proto::UrlToken{token_of(message.url)};
    }
    Result<proto::Done> on(proto::ResetUrlKeys message) {
        if (!message.mailbox.empty() && find(message.mailbox) == nullptr)
            return permanent(ErrorCode::not_found, "no such mailbox");
        for (auto& box : boxes_)
            if (message.mailbox.empty() || box->mailbox.name == message.mailbox) url_keys[box->mailbox.name]++;
        return proto::Done{};
    }
    Result<proto::MessageFiles> on(proto::OpenUrl message) {
        urls_opened++;
        if (fail_changes) return temporary(ErrorCode::busy, "busy");
        Box* box = find(message.url.mailbox);
        auto* m = box != nullptr ? find_message(box->mailbox.id, message.url.uid.value) : nullptr;
        if (m == nullptr || message.token != token_of(message.url)) return permanent(ErrorCode::not_found, "no");
        proto::MessageFiles files;
        files.messages.push_back(file_of({}, message.url.uid, *m));
        return files;
    }
    Result<proto::QuotaUse> on(proto::GetQuota) {
        proto::QuotaUse use{0, quota, 0};
        for (auto& box : boxes_) {
            use.bytes += counted(*box).size;
            use.messages += box->messages.size();
        }
        return use;
    }
    Result<proto::MetadataEntries> on(proto::GetMetadata message) {
        if (!message.mailbox.empty() && !find(message.mailbox)) return permanent(ErrorCode::not_found, "no mailbox");
        proto::MetadataEntries out;
        for (auto& [name, value] : metadata[message.mailbox]) out.entries.push_back({name, value});
        return out;
    }
    Result<proto::Done> on(proto::SetMetadata message) {
        if (!message.mailbox.empty() && !find(message.mailbox)) return permanent(ErrorCode::not_found, "no mailbox");
        if (over_quota) return permanent(ErrorCode::over_quota, "too many");
        for (auto& entry : message.entries) {
            metadata[message.mailbox].erase(entry.name);
            if (entry.value) metadata[message.mailbox][entry.name] = *entry.value;
        }
        return proto::Done{};
    }
    Result<proto::Mailboxes> on(proto::GetMailboxes message) {
        if (fail_changes) return temporary(ErrorCode::busy, "busy");
        proto::Mailboxes out;
        for (auto id : message.mailboxes)
            if (Box* box = by_id_or_null(id)) out.mailboxes.push_back(counted(*box));
        return out;
    }
    Result<proto::MailboxColumns> on(proto::OpenMailbox message) {
        Box* box = message.id.value != 0 ? by_id_or_null(message.id) : find(message.name);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        std::string bytes;
        for (auto& m : box->messages) bytes.append(reinterpret_cast<const char*>(&m.row), sizeof m.row);
        Fd rows;
        if (!bytes.empty()) {
            rows = memory_file(bytes);
            if (seal) fcntl(rows.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        }
        return proto::MailboxColumns{counted(*box), box->keywords, box->messages.size(), std::move(rows)};
    }
    Result<proto::MailboxChanges> on(proto::GetChanges message) {
        get_changes++;
        if (fail_changes) return temporary(ErrorCode::busy, "busy");
        Box* box = by_id_or_null(message.mailbox);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        proto::MailboxChanges changes{counted(*box), box->keywords, {}, {}, false};
        for (auto& m : box->messages)
            if (m.row.modseq > message.since) changes.changed.push_back(m.row);
        for (auto& gone : box->gone)
            if (gone.modseq > message.since) changes.expunged.push_back({gone.uid, gone.uid});
        return changes;
    }
    Result<proto::MessageInfos> on(proto::FetchInfos message) {
        proto::MessageInfos infos;
        for (auto uid : message.uids) {
            if (infos.messages.size() >= most_infos) break;
            auto* m = find_message(message.mailbox, uid.value);
            if (m == nullptr) continue;
            std::string prefix = message.prefix ? m->prefix : std::string();
            auto size = [](const std::string& bytes) { return static_cast<uint32_t>(bytes.size()); };
            infos.messages.push_back({uid, m->id, size(infos.bytes), size(m->info), size(prefix)});
            infos.bytes += m->info + prefix;
        }
        return infos;
    }
    proto::MessageFile file_of(const proto::OpenMessages& wanted, proto::Uid uid, const Message& m) const {
        if (auto stored = compressed.find(uid.value); stored != compressed.end())
            return {
                uid, m.prefix, m.info, m.content->size(), memory_file(stored->second), m.id, {}, stored->second.size()};
        std::string start = m.content->substr(0, wanted.start);
        bool with_file = start.size() < m.content->size() && wanted.parts == proto::MessageParts::whole;
        return {uid,  m.prefix,        m.info, m.content->size(), with_file ? memory_file(*m.content) : Fd(),
                m.id, std::move(start)};
    }
    Result<proto::MessageFiles> on(proto::OpenMessages message) {
        proto::MessageFiles files;
        for (auto uid : message.uids) {
            auto* m = find_message(message.mailbox, uid.value);
            if (m == nullptr) continue;
            files_opened++;
            if (damaged.contains(uid.value))
                files.damaged.push_back(uid);
            else
                files.messages.push_back(file_of(message, uid, *m));
        }
        return files;
    }
    static std::string words_of(const Message& message) {
        std::string whole = message.prefix + *message.content;
        mail::ReadAt read = [&](uint64_t offset, std::span<char> into) -> size_t {
            return offset < whole.size() ? whole.copy(into.data(), into.size(), offset) : 0;
        };
        return mail::word_list({mail::parse_message(*message.content), read, message.prefix.size()});
    }
    Result<proto::TextFound> on(proto::FindText message) {
        find_texts++;
        if (!has_index) return temporary(ErrorCode::busy, "too much");
        proto::TextFound found{1, last_content_, {}, {}};
        std::vector<std::vector<uint64_t>> sets(2 + message.keys.size(), std::vector<uint64_t>(last_content_ / 64 + 1));
        for (auto& [content, list] : words) {
            auto set = [&](size_t n) { sets[n][(content - 1) / 64] |= uint64_t{1} << (content - 1) % 64; };
            set(0);
            if (mail::WordListReader(list).is_complete()) set(1);
            for (size_t k = 0; k < message.keys.size(); k++) {
                auto query = mail::split_query(message.keys[k].text, message.keys[k].field);
                if (holds_all(list, query, message.keys[k].classes)) set(2 + k);
            }
        }
        std::string bytes;
        for (auto& set : sets) {
            set.resize((last_content_ + 63) / 64);
            bytes.append(reinterpret_cast<const char*>(set.data()), set.size() * 8);
        }
        for (auto& key : message.keys) {
            auto query = mail::split_query(key.text, key.field);
            found.keys.push_back(query.pieces.empty() ? proto::KeyAnswer::unknown
                                 : query.is_exact     ? proto::KeyAnswer::exact
                                                      : proto::KeyAnswer::narrowed);
        }
        found.bits = memory_file(bytes);
        if (seal) fcntl(found.bits.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        return found;
    }
    Result<proto::Done> on(proto::IndexWords message) {
        for (auto& item : message.contents) words[item.content] = item.words;
        return proto::Done{};
    }
    Result<proto::UnthreadedMessages> on(proto::GetUnthreaded) {
        proto::UnthreadedMessages out;
        for (auto& [content, message] : by_content())
            if (!threads.contains(content) && out.messages.size() < most_infos)
                out.messages.push_back({content, 1000, message->info});
        return out;
    }
    // By the Message-IDs alone, and whatever the order.
    Result<proto::Done> on(proto::AssignThreads message) {
        thread_facts = message.messages;
        for (auto& facts : message.messages) {
            uint64_t thread = facts.content;
            for (uint64_t id : facts.ids)
                if (auto known = thread_of_id.find(id); known != thread_of_id.end()) thread = known->second;
            for (uint64_t id : facts.ids) thread_of_id[id] = thread;
            threads[facts.content] = thread;
        }
        return proto::Done{};
    }
    Result<proto::Threads> on(proto::GetThreads message) {
        proto::Threads out;
        for (uint64_t content : message.contents) {
            auto known = threads.find(content);
            out.threads.push_back(known == threads.end() ? proto::ThreadId{} : proto::ThreadId{known->second, 1000});
        }
        return out;
    }
    Result<proto::ThreadContents> on(proto::FindThread message) {
        proto::ThreadContents out;
        for (auto& [content, thread] : threads)
            if (thread == message.thread.number && message.thread.born == 1000) out.contents.push_back(content);
        return out;
    }
    Result<proto::UnlearnedMessages> on(proto::GetUnlearned) {
        proto::UnlearnedMessages out;
        while (!unlearned.empty() && out.messages.size() < proto::kMaxLearnedAtOnce) {
            out.messages.push_back(std::move(unlearned.front()));
            unlearned.erase(unlearned.begin());
        }
        return out;
    }
    Result<proto::Done> on(proto::LearnMessages message) {
        for (auto& one : message.messages) learned.push_back(std::move(one));
        return proto::Done{};
    }
    std::map<uint64_t, const Message*> by_content() {
        std::map<uint64_t, const Message*> out;
        for (auto& box : boxes_)
            for (auto& message : box->messages) out[message.id.number] = &message;
        return out;
    }
    Result<proto::FlagsStored> on(proto::StoreFlags message) {
        if (fail_next) return temporary(ErrorCode::io, "disk");
        stores++;
        Box* box = by_id_or_null(message.mailbox);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        uint64_t keywords = 0;
        for (auto& keyword : message.keywords) keywords |= bit_of(*box, keyword);
        proto::FlagsStored stored;
        modseq_++;
        for (auto& m : box->messages) {
            if (!named(message.uids, m.row.uid)) continue;
            if (message.unchanged_since && m.row.modseq > *message.unchanged_since) {
                stored.unchanged_since_failed.push_back({m.row.uid});
                stored.rows.push_back(m.row);
                continue;
            }
            auto before = m.row;
            if (message.mode == proto::StoreMode::replace) m.row.flags = message.flags, m.row.keywords = keywords;
            if (message.mode == proto::StoreMode::add) m.row.flags |= message.flags, m.row.keywords |= keywords;
            if (message.mode == proto::StoreMode::remove) m.row.flags &= ~message.flags, m.row.keywords &= ~keywords;
            if (before.flags != m.row.flags || before.keywords != m.row.keywords) m.row.modseq = modseq_;
            stored.rows.push_back(m.row);
        }
        stored.keywords = box->keywords;
        changed(*box);
        return stored;
    }
    Result<proto::MessagesCopied> on(proto::CopyMessages message) {
        return copy(message.mailbox, message.uids, message.destination);
    }
    Result<proto::MessagesCopied> on(proto::MoveMessages message) {
        auto copied = copy(message.mailbox, message.uids, message.destination);
        if (copied)
            for (auto& pair : copied->uids) remove(*by_id_or_null(message.mailbox), pair.source);
        return copied;
    }
    Result<proto::MessagesExpunged> on(proto::Expunge message) {
        Box* box = by_id_or_null(message.mailbox);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        std::vector<uint32_t> doomed;
        for (auto& m : box->messages)
            if ((m.row.flags & proto::kDeleted) && named(message.uids, m.row.uid)) doomed.push_back(m.row.uid);
        proto::MessagesExpunged expunged;
        for (uint32_t uid : doomed) {
            remove(*box, uid);
            expunged.uids.push_back({uid, uid});
        }
        expunged.highest_modseq = modseq_;
        return expunged;
    }
    Result<proto::MessagesAppended> on(proto::AppendMessages message) {
        if (over_quota) return permanent(ErrorCode::over_quota, "over quota");
        Box* box = find(message.mailbox);
        if (box == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        proto::MessagesAppended appended{box->mailbox.uidvalidity, {}, box->mailbox.id};
        if (message.replaced) {
            if (!find_message(message.replaced->mailbox, message.replaced->uid.value))
                return permanent(ErrorCode::bad_request, "gone");
            remove(*by_id_or_null(message.replaced->mailbox), message.replaced->uid.value);
        }
        for (auto& item : message.items) {
            std::string content = std::move(item.content);
            if (auto spool = spools_.find(item.spool); spool != spools_.end()) {
                content.resize(static_cast<size_t>(lseek(spool->second.get(), 0, SEEK_END)));
                if (pread(spool->second.get(), content.data(), content.size(), 0) < 0)
                    return permanent(ErrorCode::bad_request, "unreadable");
                spools_.erase(spool);
            } else if (item.spool != 0 || content.size() > proto::kMaxInlineContent) {
                return permanent(ErrorCode::bad_request, "no such spool");
            }
            if (content.size() != item.size) return permanent(ErrorCode::bad_request, "size");
            uint64_t keywords = 0;
            for (auto& keyword : item.keywords) keywords |= bit_of(*box, keyword);
            uint32_t uid = add(*box, content, item.flags, "", item.received, keywords);
            if (box->messages.back().info != item.info) return permanent(ErrorCode::bad_request, "info");
            if (words_of(box->messages.back()) != item.words) return permanent(ErrorCode::bad_request, "words");
            appended.uids.push_back({uid});
        }
        return appended;
    }

    void list_changed() {
        for (auto& channel : channels_)
            if (!channel->lost()) channel->send(proto::MailboxListChanged{});
    }
    /// A message of a mailbox is to be learned, and whoever is connected is told.
    void want_learned(const Box& box, size_t index, proto::JunkClass wanted) {
        const Message& m = box.messages.at(index);
        unlearned.push_back({file_of({}, {}, m), proto::JunkClass::none, wanted});
        for (auto& channel : channels_)
            if (!channel->lost()) channel->send(proto::LearningDue{});
    }
    uint64_t bit_of(Box& box, const std::string& keyword) {
        for (size_t i = 0; i < box.keywords.size(); i++)
            if (text::iequals(box.keywords[i], keyword)) return 1ull << i;
        box.keywords.push_back(keyword);
        return 1ull << (box.keywords.size() - 1);
    }

    std::map<uint64_t, uint64_t> threads;          // of contents
    std::map<uint64_t, uint64_t> thread_of_id;     // by the hash of a Message-ID
    std::vector<proto::ThreadFacts> thread_facts;  // that came last
    std::vector<proto::UnlearnedMessage> unlearned;
    std::vector<proto::LearnedMessage> learned;
    std::vector<std::string> subscribed;
    std::map<std::string, std::map<std::string, uint32_t>> acl;  // by mailbox, then identifier
    uint64_t quota = 0;
    uint32_t saved = 0;                                                  // when messages come into their mailbox
    std::map<std::string, std::map<std::string, std::string>> metadata;  // by mailbox, then name
    bool subscribe_created = false;                                      // as storaged does
    bool seal = true;
    bool quiet = false;      // tells nobody of changes
    bool fail_next = false;  // changes fail for now
    bool fail_changes = false;
    bool over_quota = false;
    size_t most_infos = 500;
    std::set<uint32_t> damaged;                  // UIDs of messages whose content cannot be read
    std::map<uint32_t, std::string> compressed;  // by UID: files with frames (common/pack/frames.h)
    size_t stores = 0, get_changes = 0, urls_opened = 0;
    std::map<std::string, int> url_keys;    // by mailbox: how often reset
    std::map<uint64_t, std::string> words;  // the index, by content
    bool index_new = true;                  // what comes in is indexed
    bool has_index = true;
    size_t find_texts = 0, files_opened = 0;

  private:
    static bool holds_all(std::string_view list, const mail::WordQuery& query, uint32_t classes) {
        return std::ranges::all_of(query.pieces, [&](const auto& piece) {
            mail::WordListReader reader(list);
            while (auto word = reader.next())
                if ((word->classes & classes) != 0 && mail::matches(piece, word->text)) return true;
            return false;
        });
    }
    static bool named(const std::vector<proto::UidRange>& ranges, uint32_t uid) {
        return std::ranges::any_of(ranges, [&](auto& r) { return uid >= r.first && uid <= r.last; });
    }
    Box* by_id_or_null(proto::MailboxId id) {
        for (auto& box : boxes_)
            if (box->mailbox.id == id) return box.get();
        return nullptr;
    }
    Message* find_message(proto::MailboxId id, uint32_t uid) {
        Box* box = by_id_or_null(id);
        if (box == nullptr) return nullptr;
        for (auto& m : box->messages)
            if (m.row.uid == uid) return &m;
        return nullptr;
    }
    proto::Mailbox counted(const Box& box) {
        proto::Mailbox m = box.mailbox;
        m.messages = box.messages.size();
        for (auto& message : box.messages) {
            if (!(message.row.flags & proto::kSeen)) m.unseen++;
            if (message.row.flags & proto::kDeleted) m.deleted++;
            m.size += message.row.size;
        }
        return m;
    }
    Result<proto::MessagesCopied> copy(proto::MailboxId from, const std::vector<proto::UidRange>& uids,
                                       const std::string& to) {
        Box* source = by_id_or_null(from);
        Box* destination = find(to);
        if (source == nullptr || destination == nullptr) return permanent(ErrorCode::not_found, "no such mailbox");
        proto::MessagesCopied copied{destination->mailbox.uidvalidity, {}, destination->mailbox.id};
        std::vector<Message> messages;
        for (auto& m : source->messages)
            if (named(uids, m.row.uid)) messages.push_back(m);
        for (auto& m : messages) {
            uint32_t uid = add(*destination, *m.content, m.row.flags, m.prefix, {m.row.received, m.row.received_zone});
            copied.uids.push_back({m.row.uid, uid});
        }
        return copied;
    }

    std::vector<std::unique_ptr<Box>> boxes_;
    std::map<uint64_t, Fd> spools_;
    uint64_t last_spool_ = 0, last_id_ = 0, modseq_ = 1, last_content_ = 0;
    std::vector<std::unique_ptr<ipc::Channel>> channels_;  // last: they use all of the above
};

}  // namespace mox::imapd::fake
