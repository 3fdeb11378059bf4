#include "storaged/compressing.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/mail/stored_file.h"
#include "common/pack/frames.h"
#include "storaged/mail_store.h"

// Large messages are compressed some seconds after they came: whoever waits for an answer does not wait for this. Each
// gets a new file, under a new number, in the spool at first; it takes the place of the other in one operation, like a
// delivery and an expunge. So a crash leaves the one or the other, and backups, which know files by their numbers, see
// nothing special.

namespace mox::storaged {
namespace {

constexpr int kMaxTries = 10;            // for a file that is shared
constexpr uint64_t kProbe = 512u << 10;  // what does not get smaller up to here is left alone

Error interrupted() {
    return {Persistence::temporary, ErrorCode::busy, "compression is put off"};
}

class FileCompressor {
  public:
    FileCompressor(const Compressible& message, mail::StoredFile source, const std::function<bool()>& go_on)
        : source_(std::move(source)), go_on_(go_on), content_(message.content), writer_(message.content) {}
    /// False when it does not pay.
    Result<bool> write_to(const Fd& target);
    /// Whether what was written becomes the message again.
    Result<bool> compare(const Fd& target);
    uint64_t stored() const { return writer_.stored(); }

  private:
    Result<std::string> next_piece(uint64_t at);
    mail::StoredFile source_;
    const std::function<bool()>& go_on_;
    uint64_t content_;
    pack::FrameWriter writer_;
};

Result<std::string> FileCompressor::next_piece(uint64_t at) {
    if (!go_on_()) return std::unexpected(interrupted());
    std::string piece(std::min<uint64_t>(pack::kFrameContent, source_.size() - at), '\0');
    for (size_t got = 0; got < piece.size();) {
        size_t n = source_.read(at + got, std::span(piece).subspan(got));
        if (n == 0) return temporary(ErrorCode::io, "the message file cannot be read");
        got += n;
    }
    return piece;
}

Result<bool> FileCompressor::write_to(const Fd& target) {
    auto append = [&](std::string_view bytes, uint64_t at) {
        if (!write_all(target, bytes, at)) fail_errno("writing a compressed message");
    };
    while (writer_.size() < source_.size()) {
        auto piece = next_piece(writer_.size());
        if (!piece) return std::unexpected(std::move(piece.error()));
        uint64_t at = writer_.stored();
        append(writer_.add(*piece), at);
        if (writer_.size() >= kProbe && !pack::saves_enough(writer_.size(), writer_.stored())) return false;
    }
    uint64_t at = writer_.stored();
    append(writer_.finish(), at);
    return pack::saves_enough(source_.size(), writer_.stored());
}

Result<bool> FileCompressor::compare(const Fd& target) {
    auto reader = pack::FrameReader::open(mail::reader_of(target), writer_.stored());
    if (!reader || reader->size() != source_.size() || reader->content() != content_) return false;
    for (uint64_t at = 0; at < source_.size();) {
        auto piece = next_piece(at);
        if (!piece) return std::unexpected(std::move(piece.error()));
        std::string again(piece->size(), '\0');
        if (reader->read(at, again) != piece->size() || again != *piece) return false;
        at += piece->size();
    }
    return true;
}

/// Throws StoreFailure.
Result<Compression> compress_to(const Compressible& message, mail::StoredFile source, const std::string& target,
                                const std::function<bool()>& go_on) {
    auto file =
        std::make_shared<const Fd>(open(target.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!*file) fail_errno("making a compressed message");
    FileCompressor compressor(message, std::move(source), go_on);
    auto smaller = compressor.write_to(*file);
    if (!smaller) return std::unexpected(std::move(smaller.error()));
    if (!*smaller) return Compression{};
    auto same = compressor.compare(*file);
    if (!same) return std::unexpected(std::move(same.error()));
    if (!*same) return temporary(ErrorCode::internal, "the compressed file does not hold the message");
    // Here and not by the journal, for which others wait.
    if (fsync(file->get()) != 0) log::fatal("the disk failed: ending", {{"error", std::strerror(errno)}});
    return Compression{Compression::Outcome::smaller, {target, file, compressor.stored()}};
}

}  // namespace

Result<Compression> compress_file(const Compressible& message, const std::string& target,
                                  const std::function<bool()>& go_on) {
    try {
        Fd file(open(message.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        struct stat st{};
        if (!file || fstat(file.get(), &st) != 0) fail_errno("opening a message to compress it");
        if (static_cast<uint64_t>(st.st_size) != message.size) return Compression{};  // damaged: left as it is
        if (st.st_nlink > 1) return Compression{Compression::Outcome::shared, {}};
        return compress_to(message, {std::move(file), message.size, 0}, target, go_on);
    } catch (const StoreFailure& failure) {
        return std::unexpected(failure.error());
    }
}

void MailStore::note_compressible(uint64_t content) {
    db().run("INSERT INTO to_compress VALUES (?, 0)", content);
    effects().compress_due = true;
}

Result<std::optional<Compressible>> MailStore::next_compressible(uint64_t after) {
    auto row = db().query(
        "SELECT content.id, file_size FROM to_compress JOIN content ON content.id = to_compress.content"
        " WHERE content.id > ? ORDER BY content.id LIMIT 1",
        after);
    if (!row.next()) return std::nullopt;
    return Compressible{row.number(0), row.number(1), tree().path_of(row.number(0))};
}

Result<proto::Done> MailStore::finish_compression(uint64_t content, const Compression& compression) {
    if (compression.outcome == Compression::Outcome::shared) {
        db().run("UPDATE to_compress SET tries = tries + 1 WHERE content = ?", content);
        db().run("DELETE FROM to_compress WHERE content = ? AND tries >= ?", content, kMaxTries);
        return proto::Done{};
    }
    // Expunged meanwhile: then it is in neither table.
    bool is_there = db().run("DELETE FROM to_compress WHERE content = ?", content) > 0;
    if (!is_there || compression.outcome != Compression::Outcome::smaller) return proto::Done{};
    const CompressedFile& compressed = compression.file;
    uint64_t file = place_file(compressed.path, compressed.file);
    db().run("UPDATE content SET file = ?, length = ?, method = ? WHERE id = ?", file, compressed.size,
             static_cast<int>(pack::Method::frames), content);
    db().run("INSERT INTO compressed VALUES (?, ?, ?)", file, content, compressed.size);
    note_file_unused(content);
    counters().compressed++;
    return proto::Done{};
}

void MailStore::drop_file(uint64_t content, const ContentPlace& place) {
    note_file_unused(place.file);
    db().run("DELETE FROM to_compress WHERE content = ?", content);
    db().run("DELETE FROM compressed WHERE file = ?", place.file);
}

uint64_t MailStore::check_contents(const proto::FileRow& row, const std::function<void(std::string)>& report) {
    if (row.kind == proto::FileKind::pack) return packs_.check(row.number, report);
    if (row.kind == proto::FileKind::message) return 1;
    auto of = db().query(
        "SELECT id, file_size FROM compressed JOIN content ON content.id = content WHERE compressed.file = ?",
        row.number);
    if (!of.next()) return 0;
    Fd file(::open(tree().path_of(row.number).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return 1;  // that it is missing was said already
    auto reader = pack::FrameReader::open(mail::reader_of(file), row.size);
    bool whole = reader && reader->content() == of.number(0) && reader->size() == of.number(1) &&
                 reader->is_whole(0, reader->size());
    if (whole) return 1;
    report(fmt::format("message {} in file {} is damaged", of.number(0), row.number));
    return 0;
}

}  // namespace mox::storaged
