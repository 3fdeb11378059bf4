// An SMTP server for tests that answers by script and remembers what it was told.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "common/async/stream.h"
#include "common/text/ascii.h"
#include "common/tls/context.h"

namespace mox::smtp::testing {

/// What the server says. Keys are verbs, and GREETING and END (of the content). The last of several replies is
/// repeated.
struct Script {
    std::map<std::string, std::deque<std::string>> replies;
    std::string drop_at;                      // closes the connection instead of answering this one
    std::string hang_at;                      // never answers this one
    size_t most_messages = SIZE_MAX;          // of a connection
    bool says_goodbye = false;                // 421 to the command behind the last of them, else it just closes
    std::shared_ptr<tls::ServerContext> tls;  // for STARTTLS

    std::string next(const std::string& key, std::string otherwise) {
        auto found = replies.find(key);
        if (found == replies.end()) return otherwise + "\r\n";
        std::string reply = found->second.front();
        if (found->second.size() > 1) found->second.pop_front();
        return reply + "\r\n";
    }
};

/// What the server has seen, over all connections.
struct Seen {
    std::vector<std::string> commands;
    std::vector<std::string> messages;  // as on the wire, without the final dot's line
    int connections = 0;
    int waits = 0;  // times it had to wait for input
    bool tls = false;

    size_t count(std::string_view verb) const {
        size_t n = 0;
        for (const auto& c : commands) n += text::istarts_with(c, verb);
        return n;
    }
};

inline const std::string kEhlo =
    "250-fake.example at your service\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    "250 ENHANCEDSTATUSCODES";

inline std::string default_reply(const std::string& verb) {
    if (verb == "EHLO") return kEhlo;
    if (verb == "DATA") return "354 go on";
    if (verb == "QUIT") return "221 2.0.0 bye";
    if (verb == "STARTTLS") return "220 2.0.0 go";
    return "250 2.1.0 ok";
}

inline async::Task<void> read_content(async::Stream& stream, Seen& seen) {
    std::string content;
    for (;;) {
        auto line = co_await stream.read_line(100000, async::in(std::chrono::seconds(10)));
        if (line.text == ".") break;
        content += line.text;
        content += "\r\n";
    }
    seen.messages.push_back(std::move(content));
}

inline async::Task<void> converse(async::Stream& stream, Script& script, Seen& seen) {
    const auto limit = std::chrono::seconds(10);
    size_t messages = 0;
    if (script.drop_at == "GREETING") co_return;
    if (script.hang_at == "GREETING") co_await async::sleep_for(limit);
    stream.write(script.next("GREETING", "220 fake.example ESMTP"));
    co_await stream.flush(async::in(limit));
    for (;;) {
        if (stream.buffered().empty()) {
            co_await stream.flush(async::in(limit));
            seen.waits++;
        }
        auto line = co_await stream.read_line(4096, async::in(limit));
        seen.commands.emplace_back(line.text);
        std::string verb = text::to_upper(line.text.substr(0, line.text.find(' ')));
        if (verb == script.drop_at) co_return;
        if (verb == script.hang_at) co_await async::sleep_for(limit);
        std::string reply = script.next(verb, default_reply(verb));
        stream.write(reply);
        if (verb == "QUIT") break;
        if (verb == "STARTTLS" && reply.starts_with("220")) {
            co_await stream.flush(async::in(limit));
            if (script.tls == nullptr) {
                co_await stream.read_some(4096, async::in(limit));  // the client's hello
                stream.write("this is not TLS\r\n");
                break;
            }
            auto plain = stream.release_transport();
            Fd socket = static_cast<async::SocketTransport&>(*plain).release();
            stream = async::Stream(co_await script.tls->accept(std::move(socket), async::in(limit)));
            seen.tls = true;
        }
        if (verb != "DATA" || !reply.starts_with("354")) continue;
        co_await stream.flush(async::in(limit));
        co_await read_content(stream, seen);
        if (script.drop_at == "END") co_return;
        if (script.hang_at == "END") co_await async::sleep_for(limit);
        stream.write(script.next("END", "250 2.0.0 queued"));
        if (++messages < script.most_messages) continue;
        co_await stream.flush(async::in(limit));
        if (!script.says_goodbye) co_return;
        co_await stream.read_line(4096, async::in(limit));
        stream.write("421 4.7.0 enough\r\n");
        break;
    }
    co_await stream.flush(async::in(limit));
}

inline async::Task<void> serve(Fd socket, Script& script, Seen& seen) {
    seen.connections++;
    async::Stream stream(std::make_unique<async::SocketTransport>(std::move(socket)));
    try {
        co_await converse(stream, script, seen);
    } catch (const std::exception&) {
        // The client went away.
    }
}

}  // namespace mox::smtp::testing
