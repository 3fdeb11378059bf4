#include "imapd/worker/threading.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

namespace mox::imapd {
namespace {

constexpr uint32_t kNone = Threads::kNone;

// The steps of RFC 5256 3 REFERENCES.
class Builder {
  public:
    explicit Builder(const std::vector<ThreadMessage>& messages) : messages_(messages) {}

    Threads build() {
        for (uint32_t i = 0; i < messages_.size(); i++) link(i);
        collect_roots();
        prune();
        sort(threads_.roots);
        merge_subjects();
        for (auto& node : threads_.nodes) sort(node.children);
        sort(threads_.roots);
        return std::move(threads_);
    }

  private:
    Threads::Node& node(uint32_t number) { return threads_.nodes[number]; }

    uint32_t make_node(uint32_t message) {
        threads_.nodes.push_back({message, kNone, {}});
        return static_cast<uint32_t>(threads_.nodes.size() - 1);
    }
    uint32_t node_of(const std::string& id) {
        auto [at, made] = by_id_.try_emplace(id, 0);
        if (made) at->second = make_node(kNone);
        return at->second;
    }
    bool is_above(uint32_t above, uint32_t below) const {
        if (above != below && threads_.nodes[above].children.empty()) return false;  // most of the time
        for (; below != kNone; below = threads_.nodes[below].parent)
            if (below == above) return true;
        return false;
    }
    void detach(uint32_t child) {
        if (node(child).parent != kNone) std::erase(node(node(child).parent).children, child);
        node(child).parent = kNone;
    }
    void attach(uint32_t child, uint32_t parent) {
        node(child).parent = parent;
        node(parent).children.push_back(child);
    }

    // (1): parents as References have them, without loops
    void link(uint32_t message) {
        const auto& m = messages_[message];
        // (1)(A): a second message of the same id, or one without, is a thing of its own
        uint32_t own = m.id.empty() ? make_node(message) : node_of(m.id);
        if (node(own).message != kNone && node(own).message != message) own = make_node(message);
        node(own).message = message;
        uint32_t above = kNone;
        for (const auto& id : m.references) {
            uint32_t reference = node_of(id);
            if (above != kNone && node(reference).parent == kNone && reference != own && !is_above(reference, above))
                attach(reference, above);
            above = reference;
        }
        // (1)(B): the last reference is the parent, whatever others said of it
        detach(own);
        if (above != kNone && !is_above(own, above)) attach(own, above);
    }

    // (2)
    void collect_roots() {
        for (uint32_t i = 0; i < threads_.nodes.size(); i++)
            if (node(i).parent == kNone) threads_.roots.push_back(i);
    }

    // (3): what is not there goes; its children take its place, at the top only if it is one
    void prune() {
        std::vector<uint32_t> order = top_down();
        for (auto at = order.rbegin(); at != order.rend(); ++at) {
            auto& n = node(*at);
            std::vector<uint32_t> kept;
            for (uint32_t child : n.children) {
                if (node(child).message != kNone)
                    kept.push_back(child);
                else
                    for (uint32_t grandchild : node(child).children) kept.push_back(grandchild);
            }
            for (uint32_t child : kept) node(child).parent = *at;
            n.children = std::move(kept);
        }
        std::vector<uint32_t> roots;
        for (uint32_t root : threads_.roots) {
            if (node(root).message == kNone && node(root).children.empty()) continue;
            if (node(root).message == kNone && node(root).children.size() == 1) root = node(root).children[0];
            node(root).parent = kNone;
            roots.push_back(root);
        }
        threads_.roots = std::move(roots);
    }

    std::vector<uint32_t> top_down() const {
        std::vector<uint32_t> order = threads_.roots;
        for (size_t i = 0; i < order.size(); i++)
            for (uint32_t child : threads_.nodes[order[i]].children) order.push_back(child);
        return order;
    }

    // The message that stands for a node: its own, or the first below it.
    const ThreadMessage& first(uint32_t number) const {
        while (threads_.nodes[number].message == kNone) number = threads_.nodes[number].children.front();
        return messages_[threads_.nodes[number].message];
    }

    // (4), (6): by date, then as in the mailbox
    void sort(std::vector<uint32_t>& nodes) {
        std::ranges::sort(nodes, {}, [this](uint32_t n) { return std::pair(first(n).date, first(n).index); });
    }

    // (5): threads of one subject are one
    void merge_subjects() {
        for (auto& n : threads_.nodes)
            if (n.message == kNone) sort(n.children);
        std::unordered_map<std::string, uint32_t> table;
        for (uint32_t root : threads_.roots) note_subject(table, root);
        std::vector<uint32_t> merged = threads_.roots;
        for (uint32_t root : threads_.roots) {
            auto found = table.find(first(root).subject.text);
            if (found == table.end() || found->second == root) continue;
            merge(found->second, root, table);
        }
        std::erase_if(merged, [this](uint32_t root) { return node(root).parent != kNone || gone(root); });
        for (uint32_t made : made_) merged.push_back(made);
        threads_.roots = std::move(merged);
    }

