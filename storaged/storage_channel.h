// StorageChannel: what storaged does for the programs that bring mail in and send it out, and for authd; see
// proto/storage.h. Which of them may ask for what is in the messages' declarations.
#pragma once

#include "proto/storage.h"
#include "storaged/server.h"

namespace mox::storaged {

class StorageChannel {
  public:
    StorageChannel(Server& server, ipc::Role peer);

    ipc::Role peer() const { return peer_; }

    async::Task<Result<proto::SpoolFile>> on(proto::CreateSpool) { return spools_.create(); }
    void on(proto::DropSpool message) { spools_.drop(message.spool); }
    async::Task<Result<proto::DeliveryOutcomes>> on(proto::Deliver message);
    async::Task<Result<proto::SenderHistories>> on(proto::GetSenderHistory message);  // opinions.cc
    async::Task<Result<proto::WordCounts>> on(proto::GetWordCounts message);          // junk_words.cc
    async::Task<Result<proto::Enqueued>> on(proto::Enqueue message);
    async::Task<Result<proto::QueueEntries>> on(proto::QueueDue message);
    async::Task<Result<proto::NextAttempt>> on(proto::QueueNext message);
    async::Task<Result<proto::QueueEntries>> on(proto::QueueScan message);
    async::Task<Result<proto::QueuedMessage>> on(proto::QueueOpen message);
    async::Task<Result<proto::Done>> on(proto::QueueUpdate message);
    async::Task<Result<proto::Done>> on(proto::QueueRemove message);
    async::Task<Result<proto::Done>> on(proto::QueueDeliverLocal message);
    async::Task<Result<proto::StoredCredentials>> on(proto::GetCredentials message);
    async::Task<Result<proto::Done>> on(proto::SetCredentials message);
    async::Task<Result<proto::OwnedClientKey>> on(proto::FindClientKey message);
    async::Task<Result<proto::Done>> on(proto::AddClientKey message);
    async::Task<Result<proto::Done>> on(proto::RemoveClientKey message);
    async::Task<Result<proto::OwnedClientKeys>> on(proto::ListClientKeys message);
    // web_sessions.cc
    async::Task<Result<proto::WebSession>> on(proto::AddWebSession message);
    async::Task<Result<proto::WebSession>> on(proto::FindWebSession message);
    async::Task<Result<proto::Done>> on(proto::EndWebSessions message);
    async::Task<Result<proto::AccountChannel>> on(proto::OpenAccount message);
    async::Task<Result<proto::Done>> on(proto::NoteLogins message) { return server_.note_logins(std::move(message)); }

  private:
    Server& server_;
    ipc::Role peer_;
    SpoolSet spools_;
};

}  // namespace mox::storaged
