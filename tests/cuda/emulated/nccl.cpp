// NCCL for the emulated device, over MPI. EMULATED_NCCL_FAULT=KIND[:RANK] makes it fail: init (a rank cannot connect),
// absent (a rank never arrives), async (an error behind the third collective), hang (a collective never ends), deaf (as
// async, and ncclCommAbort never returns), version (a rank has another version).

#include <cuda_runtime_api.h>
#include <mpi.h>
#include <nccl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../../ops/emulated/emulator.h"
#include "base/dtype.h"
#include "comm/sum.h"

struct ncclComm {
  MPI_Comm ranks = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  int polls = 0;
  int calls = 0;
};

namespace {

bool faulty(const char* kind, int rank) {
  const char* text = std::getenv("EMULATED_NCCL_FAULT");
  if (text == nullptr) return false;
  const std::string wanted(text);
  const auto colon = wanted.find(':');
  return wanted.substr(0, colon) == kind && (colon == std::string::npos || std::stoi(wanted.substr(colon + 1)) == rank);
}

int own_rank() {
  const char* text = std::getenv("OMPI_COMM_WORLD_RANK");
  return text == nullptr ? 0 : std::atoi(text);
}

ldmpi::DType type_of(ncclDataType_t type) {
  switch (type) {
    case ncclFloat64: return ldmpi::DType::F64;
    case ncclBfloat16: return ldmpi::DType::BF16;
    case ncclFloat16: return ldmpi::DType::F16;
    case ncclInt64: return ldmpi::DType::I64;
    default: return ldmpi::DType::F32;
  }
}

/// Every rank's bytes, in rank order.
std::vector<std::byte> gather(ncclComm_t comm, const void* mine, std::size_t bytes) {
  std::vector<std::byte> all(bytes * static_cast<std::size_t>(comm->size));
  if (comm->ranks == MPI_COMM_NULL)
    std::memcpy(all.data(), mine, bytes);
  else
    MPI_Allgather(mine, static_cast<int>(bytes), MPI_BYTE, all.data(), static_cast<int>(bytes), MPI_BYTE, comm->ranks);
  return all;
}

ncclResult_t submit(ncclComm_t comm, cudaStream_t stream, std::function<void()> work) {
  ++comm->calls;
  if (faulty("hang", comm->rank) && comm->calls == 3) work = [] { for (;;) pause(); };
  ldmpi::emulation::submit(stream, std::move(work));
  return ncclSuccess;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = faulty("version", own_rank()) ? 22007 : NCCL_VERSION_CODE;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id, 1, sizeof *id);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId, int rank, ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidUsage;
  *comm = new ncclComm{MPI_COMM_NULL, rank, size, 0, 0};
  if (size > 1) MPI_Comm_dup(MPI_COMM_WORLD, &(*comm)->ranks);
  return ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  ++comm->polls;
  *result = comm->polls < 3 ? ncclInProgress : ncclSuccess;
  if (faulty("absent", comm->rank)) *result = ncclInProgress;
  if (faulty("init", comm->rank) && comm->polls >= 3) *result = ncclSystemError;
  if ((faulty("async", comm->rank) || faulty("deaf", comm->rank)) && comm->calls >= 3) *result = ncclRemoteError;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  while (faulty("deaf", comm->rank)) pause();
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm->ranks != MPI_COMM_NULL) MPI_Comm_free(&comm->ranks);
  delete comm;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error"
         : result == ncclSystemError ? "unhandled system error"
                                     : "an error";
}
const char* ncclGetLastError(ncclComm_t) { return "emulated"; }

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, [=] {
    const std::size_t bytes = count * ldmpi::size_of(type_of(type));
    const auto all = gather(comm, from, bytes);
    std::memcpy(to, all.data(), bytes);
    for (int r = 1; r < comm->size; ++r)
      ldmpi::comm::add_into(to, all.data() + static_cast<std::size_t>(r) * bytes, count, type_of(type));
  });
}
ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t,
                               ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, [=] {
    const std::size_t slice = count * ldmpi::size_of(type_of(type));
    const std::size_t bytes = slice * static_cast<std::size_t>(comm->size);
    const auto all = gather(comm, from, bytes);
    const auto* mine = all.data() + static_cast<std::size_t>(comm->rank) * slice;
    std::memcpy(to, mine, slice);
    for (int r = 1; r < comm->size; ++r)
      ldmpi::comm::add_into(to, mine + static_cast<std::size_t>(r) * bytes, count, type_of(type));
  });
}
ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return submit(comm, stream, [=] {
    const auto all = gather(comm, from, count * ldmpi::size_of(type_of(type)));
    std::memcpy(to, all.data(), all.size());
  });
}

}  // extern "C"
