// One answer of FETCH being written: `* 5 FETCH (...)`, its items from the row, the parse and the file.
//
// Content goes from the file to the client in pieces, so memory does not depend on the message. RFC 3501 7.4.2,
// 9051 7.5.2 (BINARY), 7162 3.1.4 (MODSEQ).
#pragma once

#include <string>
#include <string_view>

#include "common/mail/transfer.h"
#include "imapd/worker/session.h"
#include "imapd/worker/stored_message.h"
#include "imapd/worker/thread_ids.h"

namespace mox::imapd {

class FetchAnswer {
  public:
    FetchAnswer(Session& session, uint32_t index);
    /// Begins an item: what is appended to the string is its value.
    std::string& item(std::string_view name);
    /// Hands what is written so far to the stream, before content that goes there directly.
    void hand_over();
    void finish();

    /// `threads` has that of the message when it is asked for and there is one.
    void write_row_items(uint32_t items, const ThreadIds& threads);
    void write_info_items(const mail::MessageInfo& info, const proto::ContentId& content, uint32_t items);
    void write_preview(const StoredMessage& message);
    /// How it went: `unknown_encoding` was answered with NIL (RFC 3516 4.3).
    enum class Written : uint8_t { done, unknown_encoding, kEnd };
    async::Task<Written> write_section(const StoredMessage& message, const Section& section);

  private:
    void write_fields(std::string& out, const StoredMessage& message, const Section& section, mail::Range header);
    async::Task<void> send_range(const StoredMessage& message, mail::Range range);
    async::Task<Written> write_binary(const StoredMessage& message, const Section& section, mail::Range range);
    async::Task<void> send_decoded(const StoredMessage& message, mail::Range range, mail::TransferEncoding encoding,
                                   mail::Range wanted);

    Session& session_;
    uint32_t index_;
    std::string out_;
    bool first_ = true;
};

}  // namespace mox::imapd
