// Coarse deadlines for many connections: one tick a second, a list per slot.
//
// Setting a deadline again, the common case of a busy connection, is one store: the entry stays in its slot,
// and when that slot comes round it is moved on to where its deadline now lies. Deadlines fire up to one tick
// late, never early. Belongs to one loop; no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace reef::proxy {

class TimerWheel {
 public:
  using Tick = std::uint64_t;
  static constexpr Tick kNever = ~Tick{0};

  // An entry is a base class of what has the deadline; it leaves the wheel when it is destroyed.
  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() { unlink(); }

   private:
    friend class TimerWheel;
    void unlink() {
      if (next_ == nullptr) return;
      next_->previous_ = previous_;
      previous_->next_ = next_;
      next_ = previous_ = nullptr;
    }
    Entry* next_ = nullptr;
    Entry* previous_ = nullptr;
    Tick deadline_ = kNever;
  };

  TimerWheel() {
    for (Entry& head : slots_) head.next_ = head.previous_ = &head;
  }
  ~TimerWheel() {
    for (Entry& head : slots_) {
      while (head.next_ != &head) head.next_->unlink();
      head.next_ = head.previous_ = nullptr;
    }
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  [[nodiscard]] Tick now() const { return now_; }

  // `entry` fires in `ticks` ticks from now (at least one). Cheap when its deadline only moves away.
  void set(Entry& entry, Tick ticks) {
    const Tick deadline = now_ + (ticks == 0 ? 1 : ticks);
    const bool sooner = deadline < entry.deadline_;
    entry.deadline_ = deadline;
    if (entry.next_ == nullptr || sooner) place(entry);
  }
  void cancel(Entry& entry) {
    entry.unlink();
    entry.deadline_ = kNever;
  }

  // One tick has passed: calls `expired(entry)` for those that are due. It may destroy or set any entry.
  template <class Callback>
  void advance(Callback&& expired) {
    ++now_;
    Entry& slot = slots_[now_ % kSlots];
    // What is put back into this slot while it is emptied lies a whole turn ahead: take the present list off
    // first.
    Entry due;
    if (slot.next_ == &slot) return;
    due.next_ = slot.next_;
    due.previous_ = slot.previous_;
    due.next_->previous_ = due.previous_->next_ = &due;
    slot.next_ = slot.previous_ = &slot;
    while (due.next_ != &due) {
      Entry& entry = *due.next_;
      entry.unlink();
      if (entry.deadline_ <= now_) {
        entry.deadline_ = kNever;
        expired(entry);
      } else {
        place(entry);
      }
    }
    due.next_ = due.previous_ = nullptr;
  }

 private:
  static constexpr std::size_t kSlots = 64;  // longer deadlines go round several times

  void place(Entry& entry) {
    entry.unlink();
    Entry& head = slots_[entry.deadline_ % kSlots];
    entry.next_ = &head;
    entry.previous_ = head.previous_;
    head.previous_->next_ = &entry;
    head.previous_ = &entry;
  }

  std::array<Entry, kSlots> slots_;
  Tick now_ = 0;
};

}  // namespace reef::proxy
