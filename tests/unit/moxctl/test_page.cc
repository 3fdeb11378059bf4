// The manual page has every command with its arguments, and no other.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "moxctl/command.h"
#include "tests/unit/catch.h"

namespace mox::moxctl {
namespace {

/// The items of the section COMMANDS.
std::vector<std::string> page_items() {
    std::ifstream file(MOX_SOURCE_ROOT "/man/moxctl.8");
    REQUIRE(file);
    std::vector<std::string> items;
    bool inside = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(".Sh ")) inside = line == ".Sh COMMANDS";
        if (inside && line.starts_with(".It Ic ")) items.push_back(line);
    }
    return items;
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
    auto items = page_items();
    for (const auto& command : commands()) {
        INFO(command.name);
        auto wanted = words(std::string(command.name) + " " + std::string(command.synopsis));
        CHECK(std::ranges::count(items, wanted, words) == 1);
    }
}

TEST_CASE("every command of the manual page exists") {
    auto items = page_items();
    CHECK(items.size() == commands().size());
    for (const auto& item : items) {
        INFO(item);
        bool known = false;
        for (const auto& command : commands()) {
            std::string begin = ".It Ic " + std::string(command.name);
            known = known || item == begin || item.starts_with(begin + " ");
        }
        CHECK(known);
    }
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
