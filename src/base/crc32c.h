#pragma once
// CRC32C (Castagnoli, as in RFC 3720), the checksum of samples, checkpoint tensors and event files.

#include <cstddef>
#include <cstdint>
#include <span>

namespace ldmpi {

/// CRC of `bytes`, continuing from `previous` (0 to begin). crc32c of 32 zero bytes is 0x8a9136aa.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0) noexcept;

}  // namespace ldmpi
