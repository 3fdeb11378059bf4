// Archives and mbox files of strangers, as an import reads them: they end, in bounded memory, and how the bytes are
// split over reads changes nothing. First byte: mbox, zip, tar, or a path whose mailbox has to be a name that comes
// back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mail/utf8.h"
#include "moxctl/transfer/archive.h"
#include "moxctl/transfer/flags.h"
#include "moxctl/transfer/mbox.h"
#include "moxctl/transfer/names.h"

using namespace mox;
using namespace mox::moxctl;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

class TextBytes : public Bytes {
  public:
    TextBytes(std::string_view text, size_t step) : text_(text), step_(step) {}
    std::string_view read() override {
        std::string_view piece = text_.substr(0, step_);
        text_.remove_prefix(piece.size());
        return piece;
    }

  private:
    std::string_view text_;
    size_t step_;
};

/// All that a source says, in one text.
std::string read_all(Source& source) {
    std::string all;
    constexpr int kMost = 100000;
    for (int i = 0;; i++) {
        require(i < kMost);
        try {
            SourceMessage message;
            if (!source.next(message)) return all;
            all += message.origin + '\n' + message.mailbox + '\n' + std::to_string(message.flags) + '\n';
            require(message.mailbox.empty() || mail::is_utf8(message.mailbox));
            for (const std::string& keyword : message.keywords) all += keyword + ' ';
            for (auto piece = source.read(); !piece.empty(); piece = source.read()) all += piece;
        } catch (const Skipped& skipped) {
            all += skipped.origin + ": " + skipped.what() + '\n';
        } catch (const Broken&) {
            return all;
        }
    }
}

std::string read_mbox(std::string_view text, size_t step) {
    MboxSource source(std::make_unique<TextBytes>(text, step), "x", "Box");
    return read_all(source);
}

void read_archive(std::string_view text, ArchiveFormat format) {
    Fd file(memfd_create("archive", MFD_CLOEXEC));
    require(write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ArchiveSource source(std::move(file), format);
    read_all(source);
}

void check_names(std::string_view path) {
    std::string name = mailbox_of_path(path);
    require(mail::is_utf8(name));
    require(mailbox_of_path(path_of_mailbox(name)) == name);
    for (const std::string& part : split_path(path_of_mailbox(name))) require(part != ".." && part != "cur");
    SourceMessage message;
    take_maildir_flags(message, path, parse_dovecot_keywords(path));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 4) {
        case 0:
            require(read_mbox(text, 1) == read_mbox(text, 65536));
            break;
        case 1:
            read_archive(text, ArchiveFormat::zip);
            break;
        case 2:
            read_archive(text, ArchiveFormat::tgz);
            break;
        default:
            check_names(text);
            break;
    }
    return 0;
}
