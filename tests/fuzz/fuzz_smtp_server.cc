// What strangers say to smtpd: command lines, and the content of DATA in any split.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "smtpd/command.h"
#include "smtpd/data_reader.h"

using namespace mox::smtpd;

namespace {

std::string read_content(std::string_view input, size_t step, bool& bare, size_t& taken) {
    DataReader reader;
    std::string out;
    taken = 0;
    while (taken < input.size() && !reader.done()) taken += reader.feed(input.substr(taken, step), out);
    bare = reader.has_bare_line_end();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    if (auto command = parse_command(input)) {
        for (std::string_view word : {"FROM", "TO"})
            if (auto path = parse_path_command(command->arguments, word))
                static_cast<void>(check_mail_parameters(path->parameters));
        (void)is_valid_hello(command->arguments);
    }
    bool bare_one, bare_all;
    size_t taken_one, taken_all;
    std::string one = read_content(input, 1, bare_one, taken_one);
    std::string all = read_content(input, input.size() + 1, bare_all, taken_all);
    if (one != all || bare_one != bare_all || taken_one != taken_all) abort();
    return 0;
}
