#pragma once
// Runs the threads of CUDA blocks on the CPU, one after the other: a thread goes on until it waits at a barrier. What
// no order of threads could show on a GPU either (wrong sums, missing barriers, memory out of bounds) shows here; what
// needs real concurrency (races within a warp, the memory model) does not.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>

struct CUstream_st;

namespace ldmpi::emulation {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

/// In which order threads and blocks run: a missing barrier shows in one of them.
enum class Order : std::uint8_t { Forward, Backward, Shuffled };
void set_order(Order order);

/// Lets threads pass one of the block barriers without waiting, to see that its absence shows: the one that kernels met
/// as number `which` since the start, counted by its place in the source; -1: none.
void drop_barrier(int which);
[[nodiscard]] int barriers_met();

/// What the running thread sees.
struct Current {
  Index thread;
  Index block;
  Index threads;  ///< extents of the block
  Index blocks;   ///< extents of the grid
  void* shared = nullptr;
};
[[nodiscard]] const Current& current();

/// Waits for all threads of the block that have not ended. Ends the program with a message where some of them wait
/// somewhere else.
void wait_for_block(std::source_location at);
/// Gives `bits` to the other lanes of the warp and returns those of lane `source`; waits for all 32.
std::uint64_t exchange(std::uint64_t bits, unsigned source, std::source_location at);
/// 0 to 31.
[[nodiscard]] unsigned lane();

/// Where kernels launched on a stream go; without a queue, and on the null stream, they run at once.
using Queue = void (*)(CUstream_st* stream, std::function<void()> work);
void set_queue(Queue queue);
void submit(CUstream_st* stream, std::function<void()> work);

/// Runs `body` for every thread of every block. Shared memory is filled with NaN before each block.
void run(Index blocks, Index threads, std::size_t shared_bytes, const std::function<void()>& body);

}  // namespace ldmpi::emulation
