// An intrusive doubly linked list: nodes unlink themselves when destroyed, so whoever waits in a list may be dropped at
// any time without telling the list's owner.
#pragma once

namespace mox::async {

class ListNode {
  public:
    ListNode() : prev_(this), next_(this) {}
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;
    ~ListNode() { unlink(); }

    bool linked() const { return next_ != this; }
    void unlink() {
        prev_->next_ = next_;
        next_->prev_ = prev_;
        prev_ = next_ = this;
    }

  private:
    template <class T>
    friend class List;
    ListNode* prev_;
    ListNode* next_;
};

/// Holds nodes of type T (derived from ListNode) without owning them.
template <class T>
class List {
  public:
    List() = default;
    List(const List&) = delete;
    List& operator=(const List&) = delete;
    ~List() {
        while (!empty()) head_.next_->unlink();
    }

    bool empty() const { return head_.next_ == &head_; }
    T& front() { return static_cast<T&>(*head_.next_); }
    void push_back(T& item) {
        ListNode& node = item;
        node.unlink();
        node.prev_ = head_.prev_;
        node.next_ = &head_;
        head_.prev_->next_ = &node;
        head_.prev_ = &node;
    }
    /// Moves all nodes of `other` to the end of this list.
    void take_all(List& other) {
        while (!other.empty()) push_back(other.front());
    }

  private:
    ListNode head_;
};

}  // namespace mox::async
