// The notices that senders get: what happened to their message, in plain words, and what they can do.
//
// Pure functions from entries and outcomes to the text of a DSN (mail::build_dsn). RFCs: 3464, 3463, 5321 4.5.5 and 6.1
// (never about mail with the null reverse path: the caller sees to it).
#pragma once

#include <string>
#include <vector>

#include "common/smtp/outcome.h"
#include "proto/storage.h"
#include "queued/schedule.h"

namespace mox::queued {

struct NoticeRecipient {
    proto::QueueEntry entry;
    smtp::Outcome outcome;
    Decision decision;
};

struct NoticeFacts {
    std::string hostname;
    std::string message_id;  // of the notice, without <>
    int64_t now = 0;
    std::string original_header;  // header block of the message
};

/// A notice about recipients of one message that all failed, or are all delayed. At least one recipient.
std::string build_notice(Notice kind, const std::vector<NoticeRecipient>& recipients, const NoticeFacts& facts);

/// What the sender can do about it; a sentence or two.
std::string advice(const smtp::Outcome& outcome, bool expired);

/// The status of the DSN: class 5 or 4 by kind, subject and detail of the outcome (RFC 3463 2).
std::string dsn_status(Notice kind, const smtp::Outcome& outcome, bool expired);

}  // namespace mox::queued
