#include "imapd/worker/message_limit.h"

namespace mox::imapd {

std::optional<Cut> cut_to_last(const MailboxView& view, Selection& selection, size_t limit) {
    size_t all = count(selection);
    if (all <= limit) return std::nullopt;
    size_t surplus = all - limit;
    auto first = selection.begin();
    for (; surplus >= first->size(); ++first) surplus -= first->size();
    first->begin += static_cast<uint32_t>(surplus);
    selection.erase(selection.begin(), first);
    return Cut{limit, view.rows()[selection.front().begin].uid};
}

Selection backwards(const Selection& selection) {
    Selection out;
    out.reserve(count(selection));
    for (auto range = selection.rbegin(); range != selection.rend(); ++range)
        for (uint32_t end = range->end; end > range->begin; end--) out.push_back({end - 1, end});
    return out;
}

std::string message_limit_code(const Cut& cut) {
    return "[MESSAGELIMIT " + std::to_string(cut.limit) + ' ' + std::to_string(cut.lowest) + "] ";
}

std::string message_limit_code(size_t limit) {
    return "[MESSAGELIMIT " + std::to_string(limit) + "] ";
}

Answer limited(Session& session, Answer answer, const std::optional<Cut>& cut) {
    if (!cut) return answer;
    std::string code = message_limit_code(*cut);
    // RFC 7162 3.2.7, 3.2.8, 3.2.9: HIGHESTMODSEQ stands in the tagged answer too
    bool has_code = answer.text.starts_with('[') || (answer.tells_modseq && session.features().condstore);
    if (has_code)
        session.untagged("NO " + code + "only the last messages");  // RFC 9738 3.1
    else
        answer.text = code + answer.text + ", the last messages only";
    return answer;
}

void check_save_limit(const Session& session, size_t messages) {
    size_t announced = session.message_limit() == kNoLimit ? kSaveLimit : session.message_limit();
    if (messages > announced) fail_no(message_limit_code(announced) + "too many messages at once");  // RFC 9738 3.1
    if (messages > kSaveLimit) fail_no("[LIMIT] too many messages at once");
}

}  // namespace mox::imapd
