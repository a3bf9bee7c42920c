# Warnings, instruction set and sanitizers, carried by one interface target that every folder links.
add_library(ldmpi_options INTERFACE)
target_include_directories(ldmpi_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(ldmpi_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror)
# GCC 12 reports false positives for these in inlined standard containers.
target_compile_options(ldmpi_options INTERFACE -Wno-error=maybe-uninitialized -Wno-error=stringop-overflow
                       -Wno-error=array-bounds -Wno-restrict -Wno-error=dangling-pointer)

if(LDMPI_ARCH STREQUAL "default")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(LDMPI_MARCH x86-64-v3)
  else()
    set(LDMPI_MARCH "")
  endif()
else()
  set(LDMPI_MARCH ${LDMPI_ARCH})
endif()
if(LDMPI_MARCH)
  target_compile_options(ldmpi_options INTERFACE -march=${LDMPI_MARCH})
endif()
# Equal bits for equal formulas: contraction only where the code spells std::fma.
target_compile_options(ldmpi_options INTERFACE -ffp-contract=off)

if(LDMPI_SANITIZE)
  target_compile_options(ldmpi_options INTERFACE -fsanitize=${LDMPI_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(ldmpi_options INTERFACE -fsanitize=${LDMPI_SANITIZE})
  if(LDMPI_SANITIZE MATCHES "undefined")
    target_compile_options(ldmpi_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
else()
  target_compile_options(ldmpi_options INTERFACE -fstack-protector-strong)
  target_link_options(ldmpi_options INTERFACE -Wl,-z,relro,-z,now)
endif()

# ldmpi_precompile(target [headers ...]): the headers that nearly every file includes, parsed once per target of more
# than three sources (below that it does not pay). tests/lint compiles each header alone, so none may lean on it.
function(ldmpi_precompile target)
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources count)
  if(count GREATER 3)
    target_precompile_headers(${target} PRIVATE <fmt/format.h> <algorithm> <array> <filesystem> <functional> <map>
                              <memory> <optional> <span> <string> <variant> <vector> ${ARGN})
  endif()
endfunction()
