// domain add|remove|list.
#include <fmt/format.h>

#include "moxctl/command.h"

namespace mox::moxctl {

void cmd_domain_add(Context& context, const Arguments& arguments) {
    context.moxd.call(proto::CtlDomainAdd{arguments.words[0]});
    context.output.say(fmt::format("domain {} added", arguments.words[0]), Json::object());
}

void cmd_domain_remove(Context& context, const Arguments& arguments) {
    context.moxd.call(proto::CtlDomainRemove{arguments.words[0]});
    context.output.say(fmt::format("domain {} removed", arguments.words[0]), Json::object());
}

void cmd_domain_list(Context& context, const Arguments&) {
    auto list = context.moxd.call(proto::CtlDomainList{});
    if (context.output.format == Format::json) {
        Json domains = Json::array();
        for (const auto& d : list.domains)
            domains.push_back({{"name", d.name}, {"disabled", d.disabled}, {"addresses", d.addresses}});
        context.output.json({{"domains", domains}});
        return;
    }
    Table table({{"DOMAIN"}, {"STATE"}, {"ADDRESSES", Align::right}});
    for (const auto& d : list.domains)
        table.add({d.name, d.disabled ? "disabled" : "enabled", fmt::to_string(d.addresses)});
    context.output.raw(table.take());
}

}  // namespace mox::moxctl
