// How a message gets into stores: its content, from the request itself or from a spool file, gets a name in the store's
// tree and its row in one operation of the store's strand; both become durable with the commit. See DESIGN.md for each
// point a crash can come at.
//
// These tasks run to their end whatever becomes of the channel that asked: run them in a scope that outlives it
// (complete.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/account.h"
#include "proto/admin.h"
#include "proto/storage.h"
#include "storaged/account.h"
#include "storaged/queue_store.h"
#include "storaged/spool.h"

namespace mox::storaged {

async::Task<Result<proto::DeliveryOutcomes>> deliver(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> queue,
                                                     Source source, proto::Deliver request);
/// `sources` are those of the items, in order; `guest` is who asks, empty for the owner. All or none.
async::Task<Result<proto::MessagesAppended>> append(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<Source> sources, proto::AppendMessages request,
                                                    std::string guest);
/// The same, but each message by itself, and none that an import has brought before.
async::Task<Result<proto::MessagesImported>> import(Engine& engine, std::shared_ptr<Account> account,
                                                    std::vector<Source> sources, proto::ImportMessages request);
async::Task<Result<proto::Enqueued>> enqueue(Engine& engine, std::shared_ptr<Strand> queue, Source source,
                                             proto::Enqueue request);
async::Task<Result<proto::Done>> deliver_local(Engine& engine, Accounts& accounts, std::shared_ptr<Strand> queue,
                                               proto::QueueDeliverLocal request);

}  // namespace mox::storaged
