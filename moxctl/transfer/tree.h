// The paths of a directory or an archive: which of them hold mail, and in which mailbox it belongs.
//
// Pure but for the map of keywords, which is filled beforehand: in an archive dovecot-keywords may stand behind the
// messages it speaks of.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "moxctl/transfer/source.h"

namespace mox::moxctl {

constexpr size_t kMaxFolders = 10000;
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxKeywordsFile = 64u << 10;

enum class FileKind : uint8_t {
    message,   // in cur or new of a maildir
    single,    // a message in a file of its own: .eml
    keywords,  // dovecot-keywords
    ignored,   // what mail programs keep beside mail, and unfinished deliveries
    perhaps,   // an mbox, if it begins like one
};
FileKind kind_of(std::string_view path);

/// The directory that a path is in; empty at the top.
std::string_view directory_of(std::string_view path);
/// The maildir that a message file or dovecot-keywords is in.
std::string_view maildir_of(std::string_view path);

class Tree;
/// Of an empty file: true when its name is that of an mbox; then `message` says which mailbox it is.
bool empty_mailbox(const Tree& tree, std::string_view path, SourceMessage& message);

class Tree {
  public:
    /// Notes that there is mail at this path. Throws Broken when there are too many folders.
    void note(std::string_view path);
    /// The same of a maildir's cur or new.
    void note_maildir(std::string_view part);
    void set_keywords(std::string_view path, std::string_view text);
    /// For archives: takes off the directories that all mail is below.
    void strip_common();

    const std::vector<std::string>& keywords_at(std::string_view path) const;
    /// Fills in mailbox, flags and keywords of a message file.
    void describe(std::string_view path, SourceMessage& message) const;
    /// The mailbox of a maildir.
    std::string mailbox_of(std::string_view directory) const;
    /// The mailbox of an mbox file, or of a single message.
    std::string mailbox_for(std::string_view path) const;

  private:
    void add_folder(std::string_view folder);
    std::string_view below_root(std::string_view path) const;
    std::set<std::string, std::less<>> folders_;
    std::map<std::string, std::vector<std::string>, std::less<>> keywords_;
    std::string root_;  // with a slash behind it, or empty
};

}  // namespace mox::moxctl
