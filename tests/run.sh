#!/usr/bin/env bash
# Builds and runs the tests: all of them in the release build, then units and ops once more under the address and
# undefined-behaviour sanitizers. Ends at the first part that fails; the closing lines are ctest's.
set -euo pipefail

usage="usage: tests/run.sh [--all] [--no-bootstrap]
  --all           also the long tests, the thread sanitizer and a short run of the fuzz targets
  --no-bootstrap  install nothing; what is missing is the compiler's or CMake's to say"
all=no bootstrap=yes
for word in "$@"; do
  case $word in
    --all) all=yes ;;
    --no-bootstrap) bootstrap=no ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) echo "run.sh: unknown option $word" >&2; echo "$usage" >&2; exit 78 ;;
  esac
done
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

# The tests know their environment: options of the caller's shell must not reach the programs.
unset "${!LDMPI_@}"
export OMP_WAIT_POLICY=passive OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

options=(-DLDMPI_TESTS=ON)
if command -v ccache > /dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi

part() { echo; echo "== $* [${SECONDS} s]"; }

# build PRESET FOLDER [OPTION...]: configures and builds; what CMake says is shown if it fails.
build() {
  local preset=$1 folder=$2
  shift 2
  mkdir -p "build/$folder"
  if ! cmake --preset "$preset" "${options[@]}" "$@" > "build/$folder/configure.log" 2>&1; then
    tail -n 20 "build/$folder/configure.log" >&2
    echo "run.sh: the configuration $preset failed; all of it is in build/$folder/configure.log" >&2
    exit 70
  fi
  cmake --build --preset "$preset"
}

part packages
if [ "$bootstrap" = no ]; then
  echo "left out (--no-bootstrap)"
elif [ "$all" = yes ]; then
  job_scripts/bootstrap.sh --all
else
  job_scripts/bootstrap.sh
fi

fuzz=OFF
if [ "$all" = yes ] && compgen -c clang++ > /dev/null; then fuzz=ON; fi
part "release build"
build cpu-release release -DLDMPI_FUZZ=$fuzz
part "tests"
long=(--label-exclude long)
if [ "$all" = yes ]; then long=(); fi
ctest --test-dir build/release --output-on-failure --no-tests=error "${long[@]}"

if [ "$all" = yes ]; then
  part "thread sanitizer"
  build cpu-tsan tsan
  ctest --test-dir build/tsan --output-on-failure --no-tests=error
fi

part "address and undefined-behaviour sanitizers, build"
build cpu-asan-ubsan asan
part "address and undefined-behaviour sanitizers, units and ops"
export UBSAN_OPTIONS=print_stacktrace=1
ctest --test-dir build/asan --output-on-failure --no-tests=error --label-regex '^(unit|ops)$' --label-exclude long
