// A zip or (gzipped) tar file with mail in it: maildirs, mbox files, single messages (.eml).
//
// Read by libarchive, with the formats named and no other, in two passes: the first finds the folders, and the
// keywords, which may stand behind the messages. Needs a file that can be read twice. Nothing is ever unpacked to disk.
#pragma once

#include <memory>

#include "moxctl/transfer/mbox.h"
#include "moxctl/transfer/tree.h"

struct archive;
struct archive_entry;

namespace mox::moxctl {

enum class ArchiveFormat : uint8_t { zip, tgz };

/// Loads what the library would look for in files later: to be called before the process is confined.
void prepare_archives();

class ArchiveSource : public Source {
  public:
    ArchiveSource(Fd file, ArchiveFormat format);
    ~ArchiveSource() override;
    bool next(SourceMessage& message) override;
    std::string_view read() override;

  private:
    struct Close {
        void operator()(archive* a) const;
    };
    class EntryBytes;
    void open();
    bool next_entry();
    void look_around();
    bool take_directory(SourceMessage& message);
    bool take_entry(SourceMessage& message);
    [[noreturn]] void fail(bool fatal);
    Fd file_;
    ArchiveFormat format_;
    std::unique_ptr<archive, Close> archive_;
    archive_entry* entry_ = nullptr;
    std::string path_;  // of the entry
    Tree tree_;
    bool looked_around_ = false;
    std::unique_ptr<EntryBytes> bytes_;
    std::unique_ptr<MboxSource> mbox_;
};

}  // namespace mox::moxctl
