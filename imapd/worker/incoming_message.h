// A message on its way in from APPEND: through the parser and on to storaged in one pass, so memory does not depend on
// its size.
#pragma once

#include <string>
#include <string_view>

#include "common/incoming/content.h"
#include "common/incoming/line_endings.h"
#include "common/mail/mime_parser.h"
#include "imapd/grammar/append.h"
#include "imapd/worker/account.h"

namespace mox::imapd {

class IncomingMessage {
  public:
    /// `step` says flags and date. `account` outlives this.
    IncomingMessage(Account& account, const AppendStep& step);

    /// The next bytes; line ends become CRLF. What cannot be kept is dropped, and error() says so.
    async::Task<void> add(std::string_view bytes);
    uint64_t size() const { return content_.size(); }
    /// Ends it; the bytes of memory it takes until it is given on.
    size_t finish();
    bool has_file() const { return content_.size() > proto::kMaxInlineContent; }
    const std::optional<Error>& error() const { return content_.error(); }
    bool has_nul() const { return has_nul_; }
    /// For storaged, once.
    proto::AppendItem give();

  private:
    incoming::Content<Account> content_;
    mail::MimeParser parser_;
    proto::AppendItem item_{};
    std::string converted_;
    incoming::LineEndings endings_;
    bool has_nul_ = false;
};

}  // namespace mox::imapd
