#include "emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace ldmpi::emulation {
namespace {

constexpr unsigned kWarp = 32;
constexpr std::size_t kStack = 64 * 1024;

enum class State : std::uint8_t { Fresh, AtBlock, AtWarp, Ready, Ended };

struct Thread {
  State state = State::Fresh;
  std::source_location at;
  std::uint64_t slots[2] = {};  ///< in turns, so that one wait per exchange is enough
  unsigned turn = 0;
  int fiber = -1;
};

/// A stack that runs threads: one after the other while they do not wait.
struct Fiber {
  std::unique_ptr<char[]> stack = std::make_unique<char[]>(kStack);
  ucontext_t start{};
  jmp_buf point;
  bool started = false;
};

struct Machine {
  Order order = Order::Forward;
  std::vector<std::source_location> barriers;
  int dropped = -1;
  Queue queue = nullptr;
  Current view;
  const std::function<void()>* body = nullptr;
  std::vector<Thread> threads;
  std::vector<unsigned> sequence;
  std::size_t next = 0;  ///< in the sequence: the first thread not started
  unsigned thread = 0;   ///< running
  int fiber = -1;        ///< running
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<int> idle;
  ucontext_t scheduler_start{};
  jmp_buf scheduler;
};
Machine machine;

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "emulated kernel, block %u,%u,%u: %s\n", machine.view.block.x, machine.view.block.y,
               machine.view.block.z, what);
  for (unsigned t = 0; t < machine.threads.size(); ++t) {
    const Thread& thread = machine.threads[t];
    if (t > 0 && machine.threads[t - 1].state == thread.state && machine.threads[t - 1].at.line() == thread.at.line())
      continue;
    if (thread.state == State::Ended) std::fprintf(stderr, "  from thread %u: ended\n", t);
    if (thread.state == State::AtBlock || thread.state == State::AtWarp)
      std::fprintf(stderr, "  from thread %u: %s at %s:%u\n", t, thread.state == State::AtBlock ? "block" : "warp",
                   thread.at.file_name(), thread.at.line());
  }
  std::abort();
}

void set_thread(unsigned t) {
  const Index& extent = machine.view.threads;
  machine.thread = t;
  machine.view.thread = {t % extent.x, t / extent.x % extent.y, t / (extent.x * extent.y)};
}

void to_scheduler() {
  Fiber& me = *machine.fibers[static_cast<std::size_t>(machine.fiber)];
  if (_setjmp(me.point) == 0) _longjmp(machine.scheduler, 1);
}

void fiber_main() {
  for (;;) {
    while (machine.next < machine.sequence.size()) {
      const unsigned t = machine.sequence[machine.next++];
      set_thread(t);
      machine.threads[t].fiber = machine.fiber;
      (*machine.body)();
      machine.threads[machine.thread].state = State::Ended;
      // Threads that waited come back here one by one, each on its own fiber, when the sequence is at its end.
    }
    machine.idle.push_back(machine.fiber);
    to_scheduler();
  }
}

void resume(int index) {
  machine.fiber = index;
  Fiber& fiber = *machine.fibers[static_cast<std::size_t>(index)];
  if (_setjmp(machine.scheduler) != 0) return;
  if (fiber.started) _longjmp(fiber.point, 1);
  fiber.started = true;
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = fiber.stack.get();
  fiber.start.uc_stack.ss_size = kStack;
  fiber.start.uc_link = nullptr;
  makecontext(&fiber.start, fiber_main, 0);
  setcontext(&fiber.start);
}

int idle_fiber() {
  if (machine.idle.empty()) {
    machine.fibers.push_back(std::make_unique<Fiber>());
    return static_cast<int>(machine.fibers.size()) - 1;
  }
  const int index = machine.idle.back();
  machine.idle.pop_back();
  return index;
}

void wait(State state, std::source_location at) {
  const unsigned t = machine.thread;
  machine.threads[t].state = state;
  machine.threads[t].at = at;
  to_scheduler();
  set_thread(t);
}

bool same_place(const Thread& a, const Thread& b) {
  return a.at.line() == b.at.line() && std::strcmp(a.at.file_name(), b.at.file_name()) == 0;
}

