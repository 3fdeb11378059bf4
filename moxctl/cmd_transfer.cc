// import, export.
//
// Security policy: what an import reads was made by others, so this process is confined before it looks at the first
// byte: no network, no files but the source, to be read, or the destination, to be written; and no channel but one to
// the mail of the one account.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sandbox/sandbox.h"
#include "moxctl/command.h"
#include "moxctl/transfer/archive.h"
#include "moxctl/transfer/directory.h"
#include "moxctl/transfer/export.h"
#include "moxctl/transfer/import.h"

namespace mox::moxctl {
namespace {

[[noreturn]] void fail(const std::string& path, int error) {
    throw Failed(
        Error{Persistence::permanent, ErrorCode::bad_request, fmt::format("{}: {}", path, std::strerror(error))});
}

struct Opened {
    Fd file;
    bool is_directory = false;
};

Opened open_source(const std::string& format, const std::string& path) {
    Opened source{Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)), false};
    struct stat st{};
    if (!source.file || fstat(source.file.get(), &st) != 0) fail(path, errno);
    source.is_directory = S_ISDIR(st.st_mode);
    bool may_be_directory = format == "maildir" || format == "mbox";
    if (source.is_directory && !may_be_directory) fail(path, EISDIR);
    if (!source.is_directory && format == "maildir") fail(path, ENOTDIR);
    return source;
}

/// After this the process reaches its descriptors and, if there is a directory, what is below it.
void confine(sandbox::Files files, const std::string& directory) {
    log::set_program("moxctl");
    sandbox::enter_as_caller({.files = files, .on_open = sandbox::OnOpen::fail}, directory);
}

std::unique_ptr<Source> make_source(const std::string& format, Opened opened, const std::string& path) {
    if (opened.is_directory) return std::make_unique<DirectorySource>();
    if (format == "zip") return std::make_unique<ArchiveSource>(std::move(opened.file), ArchiveFormat::zip);
    if (format == "tgz") return std::make_unique<ArchiveSource>(std::move(opened.file), ArchiveFormat::tgz);
    return std::make_unique<MboxSource>(std::make_unique<FileBytes>(std::move(opened.file), path), path, "");
}

void check_format(const std::string& format, std::initializer_list<std::string_view> known) {
    for (std::string_view k : known)
        if (format == k) return;
    throw UsageError(fmt::format("unknown format: {}", format));
}

std::string option(const Arguments& arguments, char letter) {
    auto found = arguments.options.find(letter);
    return found == arguments.options.end() ? std::string() : found->second;
}

std::function<void(const std::string&, const std::string&)> complainer(Context& context) {
    return [&context](const std::string& origin, const std::string& reason) {
        context.output.complain(fmt::format("{}: {}", origin, reason));
    };
}

[[noreturn]] void fail_incomplete(uint64_t count) {
    throw Failed(Error{Persistence::permanent, ErrorCode::bad_request,
                       fmt::format("{} {} not taken, as named above", count, count == 1 ? "was" : "were")});
}

std::string summary(const ImportCounts& counts) {
    return fmt::format("{} messages imported, {} were there already, {} not taken; {} new mailboxes", counts.added,
                       counts.known, counts.not_taken, counts.mailboxes);
}

}  // namespace

void cmd_import(Context& context, const Arguments& arguments) {
    const std::string& format = arguments.words[0];
    const std::string& path = arguments.words[2];
    check_format(format, {"maildir", "mbox", "zip", "tgz"});
    ImportOptions options{option(arguments, 'm'), Repeats::leave_out, context.now};
    if (arguments.flags.contains("--again")) options.repeats = Repeats::add_again;
    if (sodium_init() < 0) fail("libsodium", EIO);
    Opened opened = open_source(format, path);
    async::Loop loop;
    AccountLink account(context.moxd.open_account(arguments.words[1]));
    context.moxd.close();
    Progress progress;
    prepare_archives();
    confine(opened.is_directory ? sandbox::Files::read_only : sandbox::Files::none, path);
    auto source = make_source(format, std::move(opened), path);
    Import import(account, *source, options, progress, complainer(context));
    try {
        run_to_end(import.run());
    } catch (const Broken& broken) {
        progress.clear();
        context.output.say(summary(import.counts()));
        throw Failed(Error{Persistence::permanent, ErrorCode::bad_request, broken.what()});
    } catch (const Failed&) {
        progress.clear();
        context.output.say(summary(import.counts()) + "; not finished: import again to go on");
        throw;
    }
    progress.clear();
    const ImportCounts& counts = import.counts();
    context.output.say(summary(counts), {{"imported", counts.added},
                                         {"known", counts.known},
                                         {"not_taken", counts.not_taken},
                                         {"bytes", counts.bytes},
                                         {"new_mailboxes", counts.mailboxes}});
    if (counts.not_taken > 0) fail_incomplete(counts.not_taken);
}

void cmd_export(Context& context, const Arguments& arguments) {
    const std::string& format = arguments.words[0];
    const std::string& path = arguments.words[2];
    check_format(format, {"maildir", "mbox"});
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail(path, errno);
    Fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) fail(path, errno);
    async::Loop loop;
    AccountLink account(context.moxd.open_account(arguments.words[1]));
    context.moxd.close();
    Progress progress;
    confine(sandbox::Files::directory, path);
    auto target = format == "mbox" ? make_mbox_target() : make_maildir_target();
    Export exported(account, *target, option(arguments, 'm'), progress, complainer(context));
    run_to_end(exported.run());
    progress.clear();
    if (syncfs(directory.get()) != 0) fail(path, errno);
    const ExportCounts& counts = exported.counts();
    context.output.say(fmt::format("{} messages of {} mailboxes exported, {} were there already, {} not taken",
                                   counts.written, counts.mailboxes, counts.there, counts.not_taken),
                       {{"exported", counts.written},
                        {"there", counts.there},
                        {"not_taken", counts.not_taken},
                        {"bytes", counts.bytes},
                        {"mailboxes", counts.mailboxes}});
    if (counts.not_taken > 0) fail_incomplete(counts.not_taken);
}

}  // namespace mox::moxctl
