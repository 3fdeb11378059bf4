// What import reads and export writes: names, flags, mbox, trees, archives.
#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <unistd.h>

#include "moxctl/transfer/archive.h"
#include "moxctl/transfer/directory.h"
#include "moxctl/transfer/flags.h"
#include "moxctl/transfer/mbox.h"
#include "moxctl/transfer/names.h"
#include "moxctl/transfer/target.h"
#include "proto/account.h"
#include "tests/unit/catch.h"

namespace mox::moxctl {
namespace {

namespace fs = std::filesystem;

class TextBytes : public Bytes {
  public:
    TextBytes(std::string text, size_t step) : text_(std::move(text)), step_(step) {}
    std::string_view read() override {
        std::string_view piece = std::string_view(text_).substr(at_, step_);
        at_ += piece.size();
        return piece;
    }

  private:
    std::string text_;
    size_t step_;
    size_t at_ = 0;
};

struct Read {
    SourceMessage message;
    std::string text;
};
struct All {
    std::vector<Read> messages;
    std::set<std::string> folders;
    std::vector<std::string> skipped;
};

All read_all(Source& source) {
    All all;
    for (bool more = true; more;) {
        try {
            Read read;
            more = source.next(read.message);
            if (!more) break;
            if (read.message.kind == SourceKind::mailbox) {
                all.folders.insert(read.message.mailbox);
                continue;
            }
            for (auto piece = source.read(); !piece.empty(); piece = source.read()) read.text += piece;
            all.messages.push_back(std::move(read));
        } catch (const Skipped& skipped) {
            all.skipped.push_back(skipped.origin + ": " + skipped.what());
        }
    }
    return all;
}

All read_mbox(const std::string& text, size_t step = 65536) {
    MboxSource source(std::make_unique<TextBytes>(text, step), "x.mbox", "Box");
    return read_all(source);
}

class Directory {
  public:
    Directory() : before_(fs::current_path()) {
        std::string name = "/var/tmp/mox-transfer-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
        fs::current_path(path_);
    }
    ~Directory() {
        fs::current_path(before_);
        fs::remove_all(path_);
    }

  private:
    fs::path before_;
    fs::path path_;
};

void put(const std::string& path, const std::string& text) {
    if (fs::path(path).has_parent_path()) fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
}

void make_archive(const std::string& path, ArchiveFormat format,
                  const std::vector<std::pair<std::string, std::string>>& entries) {
    archive* a = archive_write_new();
    if (format == ArchiveFormat::zip) {
        archive_write_set_format_zip(a);
    } else {
        archive_write_set_format_pax_restricted(a);
        archive_write_add_filter_gzip(a);
    }
    REQUIRE(archive_write_open_filename(a, path.c_str()) == ARCHIVE_OK);
    for (const auto& [name, text] : entries) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, name.c_str());
        archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_mtime(entry, 1500000000, 0);
        REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
        REQUIRE(archive_write_data(a, text.data(), text.size()) == static_cast<la_ssize_t>(text.size()));
        archive_entry_free(entry);
    }
    archive_write_close(a);
    archive_write_free(a);
}

All read_archive(const std::string& path, ArchiveFormat format) {
    ArchiveSource source(Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC)), format);
    return read_all(source);
}

}  // namespace

TEST_CASE("mailboxes of paths") {
    struct Row {
        const char* path;
        const char* name;
    };
    const Row kRows[] = {
        {"", ""},
        {".Sent", "Sent"},
        {".Sent.2024", "Sent/2024"},
        {"Work/2024", "Work/2024"},
        {".Entw&APw-rfe", "Entwürfe"},
        {"AT&T", "AT&T"},  // not modified UTF-7
        {"Inbox.sbd/Old", "Inbox/Old"},
        {".a..b", "a/_/b"},
        {"x\x01y", "x%01y"},
        {"caf\xe9", "caf%E9"},
        {"#news", "%23news"},
        {"..", "_/_"},
    };
    for (const Row& row : kRows) CHECK(mailbox_of_path(row.path) == row.name);
    CHECK(mailbox_of_file("a/b.mbox") == "a/b");
    CHECK(mailbox_of_file("Sent") == "Sent");
}

