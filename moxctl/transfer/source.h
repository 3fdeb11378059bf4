// Source: where an import gets its messages from, one after the other; and what it reads bytes from.
//
// What is read here was made by others. It is read in a confined process (import.h), in pieces of bounded size; a
// message is never in memory as a whole. What cannot be taken is thrown as Skipped, with its place and the reason, and
// does not end the import; what makes all the rest unreadable is thrown as Broken.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/async/fd.h"
#include "proto/storage.h"

namespace mox::moxctl {

/// A message, or a file, that is not taken.
struct Skipped : std::runtime_error {
    Skipped(std::string where, const std::string& reason) : std::runtime_error(reason), origin(std::move(where)) {}
    std::string origin;
};

/// The source cannot be read any further.
struct Broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Whether a source speaks of a message, or only says that there is a mailbox.
enum class SourceKind : uint8_t { message, mailbox };

/// What a source knows of a message beside its bytes.
struct SourceMessage {
    std::string origin;   // where it is in the source, for people
    std::string mailbox;  // UTF-8, '/' between levels; empty: where everything goes
    uint32_t flags = 0;   // proto::Flag bits
    std::vector<std::string> keywords;
    std::optional<proto::Timestamp> received;
    SourceKind kind = SourceKind::message;
};

class Source {
  public:
    virtual ~Source() = default;
    /// Goes to the next message, or to a folder that may be without messages; false when there is none. Throws Skipped
    /// (to be called again) or Broken.
    virtual bool next(SourceMessage& message) = 0;
    /// The next bytes of the present message, valid until the next call; empty at its end, and of a folder. Throws as
    /// next().
    virtual std::string_view read() = 0;
};

/// A stream of bytes: a file, or a part of an archive.
class Bytes {
  public:
    virtual ~Bytes() = default;
    /// The next bytes, valid until the next call; empty at the end. Throws Skipped or Broken.
    virtual std::string_view read() = 0;
};

/// A file, from where its descriptor stands.
class FileBytes : public Bytes {
  public:
    FileBytes(Fd file, std::string origin) : file_(std::move(file)), origin_(std::move(origin)) {}
    std::string_view read() override;

  private:
    Fd file_;
    std::string origin_;
    std::string buffer_;
};

}  // namespace mox::moxctl
