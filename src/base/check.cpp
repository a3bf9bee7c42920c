#include "base/check.h"

namespace ldmpi {

void check_failed(const char* expression, const std::string& message, const char* file, int line) {
  fail(Exit::Internal, "internal error: {} [{} at {}:{}]", message, expression, file, line);
}

}  // namespace ldmpi
