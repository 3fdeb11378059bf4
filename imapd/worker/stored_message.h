// A message as storaged hands it out: header lines kept apart (the prefix), the file as received, and the parse of the
// file.
//
// To a client the message is prefix and file as one. Offsets of the parse are in the file; locate() turns a section
// into bytes of the whole, where the prefix belongs to the header of the message. Content is read from the bytes that
// came with the answer and from the file, in pieces; nothing here parses mail. The parse came from another process and
// is checked before use. RFC 3501 6.4.5.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/mail/info_codec.h"
#include "common/mail/message_info.h"
#include "common/mail/part_data.h"
#include "common/mail/stored_file.h"
#include "imapd/grammar/command.h"
#include "proto/account.h"

namespace mox::imapd {

using mail::decode_info;

class StoredMessage {
  public:
    explicit StoredMessage(proto::MessageFile file);

    uint32_t uid() const { return uid_; }
    const std::string& prefix() const { return prefix_; }
    const mail::MessageInfo& info() const;
    const proto::ContentId& content() const { return content_; }
    uint64_t size() const { return prefix_.size() + file_size_; }

    /// The bytes of the whole message that a section means, before its partial; nothing if there is no such part. For
    /// header_fields the header they are taken from.
    std::optional<mail::Range> locate(const Section& section) const;

    /// Whether the header of the message can be read; all of it can, unless only the beginning was asked for.
    bool has_header() const { return file_.reaches(info().parts[0].range.body_offset); }

    /// Whether the bytes that a section means can be read, as far as that can be told before they are promised.
    bool is_readable(const Section& section) const;
    /// Whether a read before the end gave nothing.
    bool has_failed() const { return file_.has_failed(); }

    /// Reads at most `into.size()` bytes at an offset of the whole message; 0 at the end or when the file fails.
    size_t read(uint64_t offset, std::span<char> into) const;
    /// Reads a range into memory, at most `max` bytes of it.
    std::string read(mail::Range range, size_t max) const;

  private:
    uint32_t uid_;
    std::string prefix_;
    uint64_t file_size_;
    proto::ContentId content_;
    mail::StoredFile file_;
    std::string encoded_info_;
    mutable std::optional<mail::MessageInfo> info_;  // once it was wanted: whole messages are sent without it
};

}  // namespace mox::imapd
