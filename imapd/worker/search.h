// Deciding whether a message matches the keys of a SEARCH, with as little of the message as that takes.
//
// A Search is compiled once from the parsed key. decide() looks at what it is given: the row alone, then with what
// the index of words says, then with the parse, then with the file; `unknown` means that more is needed. The index
// never says other than the message itself would. Pure but for the reading of the file. RFC 3501 6.4.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "imapd/grammar/command.h"
#include "imapd/worker/search_text.h"
#include "imapd/worker/stored_message.h"
#include "imapd/worker/view.h"
#include "imapd/worker/word_answers.h"

namespace mox::imapd {

/// What is known of a message.
struct Candidate {
    const proto::MessageRow& row;
    const mail::MessageInfo* info = nullptr;
    const StoredMessage* message = nullptr;
    const proto::ContentId* content = nullptr;  // there with the parse
    const WordAnswers* words = nullptr;         // to text_keys()
};

class Search {
  public:
    Search(const SearchKey& key, const MailboxView& view);

    Match decide(const Candidate& candidate) const;
    /// Whether a key speaks of modseqs: then the answer does too (RFC 7162 3.1.5).
    bool has_modseq() const { return has_modseq_; }
    /// What the index of words is to be asked: nothing, or at most proto::kMaxTextKeys.
    const std::vector<proto::TextKey>& text_keys() const { return text_keys_; }
    /// Whether a key can be decided by the parse.
    bool needs_infos() const { return needs_infos_; }
    /// Whether a key cannot.
    bool needs_messages() const { return needs_messages_; }

  private:
    struct Node {
        SearchKey::Kind kind;
        std::vector<Node> children;
        std::vector<SequenceRange> numbers;
        uint32_t bits = 0;
        uint64_t keyword = 0;
        size_t word = 0;                   // index in words_
        std::optional<size_t> text_key{};  // index in text_keys_
        std::string text;                  // folded
        std::string field;
        mail::Date date;
        uint64_t size = 0;
        std::vector<uint64_t> contents{};
    };
    // Words found in a message: in its body, and in body or header.
    struct Found {
        std::vector<char> in_body;
        std::vector<char> in_text;
    };

    Node compile(const SearchKey& key, const MailboxView& view);
    void compile_text(Node& node);
    Match decide(const Node& node, const Candidate& candidate, const Found* found) const;
    Match decide_info(const Node& node, const mail::MessageInfo& info) const;
    Match decide_all(const Node& node, const Candidate& candidate, const Found* found) const;
    Match decide_any(const Node& node, const Candidate& candidate, const Found* found) const;
    Found find_words(const StoredMessage& message) const;

    std::vector<std::string> words_;  // of BODY and TEXT keys, folded
    std::vector<proto::TextKey> text_keys_;
    bool has_modseq_ = false;
    bool needs_infos_ = false;
    bool needs_messages_ = false;
    int64_t now_;             // Unix seconds
    proto::Mailbox mailbox_;  // that is searched
    Node root_;
};

}  // namespace mox::imapd
