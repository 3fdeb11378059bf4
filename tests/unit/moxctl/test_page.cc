// The manual page has every command with its arguments, and no other.
#include <fstream>
#include <set>
#include <sstream>

#include "moxctl/command.h"
#include "tests/unit/catch.h"

namespace mox::moxctl {
namespace {

std::vector<std::string> page_lines() {
    std::ifstream file(MOX_SOURCE_ROOT "/man/moxctl.8");
    REQUIRE(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

/// Of ".It Ic queue list Oo Fl a Ar account Oc": the words without macros and punctuation.
std::multiset<std::string> words(const std::string& line) {
    static const std::set<std::string> macros = {".It", "Ic", "Ar", "Op",  "Oo", "Oc",
                                                 "Fl",  "Cm", "|",  "...", "No", "Ns"};
    std::multiset<std::string> out;
    std::istringstream in(line);
    for (std::string word; in >> word;) {
        std::erase_if(word, [](char c) { return c == '[' || c == ']' || c == '-'; });
        if (!word.empty() && !macros.contains(word)) out.insert(word);
    }
    return out;
}

}  // namespace

TEST_CASE("every command stands in the manual page with its arguments") {
    auto lines = page_lines();
    for (const auto& command : commands()) {
        INFO(command.name);
        auto wanted = words(std::string(command.name) + " " + std::string(command.synopsis));
        size_t found = 0;
        for (const auto& line : lines)
            if (line.starts_with(".It Ic ") && words(line) == wanted) found++;
        CHECK(found == 1);
    }
}

TEST_CASE("every command of the manual page exists") {
    std::string section;
    size_t count = 0;
    for (const auto& line : page_lines()) {
        if (line.starts_with(".Sh ")) section = line.substr(4);
        if (section != "COMMANDS" || !line.starts_with(".It Ic ")) continue;
        count++;
        INFO(line);
        bool known = false;
        for (const auto& command : commands()) {
            std::string begin = ".It Ic " + std::string(command.name);
            known = known || line == begin || line.starts_with(begin + " ");
        }
        CHECK(known);
    }
    CHECK(count == commands().size());
}

TEST_CASE("the help has every command, in lines of a terminal's width") {
    std::string help = help_text();
    for (const auto& command : commands()) CHECK(help.find("    " + std::string(command.name)) != std::string::npos);
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        CHECK(text_width(line) <= 80);
    }
}

}  // namespace mox::moxctl
