// carol: an account that is put back from a backup, removed, and put back again, while others go on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/storaged/world.h"

namespace mox::crash {

/// Where a message is and with which flags, in one account; sorted.
using Places = std::vector<std::pair<std::string, uint32_t>>;
/// Every message of an account: its text, and where it is.
using Found = std::map<std::string, Places>;
/// A text that is too large to travel in a request, in a spool file: its number; else 0.
async::Task<Result<uint64_t>> to_spool(ipc::Channel& channel, std::string text);
/// All of an account, read through the channel that a worker has. The names of its mailboxes are appended.
Result<Found> read_account(storaged::test::World& w, const std::string& name, std::vector<std::string>& mailboxes);

/// Makes carol an account beside those that a World has by itself.
void add_carol(storaged::test::World& w);
/// Her steps one after the other, with a call of `answered` behind each; ends when one fails.
async::Task<void> replace_carol(storaged::test::World& w, std::function<void()> answered);
/// How many steps there are.
size_t carols_steps();
/// What she has after so many answered steps, and whether what was moved aside by them can be put back: an empty text
/// when that is so.
std::string check_carol(storaged::test::World& w, size_t steps);

}  // namespace mox::crash
