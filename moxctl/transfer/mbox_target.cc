// mbox files, one for each mailbox, as mboxrd: lines that begin with any number of ">" and "From " get one ">" more.
// Flags stand in the fields Status, X-Status and X-Keywords; such fields that the message brought are left out, and so
// is Content-Length, by which some programs would find the end of the message.
#include <array>
#include <cstring>
#include <ctime>
#include <fmt/format.h>

#include "common/text/ascii.h"
#include "moxctl/transfer/flags.h"
#include "moxctl/transfer/mbox.h"
#include "moxctl/transfer/names.h"
#include "moxctl/transfer/target.h"

namespace mox::moxctl {
namespace {

/// The text of a message as a source of lines.
class TextBytes : public Bytes {
  public:
    explicit TextBytes(const StoredMessage& message) : text_(message) {}
    std::string_view read() override { return text_.read(); }

  private:
    MessageText text_;
};

std::string status_fields(const proto::MessageRow& row, const std::vector<std::string>& keywords) {
    std::string out = (row.flags & proto::kSeen) != 0 ? "Status: RO\n" : "Status: O\n";
    std::string letters;
    if ((row.flags & proto::kAnswered) != 0) letters += 'A';
    if ((row.flags & proto::kFlagged) != 0) letters += 'F';
    if ((row.flags & proto::kDraft) != 0) letters += 'T';
    if ((row.flags & proto::kDeleted) != 0) letters += 'D';
    if (!letters.empty()) out += fmt::format("X-Status: {}\n", letters);
    std::string words;
    if ((row.flags & proto::kForwarded) != 0) words += " $Forwarded";
    for (const std::string& name : flag_keywords(row.flags)) words += ' ' + name;
    for (const std::string& name : keywords) words += ' ' + name;
    if (!words.empty()) out += fmt::format("X-Keywords:{}\n", words);
    return out;
}

/// The envelope sender, from the Return-Path that storing put in front.
std::string sender_of(std::string_view prefix) {
    constexpr std::string_view kField = "Return-Path: <";
    std::string sender;
    if (prefix.starts_with(kField)) {
        prefix.remove_prefix(kField.size());
        sender = prefix.substr(0, prefix.find('>'));
    }
    bool plain = !sender.empty() && sender.find_first_of(" \t\r\n") == std::string::npos;
    return plain ? sender : "MAILER-DAEMON";
}

std::string from_line(const StoredMessage& message) {
    time_t time = message.row.received;
    tm utc{};
    char date[64] = "Thu Jan  1 00:00:00 1970";
    if (gmtime_r(&time, &utc) != nullptr) std::strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &utc);
    return fmt::format("From {} {}\n", sender_of(message.prefix), date);
}

bool is_left_out(std::string_view line) {
    constexpr std::array<std::string_view, 4> kNames = {"Status", "X-Status", "X-Keywords", "Content-Length"};
    std::string_view name = line.substr(0, line.find(':'));
    for (std::string_view n : kNames)
        if (name.size() < line.size() && text::iequals(name, n)) return true;
    return false;
}

class MboxTarget : public Target {
  public:
    void begin_mailbox(const proto::Mailbox& mailbox) override {
        path_ = path_of_mailbox(mailbox.name) + ".mbox";
        if (size_t slash = path_.rfind('/'); slash != std::string::npos) make_directories(path_.substr(0, slash));
        file_ = std::make_unique<NewFile>(path_ + ".new");
    }
    bool wants(const proto::MessageRow&, const std::vector<std::string>&) override { return true; }
    void write(const StoredMessage& message) override;
    std::vector<std::string> end_mailbox() override {
        file_->keep_as(path_, 0);
        file_.reset();
        return {};
    }

  private:
    void write_text(LineReader& lines, const std::string& status);
    std::string path_;
    std::unique_ptr<NewFile> file_;
};

void MboxTarget::write(const StoredMessage& message) {
    file_->write(from_line(message));
    TextBytes bytes(message);
    LineReader lines(bytes);
    write_text(lines, status_fields(message.row, message.keywords));
    file_->write("\n");
}

void MboxTarget::write_text(LineReader& lines, const std::string& status) {
    bool in_header = true;
    bool dropping = false;
    bool ended = true;
    while (auto piece = lines.next()) {
        std::string_view text = piece->text;
        if (in_header && piece->begins_line) {
            if (text == "\n") {
                file_->write(status);
                in_header = false;
            }
            // A field goes on in the lines behind it that begin with a blank.
            if (!text.starts_with(' ') && !text.starts_with('\t')) dropping = in_header && is_left_out(text);
        }
        if (dropping && in_header) continue;
        if (piece->begins_line && (text.starts_with("From ") || is_quoted_from(text))) file_->write(">");
        file_->write(text);
        ended = text.ends_with('\n');
    }
    if (!ended) file_->write("\n");
    if (in_header) file_->write(status);
}

}  // namespace

std::unique_ptr<Target> make_mbox_target() {
    return std::make_unique<MboxTarget>();
}

}  // namespace mox::moxctl
