// How a spooled message gets into stores, in two steps that each share their flush with whoever waits at the same
// moment: first the file is linked into the store's tree and made durable, then its row is committed and the commit
// made durable. A failure removes the names this delivery made, and no other. See DESIGN.md for each point a crash can
// come at.
//
// These tasks run to their end whatever becomes of the channel that asked: run them in a scope that outlives it
// (complete.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/account.h"
#include "proto/storage.h"
#include "storaged/account.h"
#include "storaged/queue_store.h"
#include "storaged/spool.h"

namespace mox::storaged {

/// Makes the links, and makes them and the files they name durable; `contents` are those files, open.
async::Task<Result<proto::Done>> place_files(Engine& engine, std::vector<NewLink> links, std::vector<Fd> contents);

async::Task<Result<proto::DeliveryOutcomes>> deliver(Engine& engine, Accounts& accounts, TakenSpool spool,
                                                     proto::Deliver request);
/// `spools` are those of the items, in order. All or none.
async::Task<Result<proto::MessagesAppended>> append(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<TakenSpool> spools, proto::AppendMessages request);
/// `file` is the number reserved for it in the queue's tree.
async::Task<Result<proto::Enqueued>> enqueue(Engine& engine, std::shared_ptr<Strand> queue, uint64_t file,
                                             TakenSpool spool, proto::Enqueue request);
async::Task<Result<proto::Done>> deliver_local(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> queue,
                                               proto::QueueDeliverLocal request);

}  // namespace mox::storaged
