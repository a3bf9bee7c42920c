#include "ir/type.h"

#include <fmt/format.h>

namespace ldmpi::ir {

std::string Type::text() const {
  auto result = fmt::format("{}{}", name_of(dtype), shape.text());
  if (!dense()) result += fmt::format("/{}", pitch);
  return result;
}

}  // namespace ldmpi::ir
