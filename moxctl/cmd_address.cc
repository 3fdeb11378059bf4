// address add|remove.
#include <fmt/format.h>

#include "moxctl/command.h"

namespace mox::moxctl {

void cmd_address_add(Context& context, const Arguments& arguments) {
    context.moxd.call(proto::CtlAddressAdd{arguments.words[0], arguments.words[1]});
    context.output.say(fmt::format("address {} added to account {}", arguments.words[0], arguments.words[1]),
                       Json::object());
}

void cmd_address_remove(Context& context, const Arguments& arguments) {
    context.moxd.call(proto::CtlAddressRemove{arguments.words[0]});
    context.output.say(fmt::format("address {} removed", arguments.words[0]), Json::object());
}

}  // namespace mox::moxctl
