// The directory: which addresses there are, whose they are, and who may send with them. Pure lookups over what moxd
// configured.
//
// An address is looked up exactly (localpart cut at the domain's separators, lower case unless the domain says
// otherwise), then as the domain's catch-all, then postmaster falls back to the postmaster account (RFC 5321 4.5.1). In
// local mode every address that is left is the postmaster account's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "proto/auth.h"
#include "proto/supervise.h"

namespace mox::authd {

class Directory {
  public:
    Directory() = default;
    explicit Directory(proto::ConfigureAuthd config);

    /// Where mail for this envelope address goes. An address that does not parse is `unknown`.
    proto::ResolvedAddress resolve(std::string_view address) const;
    /// Whether the account may use this address as sender: one that is its own, by name or catch-all.
    bool may_send(std::string_view account, std::string_view address) const;
    /// The account that a login name means: an address configured by name, also with separator; never a catch-all.
    std::optional<std::string> account_of_login(std::string_view login) const;
    /// The first login name of an account, by the alphabet; its own name when it has none.
    std::string login_of_account(std::string_view account) const;
    /// A login name in the form all its spellings share; for names that lead nowhere too.
    std::string canonical_login(std::string_view login) const;
    /// The text that logins of the account are refused with; empty when they are not.
    std::string login_disabled(std::string_view account) const;
    const std::string& postmaster_account() const { return postmaster_.account; }

  private:
    struct Target {
        std::string account;
        std::string mailbox;
    };
    struct Split {
        std::string localpart;  // canonical
        const proto::DirectoryDomain* domain;
    };
    std::optional<Split> split(std::string_view address) const;
    const Target* find(const std::string& canonical) const;

    bool local_mode_ = false;
    std::string hostname_;
    Target postmaster_;
    std::map<std::string, proto::DirectoryDomain, std::less<>> domains_;
    std::map<std::string, Target, std::less<>> addresses_;  // by canonical address
    std::map<std::string, std::string, std::less<>> login_disabled_;
};

}  // namespace mox::authd
