// One answer of FETCH being written: `* 5 FETCH (...)`, its items from the row, the parse and the file.
//
// RFC 3501 7.4.2, 9051 7.5.2 (BINARY), 7162 3.1.4 (MODSEQ).
#pragma once

#include <string>
#include <string_view>

#include "imapd/worker/section_value.h"
#include "imapd/worker/session.h"
#include "imapd/worker/stored_message.h"

namespace mox::imapd {

class FetchAnswer {
  public:
    FetchAnswer(Session& session, uint32_t index);
    /// Begins an item: what is appended to the string is its value.
    std::string& item(std::string_view name);
    /// Hands what is written so far to the stream, before content that goes there directly.
    void hand_over();
    void finish();

    void write_row_items(uint32_t items);
    void write_info_items(const mail::MessageInfo& info, const proto::ContentId& content, uint32_t items);
    void write_preview(const StoredMessage& message);
    async::Task<Written> write_section(const StoredMessage& message, const Section& section);

  private:
    Session& session_;
    uint32_t index_;
    std::string out_;
    bool first_ = true;
};

}  // namespace mox::imapd
