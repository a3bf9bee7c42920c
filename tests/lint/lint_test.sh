#!/usr/bin/env bash
# Every check of lint.sh passes a clean tree and fails on a planted violation, with a message that names it; the same
# for the rule that a header compiles alone. Usage: lint_test.sh [C++ compiler]
set -euo pipefail
lint=$(dirname "$(readlink -f "$0")")/lint.sh
compiler=${1:-c++}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

clean_tree() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/{src/{base,io,ir,comm,backend/cpu,train,app,config},data_tools,tests,job_scripts}
  printf '#pragma once\n#include <string>\n#include <fmt/format.h>\n' > "$tree/src/base/check.h"
  printf '#pragma once\n#include "base/check.h"\n' > "$tree/src/ir/graph.h"
  printf '#include <mpi.h>\n#include "base/check.h"\n' > "$tree/src/comm/mpi.cpp"
  printf '#include <dnnl.hpp>\n#include "ir/graph.h"\n' > "$tree/src/backend/cpu/kernels.h"
  printf '#include "backend/cpu/kernels.h"\n#include "train/job.h"\n' > "$tree/src/app/main.cpp"
  printf '#pragma once\n#include "ir/graph.h"\n' > "$tree/src/train/job.h"
  printf '#if defined(__SSE4_2__)\n#endif\n' > "$tree/src/base/crc32c.cpp"
  printf 'const char* x = std::getenv("OMPI_COMM_WORLD_RANK");\n' > "$tree/src/comm/environment.cpp"
  printf '#!/bin/sh\necho fine\n' > "$tree/job_scripts/fine.sh"
}

wrong() { echo "lint_test: $*"; failures=$((failures + 1)); }

# expect CHECK PATH CONTENT MESSAGE: the file, put into a clean tree, makes the check fail with that message.
expect() {
  local check=$1 path=$2 content=$3 message=$4 output rc=0
  clean_tree
  mkdir -p "$(dirname "$tree/$path")"
  printf '%b' "$content" > "$tree/$path"
  output=$("$lint" "$check" "$tree" 2>&1) || rc=$?
  if [ $rc -eq 77 ]; then echo "$check: $output"; return; fi
  if [ $rc -eq 0 ]; then wrong "$check does not see $path: $content"; fi
  if ! grep -qE -- "$message" <<< "$output"; then wrong "$check on $path does not say '$message' but: $output"; fi
}

for check in includes doors length words scripts; do
  clean_tree
  rc=0
  output=$("$lint" "$check" "$tree" 2>&1) || rc=$?
  if [ $rc -ne 0 ] && [ $rc -ne 77 ]; then wrong "$check fails on a clean tree: $output"; fi
done

expect includes src/ir/bad.cpp '#include "train/job.h"\n' 'src/ir/bad.cpp:1: ir may not include train/job.h'
expect includes src/base/bad.h '\n#include "io/file.h"\n' 'src/base/bad.h:2: base may not'
expect includes src/backend/bad.cpp '#include "backend/cpu/kernels.h"\n' 'backend may not include backend/cpu/kernels.h'
expect includes src/train/bad.cpp '#include "backend/cpu/kernels.h"\n' 'train may not include backend/cpu/kernels.h'
expect includes src/backend/cpu/bad.cpp '  #  include "comm/run.h"\n' 'backend/cpu may not include comm/run.h'
expect includes src/train/bad.cpp '#include "job.h"\n' 'is not written from src/ on'
expect includes src/new_room/bad.cpp 'int x;\n' 'src/new_room/bad.cpp:1: the folder has no row'

expect doors src/train/bad.cpp '#include <mpi.h>\n' 'src/train/bad.cpp:1: <mpi.h> belongs'
expect doors src/comm/bad.h '#include <mpi.h>\n' 'src/comm/bad.h:1: <mpi.h> belongs'
expect doors src/train/bad.cpp '#include <hdf5.h>\n' '<hdf5.h> belongs'
expect doors data_tools/bad.cpp '#include <H5Dpublic.h>\n' '<H5Dpublic.h> belongs'
expect doors src/exec/bad.cpp '#include <oneapi/dnnl/dnnl.hpp>\n' '<oneapi/dnnl/dnnl.hpp> belongs'
expect doors src/backend/cpu/bad.cpp '#include <cuda_runtime.h>\n' '<cuda_runtime.h> belongs'
expect doors src/config/bad.h '#include <boost/program_options.hpp>\n' 'boost/program_options.hpp> belongs'
expect doors src/io/bad.h '#include <nlohmann/json.hpp>\n' '<nlohmann/json.hpp> belongs'

expect length src/io/long.cpp "$(yes 'int x;\n' | head -n 601 | tr -d '\n')" 'long.cpp:601: a file of more than 600 lines'
expect words src/io/bad.cpp '// TODO: later\n' 'unfinished work'
expect words docs/bad.md 'FIXME\n' 'unfinished work'
expect words job_scripts/bad.cfg 'path = /home/somebody/data\n' 'path of somebody'
expect words src/io/bad.cpp '#ifdef WITH_CUDA\n#endif\n' 'src/io/bad.cpp:1:#ifdef WITH_CUDA'
expect words src/base/crc32c.cpp '#if WITH_FAST_PATH\n#endif\n' 'src/base/crc32c.cpp:1:#if WITH_FAST_PATH'
expect words src/io/bad.cpp 'auto x = std::getenv("HOME");\n' 'src/io/bad.cpp:1:.*getenv'
# shellcheck disable=SC2016
expect scripts job_scripts/bad.sh '#!/bin/sh\nrm -rf $1/*\n' 'job_scripts/bad.sh:2'

# What tests/lint/CMakeLists.txt compiles per header.
clean_tree
printf '#pragma once\ninline std::string bad() { return {}; }\n' > "$tree/src/io/bad.h"
printf '#include "io/bad.h"\n' > "$tree/alone.cpp"
if "$compiler" -std=c++20 -fsyntax-only -I "$tree/src" "$tree/alone.cpp" 2> /dev/null; then
  wrong "a header without its includes compiles alone"
fi

if [ $failures -gt 0 ]; then exit 1; fi
echo "every check sees what was planted"
