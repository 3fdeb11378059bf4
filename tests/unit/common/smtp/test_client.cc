#include <algorithm>

#include "tests/unit/common/smtp/run_client.h"

using namespace std::chrono_literals;

namespace mox::smtp {

using namespace testing;

namespace {

Mail mail_to(std::vector<std::string> recipients, const Fd& file, std::string prefix = "Received: x\r\n") {
    Mail mail;
    mail.mail_from = "me@client.example";
    mail.recipients = std::move(recipients);
    mail.prefix = std::move(prefix);
    mail.file = file.get();
    mail.file_size = static_cast<uint64_t>(lseek(file.get(), 0, SEEK_END));
    return mail;
}

const std::string kMinimalEhlo = "250 fake.example";

Script script_with(std::map<std::string, std::deque<std::string>> replies) {
    Script script;
    script.replies = std::move(replies);
    return script;
}

}  // namespace

TEST_CASE("a message is delivered, pipelined in one write") {
    Fd file = file_with("Subject: x\r\n\r\n.dot\r\nbody");
    Run run = run_client({}, {}, {mail_to({"a@example", "b@example"}, file)});
    CHECK_FALSE(run.open);
    REQUIRE(run.sent.size() == 1);
    CHECK(run.sent[0][0].delivered());
    CHECK(run.sent[0][1].delivered());
    CHECK(run.sent[0][0].text == "250 2.0.0 queued");
    CHECK(run.sent[0][0].remote_address == "192.0.2.1");
    CHECK(run.seen.commands == std::vector<std::string>{"EHLO client.example",
                                                        "MAIL FROM:<me@client.example> SIZE=37 BODY=7BIT",
                                                        "RCPT TO:<a@example>", "RCPT TO:<b@example>", "DATA", "QUIT"});
    CHECK(run.seen.messages == std::vector<std::string>{"Received: x\r\nSubject: x\r\n\r\n..dot\r\nbody\r\n"});
    CHECK(run.seen.waits == 3);  // for EHLO, for MAIL to DATA, for QUIT
}

TEST_CASE("without PIPELINING one command at a time, without extensions no parameters") {
    Fd file = file_with("body\r\n");
    Run run = run_client(script_with({{"EHLO", {kMinimalEhlo}}}), {}, {mail_to({"a@example", "b@example"}, file)});
    CHECK(run.sent.at(0).at(1).delivered());
    CHECK(run.seen.commands.at(1) == "MAIL FROM:<me@client.example>");
    CHECK(run.seen.waits == 6);
}

TEST_CASE("HELO where EHLO is unknown") {
    Fd file = file_with("body\r\n");
    Run run = run_client(script_with({{"EHLO", {"502 5.5.1 what"}}}), {}, {mail_to({"a@example"}, file)});
    CHECK(run.sent.at(0).at(0).delivered());
    CHECK(run.seen.commands.at(1) == "HELO client.example");
    ClientOptions strict;
    strict.tls = ClientTls::starttls;
    CHECK(run_client(script_with({{"EHLO", {"502 5.5.1 what"}}}), strict, {}).open);
}

TEST_CASE("each recipient has its own outcome; 251 and 252 are acceptance") {
    Fd file = file_with("body\r\n");
    bool pipelined = GENERATE(true, false);
    Run run = run_client(script_with({{"RCPT",
                                       {"251 2.1.5 will forward", "550-5.1.1 no\r\n550 5.1.1 such user",
                                        "252 2.0.0 may be", "450 4.2.0 later"}},
                                      {"EHLO", {pipelined ? kEhlo : kMinimalEhlo}}}),
                         {}, {mail_to({"a@example", "b@example", "c@example", "d@example"}, file)});
    auto& sent = run.sent.at(0);
    CHECK(sent[0].delivered());
    CHECK(sent[1].verdict == Verdict::permanent);
    CHECK(sent[1].text == "550 5.1.1 no such user");
    CHECK(sent[1].scope == Scope::message);
    CHECK(sent[2].delivered());
    CHECK(sent[3].verdict == Verdict::temporary);
    CHECK(sent[3].scope == Scope::host);
    CHECK(run.seen.messages.size() == 1);
}

TEST_CASE("no recipient accepted: no content, and the session goes on") {
    Fd file = file_with("body\r\n");
    std::string data = GENERATE(std::string("354 go on"), std::string("503 5.5.1 no valid recipients"));
    Run run = run_client(script_with({{"RCPT", {"550 5.1.1 no", "250 2.1.5 ok"}}, {"DATA", {data, "354 go"}}}), {},
                         {mail_to({"a@example"}, file), mail_to({"b@example"}, file)});
    CHECK(run.sent.at(0).at(0).text == "550 5.1.1 no");
    CHECK(run.sent.at(1).at(0).delivered());
    CHECK(run.seen.messages.back() == "Received: x\r\nbody\r\n");
    if (data.starts_with("354"))
        CHECK(run.seen.messages.front() == "");  // RFC 2920 3.1
    else
        CHECK(run.seen.count("RSET") == 1);
}

TEST_CASE("MAIL refused is the outcome of all recipients") {
    Fd file = file_with("body\r\n");
    bool pipelined = GENERATE(true, false);
    Run run = run_client(script_with({{"MAIL", {"553 5.1.8 bad sender"}},
                                      {"EHLO", {pipelined ? kEhlo : kMinimalEhlo}},
                                      {"RCPT", {"503 5.5.1 MAIL first"}},
                                      {"DATA", {"503 5.5.1 MAIL first"}}}),
                         {}, {mail_to({"a@example", "b@example"}, file)});
    CHECK(run.sent.at(0).at(0).text == "553 5.1.8 bad sender");
    CHECK(run.sent.at(0).at(1).text == "553 5.1.8 bad sender");
    CHECK(run.usable);
}

TEST_CASE("552 to RCPT is too many recipients, to the content it is not") {
    Fd file = file_with("body\r\n");
    Run run = run_client(script_with({{"RCPT", {"250 ok", "552 too many"}}, {"END", {"552 5.3.4 too big"}}}), {},
                         {mail_to({"a@example", "b@example"}, file)});
    CHECK(run.sent.at(0).at(0).verdict == Verdict::permanent);
    CHECK(run.sent.at(0).at(0).text == "552 5.3.4 too big");
    CHECK(run.sent.at(0).at(1).verdict == Verdict::temporary);
    CHECK(run.sent.at(0).at(1).code == 452);
}

TEST_CASE("what the server cannot take is refused before it is sent") {
    Fd file = file_with("body\r\n");
    Mail eight = mail_to({"a@example"}, file), utf8 = eight, big = eight, evil = eight;
    eight.has_8bit = true;
    utf8.needs_smtputf8 = true;
    big.file_size = 2000000;
    evil.recipients = {"a@example>\r\nRCPT TO:<b@example"};
    Run run = run_client(script_with({{"EHLO", {"250-fake\r\n250-PIPELINING\r\n250 SIZE 1000000"}}}), {},
                         {eight, utf8, big, evil});
    REQUIRE(run.sent.size() == 4);
    CHECK(run.sent[0][0].enhanced == "5.6.3");
    CHECK(run.sent[1][0].enhanced == "5.6.7");
    CHECK(run.sent[2][0].enhanced == "5.3.4");
    CHECK(run.sent[3][0].enhanced == "5.1.3");
    for (auto& s : run.sent) CHECK(s[0].verdict == Verdict::permanent);
    CHECK(run.seen.count("MAIL") == 0);

    Run able = run_client({}, {}, {eight, utf8});
    CHECK(able.sent[0][0].delivered());
    CHECK(able.seen.commands.at(1) == "MAIL FROM:<me@client.example> SIZE=19 BODY=8BITMIME");
    CHECK(able.sent[1][0].delivered());
    CHECK(able.seen.count("MAIL FROM:<me@client.example> SIZE=19 BODY=7BIT SMTPUTF8") == 1);
}

TEST_CASE("a connection that is dropped, at each stage") {
    Fd file = file_with("body\r\n");
    std::string stage = GENERATE(std::string("GREETING"), "EHLO", "MAIL", "RCPT", "DATA", "END");
    bool pipelined = GENERATE(true, false);
    CAPTURE(stage, pipelined);
    Script script = script_with({{"EHLO", {pipelined ? kEhlo : kMinimalEhlo}}});
    script.drop_at = stage;
    Run run = run_client(script, {}, {mail_to({"a@example"}, file)});
    CHECK_FALSE(run.usable);
    const Outcome& outcome = run.open ? *run.open : run.sent.at(0).at(0);
    CHECK(outcome.verdict == Verdict::temporary);
    CHECK(outcome.enhanced == "4.4.2");
    // Behind the final dot nobody knows: another server must not get it as well.
    CHECK(outcome.scope == (stage == "END" ? Scope::message : Scope::host));
}

TEST_CASE("recipients refused before the connection broke keep their answer") {
    Fd file = file_with("body\r\n");
    Script script = script_with({{"RCPT", {"550 5.1.1 no", "250 ok"}}});
    script.drop_at = "DATA";
    Run run = run_client(script, {}, {mail_to({"a@example", "b@example"}, file)});
    CHECK(run.sent.at(0).at(0).text.find("connection lost") !=
          std::string::npos);  // pipelined replies were never flushed
    script.replies["EHLO"] = {kMinimalEhlo};
    run = run_client(script, {}, {mail_to({"a@example", "b@example"}, file)});
    CHECK(run.sent.at(0).at(0).verdict == Verdict::permanent);
    CHECK(run.sent.at(0).at(1).verdict == Verdict::temporary);
}

TEST_CASE("a server that does not answer is left after the time of its stage") {
    Fd file = file_with("body\r\n");
    std::string stage = GENERATE(std::string("GREETING"), "MAIL", "END");
    Script script;
    script.hang_at = stage;
    ClientOptions options;
    options.timeouts.greeting = options.timeouts.command = options.timeouts.final_dot = 30ms;
    Run run = run_client(script, options, {mail_to({"a@example"}, file)});
    const Outcome& outcome = run.open ? *run.open : run.sent.at(0).at(0);
    CHECK(outcome.verdict == Verdict::temporary);
    CHECK(outcome.enhanced == "4.4.1");
}

TEST_CASE("greetings and replies out of order") {
    struct Case {
        const char* key;
        const char* reply;
        Verdict verdict;
    };
    auto c = GENERATE(
        Case{"GREETING", "554 5.7.1 go away", Verdict::permanent},
        Case{"GREETING", "421 4.3.2 busy", Verdict::temporary}, Case{"GREETING", "hello there", Verdict::temporary},
        Case{"GREETING", "250 what", Verdict::temporary}, Case{"EHLO", "421 4.3.2 busy", Verdict::temporary},
        Case{"EHLO", "250-a\r\n251 b", Verdict::temporary});
    CAPTURE(c.key, c.reply);
    Run run = run_client(script_with({{c.key, {c.reply}}}), {}, {});
    REQUIRE(run.open);
    CHECK(run.open->verdict == c.verdict);
    CHECK(run.open->scope == Scope::host);
}

TEST_CASE("a content larger than the buffers arrives whole") {
    std::string line = std::string(70, 'x') + "\r\n.\r\n";
    std::string content;
    while (content.size() < 600000) content += line;
    Fd file = file_with(content);
    Run run = run_client({}, {}, {mail_to({"a@example"}, file, "")});
    REQUIRE(run.sent.at(0).at(0).delivered());
    std::string expected;
    while (expected.size() < run.seen.messages.at(0).size()) expected += std::string(70, 'x') + "\r\n..\r\n";
    CHECK(run.seen.messages.at(0) == expected);
}

TEST_CASE("a file that is shorter than said is never completed as a message") {
    Fd file = file_with("body\r\n");
    Mail mail = mail_to({"a@example"}, file);
    mail.file_size += 1;
    Run run = run_client({}, {}, {mail});
    CHECK(run.sent.at(0).at(0).enhanced == "4.3.0");
    CHECK(run.seen.messages.empty());
    CHECK_FALSE(run.usable);
}

TEST_CASE("a password is not sent without TLS") {
    ClientOptions options;
    options.username = "me";
    options.password = "secret";
    Run run = run_client(script_with({{"EHLO", {"250-fake\r\n250 AUTH PLAIN"}}}), options, {});
    REQUIRE(run.open);
    CHECK(run.open->verdict == Verdict::temporary);
    CHECK(run.seen.count("AUTH") == 0);
}

}  // namespace mox::smtp
