// Target: what an export writes messages to: maildirs or mbox files below the working directory.
//
// A message gets its name only when it is whole. Nothing that is there is removed; an mbox file of the same name is
// replaced once the new one is complete. Failures are thrown as Failed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/mail/stored_file.h"
#include "proto/account.h"

namespace mox::moxctl {

/// A message on its way out; its prefix and bytes together are what a client sees.
struct StoredMessage {
    proto::MessageRow row;
    std::vector<std::string> keywords;
    std::string_view prefix;
    const mail::StoredFile& bytes;
};

class Target {
  public:
    virtual ~Target() = default;
    virtual void begin_mailbox(const proto::Mailbox& mailbox) = 0;
    /// False when it is there already, from an export before; then its flags are made right, and nothing is asked of
    /// its content.
    virtual bool wants(const proto::MessageRow& row, const std::vector<std::string>& keywords) = 0;
    virtual void write(const StoredMessage& message) = 0;
    /// What could not be written of this mailbox, a line each; nothing when all was.
    virtual std::vector<std::string> end_mailbox() = 0;
};

std::unique_ptr<Target> make_maildir_target();
std::unique_ptr<Target> make_mbox_target();

/// Makes a directory and those above it, as far as they are missing.
void make_directories(const std::string& path);

/// The text of a message: prefix and file, in pieces, with LF at the ends of lines.
class MessageText {
  public:
    explicit MessageText(const StoredMessage& message) : prefix_(message.prefix), bytes_(message.bytes) {}
    /// The next bytes, valid until the next call; empty at the end. Throws Failed.
    std::string_view read();

  private:
    std::string_view raw();
    std::string_view prefix_;
    const mail::StoredFile& bytes_;
    uint64_t offset_ = 0;
    std::string buffer_;
    std::string text_;
    bool held_cr_ = false;
    bool ended_ = false;
};

/// A file that is written in pieces, under a name of its own until it is whole.
class NewFile {
  public:
    explicit NewFile(std::string path);
    ~NewFile();
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    void write(std::string_view bytes);
    /// Gives it its name, replacing what has it, and its time when that is not 0.
    void keep_as(const std::string& path, int64_t time);

  private:
    void flush();
    std::string path_;
    Fd fd_;
    std::string buffer_;
};

}  // namespace mox::moxctl
