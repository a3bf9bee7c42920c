#include "base/check.h"

namespace ldmpi {

void check_failed(const char* expression, const std::string& message, std::source_location where) {
  fail(Exit::Internal, "internal error: {} [{} at {}:{}]", message, expression, where.file_name(), where.line());
}

}  // namespace ldmpi