/// Lets go the warps of which all threads wait at one warp operation.
bool release_warps() {
  bool any = false;
  for (std::size_t first = 0; first < machine.threads.size(); first += kWarp) {
    const auto begin = machine.threads.begin() + static_cast<std::ptrdiff_t>(first);
    if (!std::any_of(begin, begin + kWarp, [](const Thread& t) { return t.state == State::AtWarp; })) continue;
    if (!std::all_of(begin, begin + kWarp,
                     [&](const Thread& t) { return t.state == State::AtWarp && same_place(t, *begin); }))
      continue;
    std::for_each(begin, begin + kWarp, [](Thread& t) { t.state = State::Ready; });
    any = true;
  }
  return any;
}

void release_block() {
  const Thread* first = nullptr;
  for (Thread& thread : machine.threads) {
    if (thread.state == State::Ended) continue;
    if (first == nullptr) first = &thread;
    if (thread.state != State::AtBlock || !same_place(thread, *first)) stop("threads wait at different barriers");
  }
  for (Thread& thread : machine.threads)
    if (thread.state == State::AtBlock) thread.state = State::Ready;
}

void run_block() {
  machine.next = 0;
  std::fill(machine.threads.begin(), machine.threads.end(), Thread{});
  while (machine.next < machine.sequence.size()) resume(idle_fiber());
  const auto ended = [](const Thread& t) { return t.state == State::Ended; };
  while (!std::all_of(machine.threads.begin(), machine.threads.end(), ended)) {
    if (!release_warps()) release_block();
    for (unsigned t : machine.sequence) {
      if (machine.threads[t].state != State::Ready) continue;
      resume(machine.threads[t].fiber);
    }
  }
}

std::vector<unsigned> sequence_of(std::size_t count) {
  std::vector<unsigned> result(count);
  std::iota(result.begin(), result.end(), 0U);
  if (machine.order == Order::Backward) std::reverse(result.begin(), result.end());
  if (machine.order == Order::Shuffled) std::shuffle(result.begin(), result.end(), std::mt19937(7));
  return result;
}

}  // namespace

void set_order(Order order) {
  machine.order = order;
}

const Current& current() {
  return machine.view;
}

void set_queue(Queue queue) {
  machine.queue = queue;
}

void submit(CUstream_st* stream, std::function<void()> work) {
  if (stream != nullptr && machine.queue != nullptr)
    machine.queue(stream, std::move(work));
  else
    work();
}

void drop_barrier(int which) {
  machine.dropped = which;
}

int barriers_met() {
  return static_cast<int>(machine.barriers.size());
}

void wait_for_block(std::source_location at) {
  const auto here = [&](const std::source_location& other) {
    return other.line() == at.line() && std::strcmp(other.file_name(), at.file_name()) == 0;
  };
  const auto met = std::find_if(machine.barriers.begin(), machine.barriers.end(), here);
  const auto number = met - machine.barriers.begin();
  if (met == machine.barriers.end()) machine.barriers.push_back(at);
  if (number != machine.dropped) wait(State::AtBlock, at);
}

unsigned lane() {
  return machine.thread % kWarp;
}

std::uint64_t exchange(std::uint64_t bits, unsigned source, std::source_location at) {
  const unsigned t = machine.thread;
  const unsigned turn = machine.threads[t].turn++ % 2;
  machine.threads[t].slots[turn] = bits;
  wait(State::AtWarp, at);
  return machine.threads[t / kWarp * kWarp + source % kWarp].slots[turn];
}

void run(Index blocks, Index threads, std::size_t shared_bytes, const std::function<void()>& body) {
  const std::size_t count = std::size_t{threads.x} * threads.y * threads.z;
  if (count == 0 || count % kWarp != 0 || count > 1024) stop("a block needs 32 to 1024 threads, whole warps");
  machine.body = &body;
  machine.view = {{}, {}, threads, blocks, nullptr};
  machine.threads.assign(count, Thread{});
  machine.sequence = sequence_of(count);
  const std::size_t rounded = (shared_bytes + 15) / 16 * 16;
  const std::unique_ptr<void, void (*)(void*)> shared(rounded == 0 ? nullptr : std::aligned_alloc(16, rounded),
                                                      &std::free);
  machine.view.shared = shared.get();
  for (unsigned i : sequence_of(std::size_t{blocks.x} * blocks.y * blocks.z)) {
    if (rounded != 0) std::memset(shared.get(), 0xFF, rounded);
    machine.view.block = {i % blocks.x, i / blocks.x % blocks.y, i / (blocks.x * blocks.y)};
    run_block();
  }
}

}  // namespace ldmpi::emulation
