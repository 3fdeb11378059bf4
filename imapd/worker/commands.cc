#include "imapd/worker/commands.h"

#include <array>

namespace mox::imapd {
namespace {

constexpr std::array kTable = {
    CommandRow{Verb::capability, State::authenticated, Updates::all, cmd_capability},
    CommandRow{Verb::noop, State::authenticated, Updates::all, cmd_noop},
    CommandRow{Verb::logout, State::authenticated, Updates::none, cmd_logout},
    CommandRow{Verb::unauthenticate, State::authenticated, Updates::none, cmd_unauthenticate},
    CommandRow{Verb::id, State::authenticated, Updates::all, cmd_id},
    CommandRow{Verb::language, State::authenticated, Updates::all, cmd_language},
    CommandRow{Verb::enable, State::authenticated, Updates::all, cmd_enable},
    CommandRow{Verb::select, State::authenticated, Updates::none, cmd_select},
    CommandRow{Verb::examine, State::authenticated, Updates::none, cmd_select},
    CommandRow{Verb::create, State::authenticated, Updates::all, cmd_create},
    CommandRow{Verb::delete_, State::authenticated, Updates::all, cmd_delete},
    CommandRow{Verb::rename, State::authenticated, Updates::all, cmd_rename},
    CommandRow{Verb::subscribe, State::authenticated, Updates::all, cmd_subscribe},
    CommandRow{Verb::unsubscribe, State::authenticated, Updates::all, cmd_subscribe},
    CommandRow{Verb::list, State::authenticated, Updates::all, cmd_list},
    CommandRow{Verb::lsub, State::authenticated, Updates::all, cmd_lsub},
    CommandRow{Verb::name_space, State::authenticated, Updates::all, cmd_namespace},
    CommandRow{Verb::status, State::authenticated, Updates::all, cmd_status},
    CommandRow{Verb::append, State::authenticated, Updates::all, cmd_append},
    CommandRow{Verb::getquota, State::authenticated, Updates::all, cmd_getquota},
    CommandRow{Verb::getquotaroot, State::authenticated, Updates::all, cmd_getquotaroot},
    CommandRow{Verb::getmetadata, State::authenticated, Updates::all, cmd_getmetadata},
    CommandRow{Verb::setmetadata, State::authenticated, Updates::all, cmd_setmetadata},
    CommandRow{Verb::getacl, State::authenticated, Updates::all, cmd_getacl},
    CommandRow{Verb::setacl, State::authenticated, Updates::all, cmd_setacl},
    CommandRow{Verb::deleteacl, State::authenticated, Updates::all, cmd_setacl},
    CommandRow{Verb::listrights, State::authenticated, Updates::all, cmd_listrights},
    CommandRow{Verb::myrights, State::authenticated, Updates::all, cmd_myrights},
    CommandRow{Verb::genurlauth, State::authenticated, Updates::all, cmd_genurlauth},
    CommandRow{Verb::resetkey, State::authenticated, Updates::all, cmd_resetkey},
    CommandRow{Verb::urlfetch, State::authenticated, Updates::all, cmd_urlfetch},
    CommandRow{Verb::compress, State::authenticated, Updates::all, cmd_compress},
    CommandRow{Verb::idle, State::authenticated, Updates::all, cmd_idle},
    CommandRow{Verb::notify, State::authenticated, Updates::all, cmd_notify},
    CommandRow{Verb::esearch, State::authenticated, Updates::no_expunge, cmd_esearch},
    CommandRow{Verb::check, State::selected, Updates::all, cmd_noop},
    CommandRow{Verb::close, State::selected, Updates::none, cmd_close},
    CommandRow{Verb::unselect, State::selected, Updates::none, cmd_close},
    CommandRow{Verb::expunge, State::selected, Updates::all, cmd_expunge},
    CommandRow{Verb::search, State::selected, Updates::no_expunge, cmd_search, true},
    CommandRow{Verb::sort, State::selected, Updates::no_expunge, cmd_sort, true},
    CommandRow{Verb::thread, State::selected, Updates::no_expunge, cmd_thread, true},
    CommandRow{Verb::cancelupdate, State::selected, Updates::all, cmd_cancelupdate},
    CommandRow{Verb::uidbatches, State::selected, Updates::all, cmd_uidbatches},
    CommandRow{Verb::fetch, State::selected, Updates::no_expunge, cmd_fetch, true},
    CommandRow{Verb::store, State::selected, Updates::no_expunge, cmd_store, true},
    CommandRow{Verb::copy, State::selected, Updates::all, cmd_copy, true},
    CommandRow{Verb::move, State::selected, Updates::all, cmd_copy, true},
    CommandRow{Verb::replace, State::selected, Updates::all, cmd_append, true},
};

// A text for the client never breaks its line.
std::string printable(std::string_view text) {
    std::string out;
    for (char c : text) out += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f ? '?' : c;
    return out;
}

}  // namespace

const CommandRow* find_command(Verb verb) {
    for (const auto& row : kTable)
        if (row.verb == verb) return &row;
    return nullptr;
}

void fail_no(std::string text) {
    throw CommandFailed({Answer::Status::no, std::move(text)});
}

void fail_bad(std::string text) {
    throw CommandFailed({Answer::Status::bad, std::move(text)});
}

void fail_storage(const Error& error, std::string_view not_found_code) {
    std::string text = printable(error.text);
    switch (error.code) {
        case ErrorCode::not_found:
            fail_no('[' + std::string(not_found_code) + "] no such mailbox");
        case ErrorCode::exists:
            fail_no("[ALREADYEXISTS] a mailbox of that name exists");  // RFC 5530 3
        case ErrorCode::over_quota:
            fail_no("[OVERQUOTA] the account may not hold more");  // RFC 5530 3
        case ErrorCode::no_space:
            fail_no("[UNAVAILABLE] no room for more at the moment");
        case ErrorCode::bad_request:
            fail_no("[CANNOT] " + text);
        case ErrorCode::denied:
            fail_no("[NOPERM] " + text);
        default:
            fail_no("[UNAVAILABLE] the mail storage does not answer; try again later");
    }
}

}  // namespace mox::imapd
