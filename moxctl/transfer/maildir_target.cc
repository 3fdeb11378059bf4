// Maildirs, one for each mailbox, nested as the mailboxes are. A message's name tells its UIDVALIDITY and UID, so that
// a second export into the same directory writes only what is new, and renames where flags changed.
#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/text/ascii.h"
#include "moxctl/connection.h"
#include "moxctl/transfer/flags.h"
#include "moxctl/transfer/names.h"
#include "moxctl/transfer/target.h"
#include "moxctl/transfer/tree.h"

namespace mox::moxctl {
namespace {

class MaildirTarget : public Target {
  public:
    void begin_mailbox(const proto::Mailbox& mailbox) override;
    bool wants(const proto::MessageRow& row, const std::vector<std::string>& keywords) override;
    void write(const StoredMessage& message) override;
    std::vector<std::string> end_mailbox() override;

  private:
    struct There {
        uint32_t uid;
        std::string name;
    };
    void list_present();
    void read_keywords();
    std::string letters_of(const proto::MessageRow& row, const std::vector<std::string>& keywords);
    std::string name_of(const proto::MessageRow& row, const std::vector<std::string>& keywords);
    std::string path_;
    std::string mark_;  // ".V<uidvalidity>U", in front of the uid
    std::vector<There> there_;
    std::vector<std::string> keywords_;  // by letter
    bool keywords_changed_ = false;
    std::vector<std::string> left_out_;  // keywords for which there is no letter left
};

void MaildirTarget::begin_mailbox(const proto::Mailbox& mailbox) {
    path_ = path_of_mailbox(mailbox.name);
    for (const char* part : {"/tmp", "/new", "/cur"}) make_directories(path_ + part);
    mark_ = fmt::format(".V{}U", mailbox.uidvalidity);
    left_out_.clear();
    read_keywords();
    list_present();
}

void MaildirTarget::list_present() {
    there_.clear();
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir((path_ + "/cur").c_str()), closedir);
    if (directory == nullptr) return;
    while (const dirent* entry = readdir(directory.get())) {
        std::string_view name = entry->d_name;
        size_t mark = name.find(mark_);
        if (mark == std::string_view::npos) continue;
        std::string_view rest = name.substr(mark + mark_.size());
        if (auto uid = text::parse_number<uint32_t>(rest.substr(0, rest.find('.'))))
            there_.push_back({*uid, entry->d_name});
    }
    std::ranges::sort(there_, {}, &There::uid);
}

void MaildirTarget::read_keywords() {
    keywords_.clear();
    keywords_changed_ = false;
    Fd file(open((path_ + "/dovecot-keywords").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    std::string text(kMaxKeywordsFile, '\0');
    ssize_t n = file ? pread(file.get(), text.data(), text.size(), 0) : 0;
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    keywords_ = parse_dovecot_keywords(text);
}

std::string MaildirTarget::letters_of(const proto::MessageRow& row, const std::vector<std::string>& keywords) {
    std::vector<std::string> names = flag_keywords(row.flags);
    names.insert(names.end(), keywords.begin(), keywords.end());
    std::vector<size_t> numbers;
    for (const std::string& name : names) {
        auto found = std::ranges::find_if(keywords_, [&](const auto& k) { return text::iequals(k, name); });
        if (found == keywords_.end() && keywords_.size() == kMaildirKeywords) {
            if (std::ranges::find(left_out_, name) == left_out_.end()) left_out_.push_back(name);
            continue;
        }
        numbers.push_back(static_cast<size_t>(found - keywords_.begin()));
        if (found != keywords_.end()) continue;
        keywords_.push_back(name);
        keywords_changed_ = true;
    }
    return maildir_letters(row.flags, numbers);
}

std::string MaildirTarget::name_of(const proto::MessageRow& row, const std::vector<std::string>& keywords) {
    return fmt::format("{}{}{}.mox:2,{}", row.received, mark_, row.uid, letters_of(row, keywords));
}

bool MaildirTarget::wants(const proto::MessageRow& row, const std::vector<std::string>& keywords) {
    auto found = std::ranges::lower_bound(there_, row.uid, {}, &There::uid);
    if (found == there_.end() || found->uid != row.uid) return true;
    std::string name = name_of(row, keywords);
    if (name == found->name) return false;
    // A mail program may have renamed or removed it since it was listed: then it is written again.
    return rename(fmt::format("{}/cur/{}", path_, found->name).c_str(),
                  fmt::format("{}/cur/{}", path_, name).c_str()) != 0;
}

void MaildirTarget::write(const StoredMessage& message) {
    std::string name = name_of(message.row, message.keywords);
    NewFile file(fmt::format("{}/tmp/{}", path_, name.substr(0, name.find(':'))));
    MessageText text(message);
    for (auto piece = text.read(); !piece.empty(); piece = text.read()) file.write(piece);
    file.keep_as(fmt::format("{}/cur/{}", path_, name), message.row.received);
}

std::vector<std::string> MaildirTarget::end_mailbox() {
    if (keywords_changed_) {
        NewFile file(path_ + "/tmp/dovecot-keywords");
        for (size_t i = 0; i < keywords_.size(); i++)
            if (!keywords_[i].empty()) file.write(fmt::format("{} {}\n", i, keywords_[i]));
        file.keep_as(path_ + "/dovecot-keywords", 0);
    }
    std::vector<std::string> lines;
    for (const std::string& name : left_out_)
        lines.push_back(fmt::format("keyword {} is left out: a maildir has room for {}", name, kMaildirKeywords));
    return lines;
}

}  // namespace

std::unique_ptr<Target> make_maildir_target() {
    return std::make_unique<MaildirTarget>();
}

}  // namespace mox::moxctl
