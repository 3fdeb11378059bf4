// Within the grammar: the two commands whose arguments have files of their own.
#pragma once

#include "imapd/grammar/command.h"

namespace mox::imapd {

/// Arguments of FETCH, from the space in front of the set on. Throws SyntaxError.
Arguments parse_fetch(Scanner& in);
/// What stands between the brackets of BODY[...]. Throws SyntaxError.
void parse_section_spec(Scanner& in, Section& section);
/// Arguments of SEARCH. Throws SyntaxError.
Arguments parse_search(Scanner& in);

}  // namespace mox::imapd
