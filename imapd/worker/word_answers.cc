#include "imapd/worker/word_answers.h"

#include "imapd/worker/sealed_file.h"

namespace mox::imapd {
namespace {

constexpr uint64_t kMaxBytes = 64u << 20;

}  // namespace

Result<WordAnswers> WordAnswers::load(proto::TextFound found, size_t keys) {
    WordAnswers answers;
    answers.first_ = found.first;
    answers.count_ = found.count;
    uint64_t bytes = (found.count / 64 + (found.count % 64 != 0)) * 8;
    if (found.keys.size() != keys || bytes > kMaxBytes / (keys + kKeys))
        return temporary(ErrorCode::internal, "answers of the index out of bounds");
    bytes *= keys + kKeys;
    if (!found.bits || !is_sealed(found.bits.get(), bytes))
        return temporary(ErrorCode::internal, "answers of the index not sealed");
    answers.bits_.resize(bytes / 8);
    if (!read_whole(found.bits.get(), {reinterpret_cast<char*>(answers.bits_.data()), bytes}))
        return temporary(ErrorCode::internal, "answers of the index not readable");
    answers.keys_ = std::move(found.keys);
    return answers;
}

bool WordAnswers::has(size_t bitmap, uint64_t content) const {
    uint64_t bit = content - first_;
    if (content < first_ || bit >= count_) return false;
    return (bits_[bitmap * ((count_ + 63) / 64) + bit / 64] >> bit % 64 & 1) != 0;
}

Match WordAnswers::decide(size_t key, uint64_t content) const {
    if (keys_[key] == proto::KeyAnswer::unknown) return Match::unknown;
    if (has(kKeys + key, content)) return keys_[key] == proto::KeyAnswer::exact ? Match::yes : Match::unknown;
    return has(kComplete, content) ? Match::no : Match::unknown;
}

}  // namespace mox::imapd
