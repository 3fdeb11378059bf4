// certificate add|list|remove: the keys of TLS clients that log in with them. The file is only read here; authd takes
// it apart. What else is in the file, a private key above all, stays here.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fstream>

#include "common/text/hex.h"
#include "moxctl/command.h"

namespace mox::moxctl {
namespace {

[[noreturn]] void fail(std::string text) {
    throw Failed(Error{Persistence::permanent, ErrorCode::bad_request, std::move(text)});
}

std::string read_pem(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string pem(proto::kMaxCertificatePem + 1, '\0');
    if (!file.read(pem.data(), static_cast<std::streamsize>(pem.size())) && !file.eof()) fail("cannot read " + path);
    pem.resize(static_cast<size_t>(file.gcount()));
    if (pem.size() > proto::kMaxCertificatePem)
        fail(fmt::format("{} is longer than {} bytes: not a certificate", path, proto::kMaxCertificatePem));
    return pem;
}

/// The first certificate or public key.
std::string find_public(const std::string& pem) {
    constexpr std::string_view kKinds[] = {"CERTIFICATE", "PUBLIC KEY"};
    size_t first = std::string::npos;
    std::string_view kind;
    for (auto k : kKinds) {
        size_t at = pem.find(fmt::format("-----BEGIN {}-----", k));
        if (at >= first) continue;
        first = at;
        kind = k;
    }
    if (first != std::string::npos) {
        std::string end = fmt::format("-----END {}-----", kind);
        // Nothing else may begin in it.
        size_t at = pem.find("-----", first + end.size() + 2);
        if (at != std::string::npos && pem.compare(at, end.size(), end) == 0)
            return pem.substr(first, at + end.size() - first) + '\n';
    }
    fail("neither a certificate nor a public key in PEM");
}

std::string date_of(int64_t time) {
    return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(time)));
}

Json to_json(const proto::OwnedClientKey& owned) {
    return {{"account", owned.account},
            {"name", owned.key.name},
            {"type", owned.key.type},
            {"added", owned.key.added},
            {"preauth", owned.key.preauth == proto::Preauth::yes},
            {"fingerprint", text::encode_hex(owned.key.fingerprint)}};
}

}  // namespace

void cmd_certificate_add(Context& context, const Arguments& arguments) {
    auto name = arguments.options.find('n');
    auto preauth = arguments.flags.contains("--no-preauth") ? proto::Preauth::no : proto::Preauth::yes;
    auto added =
        context.moxd.call(proto::CtlCertificateAdd{arguments.words[0], find_public(read_pem(arguments.words[1])),
                                                   name != arguments.options.end() ? name->second : "", preauth});
    context.output.say(fmt::format("{} may log in with the {} key {}", added.account, printable(added.key.type),
                                   text::encode_hex(added.key.fingerprint)),
                       to_json(added));
}

void cmd_certificate_list(Context& context, const Arguments& arguments) {
    auto list =
        context.moxd.call(proto::CtlCertificateList{arguments.words.empty() ? std::string() : arguments.words[0]});
    if (context.output.format == Format::json) {
        Json certificates = Json::array();
        for (const auto& owned : list.keys) certificates.push_back(to_json(owned));
        context.output.json({{"certificates", certificates}});
        return;
    }
    Table table({{"ACCOUNT"}, {"NAME"}, {"TYPE"}, {"ADDED"}, {"PREAUTH"}, {"FINGERPRINT"}});
    for (const auto& [account, key] : list.keys)
        table.add({account, printable(key.name), printable(key.type), date_of(key.added),
                   key.preauth == proto::Preauth::yes ? "yes" : "no", text::encode_hex(key.fingerprint)});
    context.output.raw(table.take());
}

void cmd_certificate_remove(Context& context, const Arguments& arguments) {
    auto fingerprint = text::decode_hex(arguments.words[0], ": ");
    if (!fingerprint || fingerprint->size() != proto::kKeyFingerprint)
        throw UsageError("a fingerprint is 64 hexadecimal digits, see \"moxctl certificate list\"");
    context.moxd.call(proto::CtlCertificateRemove{*fingerprint});
    context.output.say(fmt::format("nobody may log in with {} any more", text::encode_hex(*fingerprint)),
                       Json::object());
}

}  // namespace mox::moxctl
