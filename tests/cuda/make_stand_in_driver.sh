#!/bin/sh
# make_stand_in_driver.sh FOLDER STUB: builds FOLDER/libcuda.so.1 with every function of the toolkit's link stub. All
# answer "no device", but those that load compiled code, which say "done": so cuDNN can finish a plan where no GPU is.
# For LD_LIBRARY_PATH of one test only: the runtime believes that a driver is there.
set -e
folder=$1
stub=$2
mkdir -p "$folder"
loads="cuLibraryLoadData cuLibraryGetModule cuLibraryGetKernel cuKernelGetFunction cuModuleLoadData cuModuleLoadDataEx
  cuModuleLoadFatBinary cuModuleGetFunction cuLibraryGetGlobal cuModuleGetGlobal_v2"
sets="cuLibraryUnload cuModuleUnload cuFuncSetAttribute cuKernelSetAttribute cuFuncSetCacheConfig cuKernelSetCacheConfig"
asks="cuFuncGetAttribute cuKernelGetAttribute"
{
  echo 'static char code[4096];'
  nm -D --defined-only "$stub" | awk -v loads="$loads" -v sets="$sets" -v asks="$asks" '
    function names(list, body,  part, n) { n = split(list, part, /[ \n]+/); for (i = 1; i <= n; ++i) does[part[i]] = body }
    BEGIN {
      names(loads, "(void** out) { if (out) *out = code; return 0; }")
      names(sets, "(void) { return 0; }")
      names(asks, "(int* value) { if (value) *value = 0; return 0; }")
    }
    $2 == "T" && !seen[$3]++ { print "int " $3 ($3 in does ? does[$3] : "(void) { return 100; }") }'
} > "$folder/stand_in_driver.c"
cc -shared -fPIC -O1 -w -Wl,-soname,libcuda.so.1 "$folder/stand_in_driver.c" -o "$folder/libcuda.so.1"
