// GENURLAUTH, RESETKEY and URLFETCH (RFC 4467 9), URLFETCH also with what is wanted of a URL (RFC 5524 5).
#include "common/text/ascii.h"
#include "imapd/grammar/imap_url.h"
#include "imapd/grammar/parse.h"

namespace mox::imapd {
namespace {

constexpr size_t kMaxUrls = 50;        // of one command
constexpr size_t kMaxMechanisms = 10;  // of RESETKEY

std::string parse_url(Scanner& in) {
    std::string url = in.astring();
    if (url.size() > kMaxUrl) throw SyntaxError("URL too long");
    return url;
}

uint32_t take_parameter(Scanner& in) {
    if (in.take_word("BODY")) return kUrlBody;
    if (in.take_word("BINARY")) return kUrlBinary;
    if (in.take_word("BODYPARTSTRUCTURE")) return kUrlStructure;
    throw SyntaxError("expected BODY, BINARY or BODYPARTSTRUCTURE");
}

// RFC 5524 5: "(" url-full *(SP url-fetch-param) ")"
UrlArguments::Item parse_wanted(Scanner& in) {
    UrlArguments::Item item;
    item.url = parse_url(in);
    item.extended = true;
    while (in.take(' ')) {
        uint32_t parameter = take_parameter(in);
        if (item.wanted & parameter) throw SyntaxError("each parameter stands once");  // RFC 5524 3.1
        item.wanted |= parameter;
    }
    constexpr uint32_t kBoth = kUrlBody | kUrlBinary;
    if ((item.wanted & kBoth) == kBoth) throw SyntaxError("either BODY or BINARY");  // RFC 5524 3.1
    in.expect(')');
    // RFC 5524 3: without parameters it is as before
    if (item.wanted == 0) item = {std::move(item.url), {}, false, kUrlBody};
    return item;
}

}  // namespace

Arguments parse_genurlauth(Scanner& in) {
    UrlArguments args;
    in.space();
    do {
        if (args.urls.size() == kMaxUrls) throw SyntaxError("too many URLs");
        UrlArguments::Item item;
        item.url = parse_url(in);
        in.space();
        item.mechanism = text::to_upper(in.atom("mechanism"));
        args.urls.push_back(std::move(item));
    } while (in.take(' '));
    return args;
}

Arguments parse_resetkey(Scanner& in) {
    ResetKeyArguments args;
    if (!in.take(' ')) return args;
    args.mailbox = in.mailbox();
    if (args.mailbox.empty()) throw SyntaxError("missing mailbox name");  // all are meant by none at all
    for (size_t mechanisms = 0; in.take(' '); mechanisms++) {
        if (mechanisms == kMaxMechanisms) throw SyntaxError("too many mechanisms");
        in.atom("mechanism");  // RFC 4467 7: the answer says which there are
    }
    return args;
}

Arguments parse_urlfetch(Scanner& in) {
    UrlArguments args;
    in.space();
    do {
        if (args.urls.size() == kMaxUrls) throw SyntaxError("too many URLs");
        if (in.take('('))
            args.urls.push_back(parse_wanted(in));
        else
            args.urls.push_back({parse_url(in), {}, false, kUrlBody});
    } while (in.take(' '));
    return args;
}

}  // namespace mox::imapd
