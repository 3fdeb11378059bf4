#include "imapd/worker/message_text.h"

#include "common/mail/fold_case.h"
#include "common/mail/header.h"
#include "common/text/ascii.h"

namespace mox::imapd {

MessageText::MessageText(const StoredMessage& message)
    : read_([&message](uint64_t offset, std::span<char> into) { return message.read(offset, into); }),
      source_{message.info(), read_, message.prefix().size()} {}

bool header_holds(const StoredMessage& message, std::string_view field_name, std::string_view word) {
    std::string header = mail::root_header(MessageText(message).source());
    mail::HeaderReader reader(header);
    while (auto field = reader.next()) {
        if (!text::iequals(field->name, field_name)) continue;
        auto value = mail::fold_case(mail::decoded_value(field->value));
        if (word.empty() || value.find(word) != std::string::npos) return true;
    }
    return false;
}

}  // namespace mox::imapd
