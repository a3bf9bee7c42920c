#!/usr/bin/env bash
# Rules of the source tree that a compiler does not check: lint.sh CHECK [ROOT], CHECK one of includes, doors, length,
# words, scripts. Prints "file:line: what is wrong" and does not end with 0 if anything is; 77: cannot be checked here.
# shellcheck disable=SC2016  # $0 is awk's
set -euo pipefail
check=$1
cd "${2:-.}"

# sources FOLDER...: C++ files of those folders, zero-terminated.
sources() {
  local folder
  for folder in "$@"; do
    if [ -d "$folder" ]; then find "$folder" \( -name '*.cpp' -o -name '*.h' \) -print0; fi
  done | LC_ALL=C sort -z
}

# Which layer may include which (design: "the rooms"). A new folder needs a row.
check_includes() {
  sources src | xargs -0 -r awk '
    BEGIN {
      sees["base"] = "base"
      sees["config"] = "base config"
      sees["io"] = "base io"
      sees["ir"] = "base ir"
      sees["data"] = "base io data"
      sees["plan"] = "base ir plan"
      sees["nn"] = "base ir nn"
      sees["diffusion"] = "base ir nn diffusion"
      sees["backend"] = "base ir backend"
      sees["backend/cpu"] = "base ir backend backend/cpu"
      sees["backend/cuda"] = "base ir backend backend/cuda"
      sees["comm"] = "base ir backend comm"
      sees["exec"] = "base ir plan backend comm exec"
      sees["train"] = "base config io ir data plan nn diffusion backend comm exec train"
      sees["app"] = sees["train"] " backend/cpu backend/cuda app"
    }
    function layer(path,  part) {
      if (split(path, part, "/") < 2) return ""
      return part[1] == "backend" && (part[2] == "cpu" || part[2] == "cuda") ? part[1] "/" part[2] : part[1]
    }
    FNR == 1 {
      here = layer(substr(FILENAME, 5))
      if (!(here in sees)) { print FILENAME ":1: the folder has no row in tests/lint/lint.sh"; bad = 1 }
    }
    /^[ \t]*#[ \t]*include[ \t]+"/ {
      split($0, quoted, "\"")
      there = layer(quoted[2])
      if (there == "") { print FILENAME ":" FNR ": \"" quoted[2] "\" is not written from src/ on"; bad = 1 }
      else if (index(" " sees[here] " ", " " there " ") == 0) {
        print FILENAME ":" FNR ": " here " may not include " quoted[2] " (it sees: " sees[here] ")"; bad = 1
      }
    }
    END { exit bad }'
}

# One library, one door: the only files that may include it. Headers outside of a door show no third-party type.
check_doors() {
  sources src data_tools | xargs -0 -r awk '
    function door(what, files) { library[++doors] = what; place[doors] = files }
    BEGIN {
      door("mpi\\.h", "src/comm/[^/]*\\.cpp")
      door("nccl", "src/comm/nccl[^/]*\\.cpp")
      door("cuda_runtime_api", "src/(backend/cuda/|comm/nccl[^/]*\\.cpp)")
      door("(hdf5|H5)", "src/io/")
      door("(dnnl|oneapi/)", "src/backend/cpu/")
      door("(cuda|cudnn|cublas|nvrtc|nvtx)", "src/backend/cuda/")
      door("omp\\.h", "src/backend/cpu/")
      door("boost/", "src/config/[^/]*\\.cpp")
      door("spdlog/", "src/base/[^/]*\\.cpp")
      door("(png|jpeglib|jerror|webp/)", "src/io/[^/]*\\.cpp")
      door("archive", "data_tools/[^/]*\\.cpp")
      door("(ft2build|freetype)", "data_tools/[^/]*\\.cpp")
      door("nlohmann/json_fwd\\.hpp", "(src|data_tools)/")
      door("nlohmann/", "(src|data_tools)/.*\\.cpp")
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
      sub(/^[^<]*</, ""); sub(/>.*/, "")
      for (i = 1; i <= doors; ++i)
        if ($0 ~ "^" library[i]) {
          if (FILENAME !~ "^" place[i]) {
            print FILENAME ":" FNR ": <" $0 "> belongs into " place[i] " only"; bad = 1
          }
          break
        }
    }
    END { exit bad }'
}

check_length() {
  sources src tests data_tools | xargs -0 -r awk '
    FNR == 401 { print FILENAME ":401: warning: a file of more than 400 lines; is it one subject?" }
    FNR == 601 { print FILENAME ":601: a file of more than 600 lines: divide it"; bad = 1 }
    END { exit bad }'
}

check_words() {
  local bad=0
  # The folder of this script names the words, and plants them in its self-test.
  local all=(--include=*.cpp --include=*.h --include=*.txt --include=*.cmake --include=*.sh --include=*.cfg
    --include=*.md --include=*.py --exclude-dir=lint --exclude-dir=build --exclude-dir=quickstart)
  if grep -rnwE 'TODO|FIXME|XXX|HACK' "${all[@]}" .; then
    echo "^ unfinished work has no place here: do it, or open an issue"; bad=1
  fi
  if grep -rnE '(^|[^A-Za-z0-9_.])/(work|home|root)/[a-z]' "${all[@]}" .; then
    echo "^ a path of somebody's machine"; bad=1
  fi
  # Features are files that CMake picks, not #if. What remains asks the compiler about the machine:
  local conditions='^src/base/crc32c\.cpp:.*(__SSE4_2__|__ARM_FEATURE_CRC32)|^src/base/build_info\.cpp:.*__x86_64__'
  conditions+='|^src/base/rng\.h:.*__CUDACC__|^src/backend/cpu/cpu_backend\.cpp:.*M_MMAP_THRESHOLD'
  if sources src data_tools | xargs -0 -r grep -nHE '^[[:space:]]*#[[:space:]]*(if|elif)' |
    grep -vE "$conditions"; then
    echo "^ conditional compilation: let CMake choose a file instead"; bad=1
  fi
  # The environment is read in one place per subject, so that docs/options.md can be complete.
  local readers='^src/comm/(environment|relaunch)\.cpp:|^src/config/parse|^src/backend/cpu/passive_threads\.cpp:'
  if sources src data_tools | xargs -0 -r grep -nHwE '(secure_)?getenv|environ' | grep -vE "$readers"; then
    echo "^ only config/parse*, comm/environment, comm/relaunch and backend/cpu/passive_threads read the environment"; bad=1
  fi
  return $bad
}

check_scripts() {
  command -v shellcheck > /dev/null || { echo "shellcheck is not installed"; exit 77; }
  find . \( -name build -o -name 'build-*' -o -name .git \) -prune -o \( -name '*.sh' -o -name '*.sbatch' -o -path './.ci/run' \) -print0 |
    xargs -0 -r shellcheck --format=gcc --severity=warning --external-sources --source-path=.:tests --exclude=SC2148
}

case $check in
  includes | doors | length | words | scripts) "check_$check" ;;
  *) echo "lint.sh: no check $check" >&2; exit 78 ;;
esac
