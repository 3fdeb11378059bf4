#include "moxctl/transfer/tree.h"

#include <algorithm>
#include <array>

#include "common/text/ascii.h"
#include "moxctl/transfer/flags.h"
#include "moxctl/transfer/names.h"

namespace mox::moxctl {
namespace {

std::string_view file_of(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_bookkeeping(std::string_view name) {
    constexpr std::array<std::string_view, 13> kBeginnings = {
        "dovecot",     ".dovecot",     "subscriptions", ".subscriptions", "maildirfolder", "maildirsize", "courier",
        "uidvalidity", ".uidvalidity", "cyrus.",        ".DS_Store",      "sieve",         ".sieve"};
    return std::ranges::any_of(kBeginnings, [&](std::string_view b) { return name.starts_with(b); }) ||
           name.ends_with(".msf") || name.ends_with(".lock") || name.starts_with("._");
}

bool is_well_known_root(std::string_view name) {
    constexpr std::array<std::string_view, 4> kNames = {"maildir", ".maildir", "mail", "inbox"};
    return std::ranges::any_of(kNames, [&](std::string_view n) { return text::iequals(n, name); });
}

/// The directories that two paths share, with a slash behind.
std::string common_directories(std::string_view a, std::string_view b) {
    size_t end = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()) && a[i] == b[i]; i++)
        if (a[i] == '/') end = i + 1;
    return std::string(a.substr(0, end));
}

}  // namespace

std::string_view directory_of(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view maildir_of(std::string_view path) {
    std::string_view directory = directory_of(path);
    return file_of(path) == "dovecot-keywords" ? directory : directory_of(directory);
}

FileKind kind_of(std::string_view path) {
    std::string_view name = file_of(path);
    std::string_view directory = file_of(directory_of(path));
    if (path.starts_with("__MACOSX/") || name.empty()) return FileKind::ignored;
    if (name == "dovecot-keywords") return FileKind::keywords;
    if (directory == "tmp") return FileKind::ignored;
    if (directory == "cur" || directory == "new") return name.front() == '.' ? FileKind::ignored : FileKind::message;
    if (is_bookkeeping(name)) return FileKind::ignored;
    if (name.size() > 4 && text::iequals(name.substr(name.size() - 4), ".eml")) return FileKind::single;
    return FileKind::perhaps;
}

void Tree::note(std::string_view path) {
    FileKind kind = kind_of(path);
    std::string_view folder = path;
    if (kind == FileKind::message) folder = maildir_of(path);
    if (kind == FileKind::single) folder = directory_of(path);
    add_folder(folder);
}

void Tree::note_maildir(std::string_view part) {
    while (part.ends_with('/')) part.remove_suffix(1);
    add_folder(directory_of(part));
}

void Tree::add_folder(std::string_view folder) {
    if (folders_.contains(folder)) return;
    if (folders_.size() >= kMaxFolders) throw Broken("too many folders");
    folders_.emplace(folder);
}

void Tree::set_keywords(std::string_view path, std::string_view text) {
    if (keywords_.size() >= kMaxFolders) throw Broken("too many folders");
    keywords_.insert_or_assign(std::string(maildir_of(path)), parse_dovecot_keywords(text));
}

// "alice/Maildir" with "alice/Maildir/.Sent" below it is the root. Of one folder alone the name is kept, unless it is
// one of those that stand for all mail.
void Tree::strip_common() {
    if (folders_.empty()) return;
    std::string common(*folders_.begin());
    common += '/';
    for (const std::string& folder : folders_) common = common_directories(common, folder + '/');
    bool alone = folders_.size() == 1 && !common.empty();
    std::string_view whole = std::string_view(common).substr(0, common.empty() ? 0 : common.size() - 1);
    if (alone && !is_well_known_root(file_of(whole))) {
        std::string_view above = directory_of(whole);
        common = above.empty() ? std::string() : std::string(above) + '/';
    }
    root_ = common;
}

std::string_view Tree::below_root(std::string_view path) const {
    if (path.starts_with(root_)) return path.substr(root_.size());
    return path.size() + 1 == root_.size() ? std::string_view() : path;
}

const std::vector<std::string>& Tree::keywords_at(std::string_view path) const {
    static const std::vector<std::string> none;
    auto found = keywords_.find(maildir_of(path));
    return found == keywords_.end() ? none : found->second;
}

void Tree::describe(std::string_view path, SourceMessage& message) const {
    message.mailbox = mailbox_of_path(below_root(maildir_of(path)));
    take_maildir_flags(message, file_of(path), keywords_at(path));
}

std::string Tree::mailbox_of(std::string_view directory) const {
    return mailbox_of_path(below_root(directory));
}

bool empty_mailbox(const Tree& tree, std::string_view path, SourceMessage& message) {
    if (!path.ends_with(".mbox")) return false;
    message.kind = SourceKind::mailbox;
    message.mailbox = tree.mailbox_for(path);
    return true;
}

std::string Tree::mailbox_for(std::string_view path) const {
    if (kind_of(path) == FileKind::single) return mailbox_of_path(below_root(directory_of(path)));
    return mailbox_of_file(below_root(path));
}

}  // namespace mox::moxctl