TEST_CASE("a mailbox's path leads back to it") {
    for (std::string name : {"INBOX", "a/b/c", "cur", "x/new/y", ".hidden", "100%", "50%2E", "R&D", "&APw-", "Entwürfe",
                             "x.sbd", "y.mbox", "a.b", "tmp"}) {
        CHECK(mailbox_of_path(path_of_mailbox(name)) == name);
        CHECK(mailbox_of_file(path_of_mailbox(name) + ".mbox") == name);
    }
    CHECK(path_of_mailbox("cur/.x") == "%63ur/%2Ex");
}

TEST_CASE("flags of maildir names") {
    std::vector<std::string> keywords = parse_dovecot_keywords("0 work\n1 $Junk\nbad\n99 x\n25 last\n2 not(one\n");
    REQUIRE(keywords.size() == 26);
    SourceMessage message;
    take_maildir_flags(message, "1.2.3:2,DFPRSTabz", keywords);
    CHECK(message.flags == (proto::kDraft | proto::kFlagged | proto::kForwarded | proto::kAnswered | proto::kSeen |
                            proto::kDeleted | proto::kJunk));
    CHECK(message.keywords == std::vector<std::string>{"work", "last"});
    SourceMessage none;
    take_maildir_flags(none, "1.2.3", keywords);
    take_maildir_flags(none, "1.2.3:1,S", keywords);
    CHECK(none.flags == 0);
    CHECK(maildir_letters(proto::kSeen | proto::kFlagged, {1, 0}) == "FSab");
    CHECK(flag_keywords(proto::kJunk | proto::kSeen | proto::kForwarded) == std::vector<std::string>{"$Junk"});
}

TEST_CASE("time of a maildir message: the earlier of name and file") {
    CHECK(maildir_time("1400000000.M1.host:2,", 1500000000) == 1400000000);
    CHECK(maildir_time("1500000000.M1.host:2,", 1400000000) == 1400000000);
    CHECK(maildir_time("17.x", 1400000000) == 1400000000);
    CHECK(maildir_time("name", 1400000000) == 1400000000);
}

TEST_CASE("From lines") {
    CHECK(is_from_line("From a@b Thu Nov 26 01:11:00 2026"));
    CHECK(is_from_line("From MAILER-DAEMON Thu Nov  6 01:11 2026"));
    CHECK(is_from_line("From a@b Thu Nov 26 01:11:00 +0100 2026"));
    CHECK_FALSE(is_from_line("From here on all is well"));
    CHECK_FALSE(is_from_line("From a b c d e f"));
    CHECK(parse_from_line("From a Thu Jan  1 00:00:10 1970")->unix_seconds == 10);
    CHECK(parse_from_line("From a Thu Jan  1 01:00:10 1970 +0100")->unix_seconds == 10);
    CHECK(parse_from_line("From a Thu Jan  1 01:00:10 +0100 1970")->zone_minutes == 60);
}

TEST_CASE("mbox: messages, flags, separators") {
    std::string text =
        "From a@b Thu Jan  1 00:00:10 1970\nSubject: one\nStatus: RO\nX-Status: AF\n"
        "X-Keywords: work, $Junk\nX-Folded: a\n b\nContent-Length: 7\n\nline\n>From x\n>>From y\n\nFrom here on\n"
        "no end\n\n"
        "From c@d Thu Jan  1 00:00:20 1970\nSubject: two\n\nnoeol";
    for (size_t step : {1, 2, 7, 65536}) {
        INFO(step);
        All all = read_mbox(text, step);
        REQUIRE(all.messages.size() == 2);
        CHECK(all.messages[0].text ==
              "Subject: one\nX-Folded: a\n b\n\nline\nFrom x\n>From y\n\nFrom here on\nno end\n");
        CHECK(all.messages[0].message.flags == (proto::kSeen | proto::kAnswered | proto::kFlagged | proto::kJunk));
        CHECK(all.messages[0].message.keywords == std::vector<std::string>{"work"});
        CHECK(all.messages[0].message.received->unix_seconds == 10);
        CHECK(all.messages[0].message.mailbox == "Box");
        CHECK(all.messages[1].text == "Subject: two\n\nnoeol");
        CHECK(all.skipped.empty());
    }
}

