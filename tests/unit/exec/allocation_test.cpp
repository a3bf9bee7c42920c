// Where the memory of a training step comes from. The arenas are what the plan says, to the byte, and nothing else is
// mapped; what else is taken before the first step is listed; later nobody takes anything but oneDNN, which builds the
// argument list of each call on the heap and gives it back before the call returns.
#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "../plan/step_programs.h"
#include "base/resources.h"
#include "fixture.h"
#include "train/run_state.h"

namespace {

struct Count {
  std::int64_t calls = 0, bytes = 0;
};

// What was taken since the last reset, by the library that asked. Nothing in here takes memory itself.
struct Ledger {
  struct Row {
    const void* library = nullptr;
    Count heap, mapped;
  };
  std::mutex mutex;
  std::array<Row, 32> rows;
  std::int64_t live_bytes = 0;  // of the heap, since the begin of the program
  std::atomic<bool> open = false;
};
Ledger ledger;
thread_local bool inside = false;

bool is_language_runtime(const char* path) {
  return std::strstr(path, "libstdc++") != nullptr || std::strstr(path, "libc.so") != nullptr;
}

// The base of the first library on the stack behind this program's own frames and operator new.
const void* asking_library() {
  std::array<void*, 12> frames;
  const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  Dl_info self{}, info{};
  ::dladdr(frames[0], &self);
  const void* found = self.dli_fbase;
  for (int i = 0; i < count; ++i) {
    if (::dladdr(frames[static_cast<std::size_t>(i)], &info) == 0 || info.dli_fbase == self.dli_fbase) continue;
    if (is_language_runtime(info.dli_fname)) continue;
    found = info.dli_fbase;
    break;
  }
  return found;
}

void note(std::size_t bytes, Count Ledger::Row::*kind) {
  if (!ledger.open.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  const void* library = asking_library();
  {
    const std::scoped_lock lock(ledger.mutex);
    for (auto& row : ledger.rows) {
      if (row.library != nullptr && row.library != library) continue;
      row.library = library;
      ++(row.*kind).calls;
      (row.*kind).bytes += static_cast<std::int64_t>(bytes);
      break;
    }
  }
  inside = false;
}

void* taken(void* pointer, std::size_t bytes) {
  if (pointer != nullptr) {
    std::atomic_ref(ledger.live_bytes) += static_cast<std::int64_t>(::malloc_usable_size(pointer));
    note(bytes, &Ledger::Row::heap);
  }
  return pointer;
}
void given_back(void* pointer) {
  if (pointer != nullptr)
    std::atomic_ref(ledger.live_bytes) -= static_cast<std::int64_t>(::malloc_usable_size(pointer));
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t bytes) {
  return taken(__libc_malloc(bytes), bytes);
}
void* calloc(std::size_t count, std::size_t size) {
  return taken(__libc_calloc(count, size), count * size);
}
void* realloc(void* old, std::size_t bytes) {
  given_back(old);
  return taken(__libc_realloc(old, bytes), bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  return taken(__libc_memalign(alignment, bytes), bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return taken(__libc_memalign(alignment, bytes), bytes);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t bytes) {
  *result = taken(__libc_memalign(alignment, bytes), bytes);
  return *result == nullptr ? 12 : 0;
}
void free(void* pointer) {
  given_back(pointer);
  __libc_free(pointer);
}
void* mmap(void* address, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  note(bytes, &Ledger::Row::mapped);
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}
}

namespace ldmpi::exec {
namespace {

constexpr std::int64_t kHuge = 2 << 20;  // an arena may begin anywhere in its mapping, on a huge page
constexpr std::int64_t kPage = 4096;

// By library; counts while `work` runs.
std::map<std::string, std::pair<Count, Count>> taken_by(auto&& work) {
  {
    const std::scoped_lock lock(ledger.mutex);
    ledger.rows = {};
  }
  ledger.open = true;
  work();
  ledger.open = false;
  std::map<std::string, std::pair<Count, Count>> result;
  for (const auto& row : ledger.rows) {
    Dl_info info{};
    if (row.library == nullptr || ::dladdr(row.library, &info) == 0) continue;
    const std::string path = info.dli_fname;
    result[path.substr(path.rfind('/') + 1)] = {row.heap, row.mapped};
  }
  return result;
}

void list(const std::string& stage, const std::map<std::string, std::pair<Count, Count>>& libraries) {
  for (const auto& [library, counts] : libraries) {
    const auto& [heap, mapped] = counts;
    std::cout << fmt::format("{:14} {:24} heap {:8} calls {:10} bytes   mapped {:3} calls {:10} bytes\n", stage,
                             library, heap.calls, heap.bytes, mapped.calls, mapped.bytes);
  }
  std::cout << fmt::format("{:14} held on the heap behind it: {} bytes\n", "",
                           std::atomic_ref(ledger.live_bytes).load());
}

// Remembers what is asked of the device.
class CountingDevice final : public backend::Device {
 public:
  backend::FreeMemory free_memory() const override { return device_->free_memory(); }
  std::unique_ptr<backend::Memory> allocate(std::size_t bytes) override {
    arenas.push_back(static_cast<std::int64_t>(bytes));
    return device_->allocate(bytes);
  }
  backend::KernelPtr make_kernel(const ir::Op& op, const backend::NodeTypes& types) override {
    return device_->make_kernel(op, types);
  }
  void upload(void* to, const void* from, std::size_t bytes) override { device_->upload(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { device_->download(to, from, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { device_->copy(to, from, bytes); }
  std::unique_ptr<backend::Recording> record(const std::function<void()>& enqueue) override {
    return device_->record(enqueue);
  }
  std::unique_ptr<backend::Marks> make_marks(std::size_t count) override { return device_->make_marks(count); }
  bool idle() override { return device_->idle(); }
  void synchronize() override { device_->synchronize(); }
  std::string description() const override { return device_->description(); }

  std::vector<std::int64_t> arenas;

 private:
  std::unique_ptr<backend::Device> device_ = backend::make_cpu_device(2);
};

class StepMemory : public ::testing::TestWithParam<DType> {};

TEST_P(StepMemory, IsWhatThePlanSaysAndIsTakenBeforeTheFirstStep) {
  std::array<void*, 4> warm_up;
  (void)::backtrace(warm_up.data(), 4);  // loads its unwinder on the first call
  const auto lowering = backend::make_cpu_lowering(2);
  const auto communicator = comm::make_solo_communicator({});
  CountingDevice device;
  std::unique_ptr<plan::test::StepProgram> step;
  std::unique_ptr<ProgramSet> set;
  list("plan", taken_by([&] {
         step = std::make_unique<plan::test::StepProgram>(plan::test::tiny_unet(), *lowering,
                                                          plan::test::StepOptions{.compute = GetParam()});
         set = step->compile(step->graph());
       }));

  const auto bind = taken_by([&] { set->bind(device, *communicator); });
  list("bind", bind);
  std::vector<std::int64_t> planned;
  Count mappings;
  for (const auto bytes : set->arena_bytes()) {
    if (bytes == 0) continue;
    planned.push_back(bytes);
    ++mappings.calls;
    mappings.bytes += std::max(bytes, kPage) + kHuge;
  }
  EXPECT_EQ(device.arenas, planned) << "every arena of the plan once, nothing else";
  std::int64_t mapped_calls = 0;
  std::int64_t mapped_bytes = 0;
  for (const auto& [library, counts] : bind) {
    if (!library.starts_with("libldmpi")) continue;
    mapped_calls += counts.second.calls;
    mapped_bytes += counts.second.bytes;
  }
  EXPECT_EQ(mapped_calls, mappings.calls);
  EXPECT_EQ(mapped_bytes, mappings.bytes);

  const train::StateAccess access{step->spec(), step->parameters(), *set, device, *communicator};
  const auto held = std::atomic_ref(ledger.live_bytes).load();
  list("weights", taken_by([&] {
         train::begin_state(
             access, train::Origin::EveryRank,
             [](const auto& entry, std::span<float> values) { nn::initial_values(entry, 1, values); }, 1);
       }));
  EXPECT_EQ(std::atomic_ref(ledger.live_bytes).load(), held) << "setting the weights keeps nothing";

  const std::vector<std::int64_t> draws{5, 6};
  const float rate = 1e-3F;
  const std::string draws_label = "draws", rate_label = "lr", loss_label = "loss";
  float loss = 0;
  auto run = [&] {
    set->write_input(0, draws_label, draws.data(), draws.size() * sizeof draws[0]);
    set->write_input(0, rate_label, &rate, sizeof rate);
    (void)set->run(0);
    set->read_output(0, loss_label, &loss, sizeof loss);
  };
  list("step 1", taken_by(run));
  list("step 2", taken_by(run));
  const auto held_behind_two = std::atomic_ref(ledger.live_bytes).load();
  run();
  EXPECT_EQ(std::atomic_ref(ledger.live_bytes).load(), held_behind_two) << "a step keeps nothing";
  const auto fourth = taken_by(run);
  list("step 4", fourth);
  for (const auto& [library, counts] : fourth) {
    EXPECT_TRUE(library.starts_with("libdnnl")) << library << " takes memory in a step";
    EXPECT_EQ(counts.second.calls, 0) << library << " maps memory in a step";
  }
  const auto fifth = taken_by(run);
  ASSERT_EQ(fifth.size(), fourth.size());
  for (const auto& [library, counts] : fifth) {
    EXPECT_EQ(counts.first.calls, fourth.at(library).first.calls) << library;
    EXPECT_EQ(counts.first.bytes, fourth.at(library).first.bytes) << library;
  }

  const auto faults = read_resources().minor_page_faults;
  for (int i = 0; i < 10; ++i) run();
  EXPECT_LT(read_resources().minor_page_faults - faults, 20) << "in ten steps; reclaim by the system causes strays";
  EXPECT_GT(loss, 0.0F);
}

INSTANTIATE_TEST_SUITE_P(Types, StepMemory, ::testing::Values(DType::F32, DType::BF16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace ldmpi::exec
