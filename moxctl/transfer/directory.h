// A directory with mail: maildirs, each with the folders below it (Maildir++ or nested), and mbox files.
//
// All is below the working directory. Links are not followed. Names of one directory are read and sorted in chunks of
// bounded size, so that messages come in the order of their arrival.
#pragma once

#include <deque>
#include <dirent.h>
#include <memory>

#include "moxctl/transfer/mbox.h"
#include "moxctl/transfer/tree.h"

namespace mox::moxctl {

/// The time a maildir message came in: that in its name or that of the file, whichever is earlier. Copying loses the
/// second, delivering a message again the first.
int64_t maildir_time(std::string_view file_name, int64_t file_time);

class DirectorySource : public Source {
  public:
    DirectorySource();
    bool next(SourceMessage& message) override;
    std::string_view read() override;

  private:
    struct CloseDirectory {
        void operator()(DIR* directory) const { closedir(directory); }
    };
    struct Open {
        std::string path;  // empty: the top
        std::unique_ptr<DIR, CloseDirectory> directory;
    };
    void enter(const std::string& path);
    bool fill_names();
    bool leave(SourceMessage& message);
    bool take_file(const std::string& path, SourceMessage& message);
    bool begin_mbox(Fd file, const std::string& path);
    Tree tree_;
    std::deque<std::string> directories_;  // to be read, in order
    Open open_;
    std::vector<std::string> names_;  // of files in it, last first
    std::vector<std::string> below_;  // directories found in it
    bool is_maildir_ = false;         // it has one of a maildir's
    std::unique_ptr<FileBytes> file_;
    std::unique_ptr<MboxSource> mbox_;
};

}  // namespace mox::moxctl