TEST_CASE("mbox: what is none, and odd ones") {
    CHECK(read_mbox("").messages.empty());
    CHECK(read_mbox("Subject: x\n\ny\n").skipped.size() == 1);
    All empty = read_mbox("From a@b Thu Jan  1 00:00:10 1970\n\nFrom a@b Thu Jan  1 00:00:10 1970\nA: b\n");
    REQUIRE(empty.messages.size() == 2);
    CHECK(empty.messages[1].text == "A: b\n");
    All internal = read_mbox(
        "From a@b Thu Jan  1 00:00:10 1970\nX-IMAP: 1 2\n\ndata\n\nFrom a@b Thu Jan  1 00:00:10 1970\nA: b\n\nc\n");
    CHECK(internal.messages.size() == 1);
    CHECK(internal.skipped.size() == 1);
    // Found by fuzzing: a header of nothing but quotes.
    CHECK(read_mbox("From a@b Thu Jan  1 00:00:10 1970\n>>>").messages.at(0).text == ">>>");
    // A header without end goes on as text, in bounded memory.
    All endless = read_mbox("From a@b Thu Jan  1 00:00:10 1970\nX: " + std::string(1u << 20, 'x'));
    REQUIRE(endless.messages.size() == 1);
    CHECK(endless.messages[0].text.size() == (1u << 20) + 3);
}

TEST_CASE("a directory: maildir with folders, mbox files, strangers") {
    Directory directory;
    put("cur/1400000000.1.h:2,Sa", "A: 1\n\n");
    put("new/1400000001.1.h", "A: 2\n\n");
    put("tmp/1400000001.1.h", "unfinished");
    put("dovecot-keywords", "0 work\n");
    put("dovecot.index", "x");
    put(".Sent.2024/cur/1.x:2,F", "A: 3\n\n");
    put("Deep/er/new/1.y", "A: 4\n\n");
    put("Old.mbox", "From a@b Thu Jan  1 00:00:10 1970\nA: 5\n\n");
    put("single.eml", "A: 6\n\n");
    put("README", "hello");
    put("cur/.hidden", "x");
    put("Empty.mbox", "");
    put("empty file", "");
    fs::create_directories(".Drafts/cur");
    fs::create_symlink("/etc/passwd", "cur/link:2,");
    DirectorySource source;
    All all = read_all(source);
    CHECK(all.folders == std::set<std::string>{"", "Drafts", "Sent/2024", "Deep/er", "Empty"});
    std::map<std::string, std::string> where;
    for (const Read& read : all.messages) where[read.text] = read.message.mailbox;
    CHECK(where == std::map<std::string, std::string>{{"A: 1\n\n", ""},
                                                      {"A: 2\n\n", ""},
                                                      {"A: 3\n\n", "Sent/2024"},
                                                      {"A: 4\n\n", "Deep/er"},
                                                      {"A: 5\n\n", "Old"},
                                                      {"A: 6\n\n", ""}});
    for (const Read& read : all.messages)
        if (read.text == "A: 1\n\n") {
            CHECK(read.message.flags == proto::kSeen);
            CHECK(read.message.keywords == std::vector<std::string>{"work"});
            CHECK(read.message.received->unix_seconds == 1400000000);
        }
    std::ranges::sort(all.skipped);
    CHECK(all.skipped ==
          std::vector<std::string>{"README: neither in a maildir nor an mbox", "cur/link:2,: a symbolic link"});
}