    // (5)(B): of one subject the best: not there at all, else no reply
    void note_subject(std::unordered_map<std::string, uint32_t>& table, uint32_t root) {
        const auto& subject = first(root).subject;
        if (subject.text.empty()) return;
        auto [at, made] = table.try_emplace(subject.text, root);
        if (made) return;
        bool dummy = node(root).message == kNone && node(at->second).message != kNone;
        bool original = node(at->second).message != kNone && first(at->second).subject.is_reply && !subject.is_reply;
        if (dummy || original) at->second = root;
    }

    bool gone(uint32_t root) { return node(root).message == kNone && node(root).children.empty(); }

    // (5)(C)
    void merge(uint32_t kept, uint32_t root, std::unordered_map<std::string, uint32_t>& table) {
        bool kept_dummy = node(kept).message == kNone;
        bool root_dummy = node(root).message == kNone;
        if (root_dummy && kept_dummy) {
            for (uint32_t child : std::exchange(node(root).children, {})) attach(child, kept);
        } else if (kept_dummy || (first(root).subject.is_reply && !first(kept).subject.is_reply)) {
            attach(root, kept);
        } else {
            auto& entry = table.at(first(kept).subject.text);
            uint32_t both = make_node(kNone);
            made_.push_back(both);
            entry = both;
            attach(kept, both);
            attach(root, both);
        }
    }

    const std::vector<ThreadMessage>& messages_;
    Threads threads_;
    std::unordered_map<std::string, uint32_t> by_id_;
    std::vector<uint32_t> made_;
};

// Writes a forest as RFC 5256 5 has it: a chain of only children stands in one line, several are in parentheses.
class Writer {
  public:
    Writer(const Threads& threads, const std::vector<ThreadMessage>& messages,
           const std::function<uint32_t(uint32_t)>& number)
        : threads_(threads), messages_(messages), number_(number) {}

    std::string write() {
        for (uint32_t root : threads_.roots) {
            open(root);
            while (!stack_.empty()) advance();
        }
        return std::move(out_);
    }

  private:
    struct Level {
        uint32_t node;
        size_t next = 0;  // child
        bool closes = false;
    };
    void open(uint32_t node) {
        out_ += '(';
        enter(node, true);
    }
    void enter(uint32_t node, bool closes) {
        stack_.push_back({node, 0, closes});
        if (threads_.nodes[node].message == kNone) return;
        if (out_.back() != '(') out_ += ' ';
        out_ += std::to_string(number_(messages_[threads_.nodes[node].message].index));
    }
    void advance() {
        Level& level = stack_.back();
        const auto& children = threads_.nodes[level.node].children;
        if (level.next == children.size()) {
            if (level.closes) out_ += ')';
            stack_.pop_back();
            return;
        }
        uint32_t child = children[level.next++];
        if (children.size() == 1) return enter(child, false);
        if (out_.back() != '(' && out_.back() != ')') out_ += ' ';
        open(child);
    }

    const Threads& threads_;
    const std::vector<ThreadMessage>& messages_;
    const std::function<uint32_t(uint32_t)>& number_;
    std::string out_;
    std::vector<Level> stack_;
};

}  // namespace

Threads thread_by_subject(const std::vector<ThreadMessage>& messages) {
    std::vector<uint32_t> order(messages.size());
    std::iota(order.begin(), order.end(), 0);
    auto key = [&](uint32_t i) {
        return std::tuple(std::string_view(messages[i].subject.text), messages[i].date, messages[i].index);
    };
    std::ranges::sort(order, {}, key);
    Threads threads;
    threads.nodes.resize(messages.size());
    for (uint32_t i : order) {
        threads.nodes[i].message = i;
        bool same = !threads.roots.empty() && messages[threads.roots.back()].subject.text == messages[i].subject.text;
        if (same) {
            threads.nodes[i].parent = threads.roots.back();
            threads.nodes[threads.roots.back()].children.push_back(i);
        } else {
            threads.roots.push_back(i);
        }
    }
    std::ranges::sort(threads.roots, {}, [&](uint32_t i) { return std::pair(messages[i].date, messages[i].index); });
    return threads;
}

Threads thread_by_references(const std::vector<ThreadMessage>& messages) {
    return Builder(messages).build();
}

std::string write_threads(const Threads& threads, const std::vector<ThreadMessage>& messages,
                          const std::function<uint32_t(uint32_t)>& number) {
    return Writer(threads, messages, number).write();
}

}  // namespace mox::imapd
