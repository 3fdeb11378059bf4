// The examples, the man pages and the files of local mode, against the code.
#include <algorithm>

#include "common/config/local.h"
#include "tests/unit/catch.h"
#include "tests/unit/common/config/helpers.h"

using namespace mox::config;

namespace {

/// Faults of two files that should be good.
std::string faults_of(const std::string& mox_conf, const std::string& domains_conf) {
    auto config = parse_config(mox_conf, "mox.conf");
    auto domains = parse_domains(domains_conf, "domains.conf");
    if (!config) return lines(config.error());
    if (!domains) return lines(domains.error());
    return lines(validate(*config, *domains));
}

/// The literal displays of a man page's EXAMPLES, together.
std::string examples_of(const std::string& page) {
    std::string out;
    size_t at = page.find(".Sh EXAMPLES");
    REQUIRE(at != std::string::npos);
    while ((at = page.find(".Bd -literal", at)) != std::string::npos) {
        size_t begin = page.find('\n', at) + 1;
        size_t end = page.find("\n.Ed", begin) + 1;
        out += page.substr(begin, end - begin);
        at = end;
    }
    return out;
}

}  // namespace

TEST_CASE("every keyword stands in its man page") {
    auto [file, path] =
        GENERATE(std::pair{File::config, "man/mox.conf.5"}, std::pair{File::domains, "man/domains.conf.5"});
    std::string page = read_source(path);
    REQUIRE(page.size() > 1000);
    auto keywords = known_keywords(file);
    CHECK(keywords.size() > 15);
    CHECK(std::ranges::is_sorted(keywords));
    for (const std::string& keyword : keywords) {
        CAPTURE(path, keyword);
        bool documented = page.contains("\n.It Ic " + keyword + " ") || page.contains("\n.It Ic " + keyword + "\n");
        CHECK(documented);
    }
}

TEST_CASE("a man page documents no keyword that does not exist") {
    auto [file, path] =
        GENERATE(std::pair{File::config, "man/mox.conf.5"}, std::pair{File::domains, "man/domains.conf.5"});
    std::string page = read_source(path);
    auto keywords = known_keywords(file);
    const std::string mark = "\n.It Ic ";
    for (size_t at = page.find(mark); at != std::string::npos; at = page.find(mark, at + 1)) {
        size_t begin = at + mark.size();
        std::string keyword = page.substr(begin, page.find_first_of(" \n", begin) - begin);
        CAPTURE(path, keyword);
        CHECK(std::ranges::find(keywords, keyword) != keywords.end());
    }
}

TEST_CASE("the example files and those of the man pages are good") {
    CHECK(faults_of(read_source("etc/mox.conf.example"), read_source("etc/domains.conf.example")).empty());
    CHECK(
        faults_of(examples_of(read_source("man/mox.conf.5")), examples_of(read_source("man/domains.conf.5"))).empty());
}

TEST_CASE("the files of local mode are good and say what local mode is") {
    std::string text = local_mox_conf({.directory = "/tmp/a \"b\"", .address = "127.0.0.1", .port_offset = 0});
    CHECK(faults_of(text, local_domains_conf()).empty());
    auto config = parse_config(text, "m");
    REQUIRE(config);
    CHECK(config->hostname == "localhost");
    CHECK(config->local_mode);
    CHECK(config->data_directory == "/tmp/a \"b\"/data");
    CHECK(config->control_socket == "/tmp/a \"b\"/control");
    CHECK(config->postmaster.account == kLocalAccount);
    REQUIRE(config->listeners.size() == 1);
    const Listener& l = config->listeners[0];
    CHECK(l.allow_insecure_auth);
    CHECK(l.addresses == std::vector<std::string>{"127.0.0.1"});
    CHECK(l.tls.pairs == std::vector<KeyPair>{{"/tmp/a \"b\"/tls/cert.pem", "/tmp/a \"b\"/tls/key.pem"}});
    std::vector<uint16_t> ports;
    for (const Service& service : l.services) ports.push_back(service.port);
    CHECK(ports == std::vector<uint16_t>{1025, 1587, 1465, 1143, 1993, 1080, 1443, 1081});

    auto domains = parse_domains(local_domains_conf(), "d");
    REQUIRE(domains);
    REQUIRE(domains->accounts.size() == 1);
    CHECK(domains->accounts[0].name == "mox");
    CHECK(domains->accounts[0].addresses == std::vector<Address>{{"mox", "localhost", "Inbox", {}}});
}

TEST_CASE("local mode takes another address and other ports") {
    std::string text = local_mox_conf({.directory = "/d", .address = "::1", .port_offset = kMaxPortOffset});
    auto config = parse_config(text, "m");
    REQUIRE(config);
    CHECK(config->listeners[0].addresses == std::vector<std::string>{"::1"});
    CHECK(config->listeners[0].services[0].port == 61025);
    CHECK(config->listeners[0].services[4].port == 61993);
    CHECK(lines(validate(*config)).empty());
}