TEST_CASE("archives: the common root is taken off, keywords may come last") {
    Directory directory;
    prepare_archives();
    for (ArchiveFormat format : {ArchiveFormat::zip, ArchiveFormat::tgz}) {
        make_archive("a", format,
                     {{"alice/Maildir/cur/1400000000.1.h:2,Sa", "A: 1\n\n"},
                      {"alice/Maildir/.Sent/new/x", "A: 2\n\n"},
                      {"alice/Maildir/.Sent/old.mbox", "From a@b Thu Jan  1 00:00:10 1970\nA: 3\n\n"},
                      {"alice/Maildir/notes.txt", "hello"},
                      {"alice/Maildir/dovecot-keywords", "0 work\n"}});
        All all = read_archive("a", format);
        REQUIRE(all.messages.size() == 3);
        CHECK(all.messages[0].message.mailbox.empty());
        CHECK(all.messages[0].message.keywords == std::vector<std::string>{"work"});
        CHECK(all.messages[0].message.received->unix_seconds == 1400000000);
        CHECK(all.messages[1].message.mailbox == "Sent");
        CHECK(all.messages[1].message.received->unix_seconds == 1500000000);
        CHECK(all.messages[2].message.mailbox == "Sent/old");
        CHECK(all.messages[2].text == "A: 3\n\n");
        REQUIRE(all.skipped.size() == 1);
        CHECK(all.skipped[0].starts_with("alice/Maildir/notes.txt: "));
    }
    make_archive("one", ArchiveFormat::zip, {{"x/Archive.mbox", "From a@b Thu Jan  1 00:00:10 1970\nA: 3\n\n"}});
    CHECK(read_archive("one", ArchiveFormat::zip).messages.at(0).message.mailbox == "Archive");
    make_archive("two", ArchiveFormat::tgz, {{"Maildir/cur/1", "A: 1\n\n"}});
    CHECK(read_archive("two", ArchiveFormat::tgz).messages.at(0).message.mailbox.empty());
}

TEST_CASE("archives: damage is said, not passed over") {
    Directory directory;
    put("bad", "no archive at all");
    CHECK_THROWS_AS(read_archive("bad", ArchiveFormat::zip), Broken);
    make_archive("cut", ArchiveFormat::tgz, {{"cur/1", std::string(300000, 'x')}, {"cur/2", "A: 2\n\n"}});
    fs::resize_file("cut", fs::file_size("cut") / 2);
    CHECK_THROWS_AS(read_archive("cut", ArchiveFormat::tgz), Broken);
}

TEST_CASE("what is exported as mbox or maildir is read back the same") {
    Directory directory;
    std::string text =
        "Return-Path: <s@example.org>\r\nSubject: x\r\nStatus: evil\r\n\r\nFrom the\r\n>From y\r\n\r\nFrom z\r\n";
    put("text", text);
    mail::StoredFile file(Fd(open("text", O_RDONLY | O_CLOEXEC)), text.size(), 0);
    proto::MailboxColumns columns{};
    columns.mailbox.name = "A/b";
    columns.mailbox.uidvalidity = 7;
    proto::MessageRow row{};
    row.uid = 5;
    row.flags = proto::kSeen | proto::kFlagged | proto::kJunk | proto::kForwarded;
    row.received = 1400000000;
    for (bool mbox : {false, true}) {
        fs::create_directory("out");
        fs::current_path("out");
        auto target = mbox ? make_mbox_target() : make_maildir_target();
        target->begin_mailbox(columns.mailbox);
        REQUIRE(target->wants(row, {"work"}));
        target->write({row, {"work"}, "", file});
        CHECK(target->end_mailbox().empty());
        DirectorySource source;
        All all = read_all(source);
        REQUIRE(all.messages.size() == 1);
        const Read& read = all.messages[0];
        CHECK(read.message.mailbox == "A/b");
        CHECK(read.message.flags == row.flags);
        CHECK(read.message.keywords == std::vector<std::string>{"work"});
        CHECK(read.message.received->unix_seconds == 1400000000);
        std::string expected =
            mbox ? "Return-Path: <s@example.org>\nSubject: x\n\nFrom the\n>From y\n\nFrom z\n"
                 : "Return-Path: <s@example.org>\nSubject: x\nStatus: evil\n\nFrom the\n>From y\n\nFrom z\n";
        CHECK(read.text == expected);
        if (!mbox) {
            // The second time only the flags change.
            target->begin_mailbox(columns.mailbox);
            CHECK_FALSE(target->wants(row, {"work"}));
            row.flags = proto::kSeen;
            CHECK_FALSE(target->wants(row, {}));
            CHECK(fs::exists("A/b/cur/1400000000.V7U5.mox:2,S"));
            row.flags = proto::kSeen | proto::kFlagged | proto::kJunk | proto::kForwarded;
        }
        fs::current_path("..");
        fs::remove_all("out");
    }
}

}  // namespace mox::moxctl
