#!/usr/bin/env bash
# The program with its CUDA plugin present, absent, broken and of another build, with a GPU's device node and without.
source "$TESTS/training/common.sh"

# run NAME CODE TEXT WORDS...: the words end with the code, and say the text on the way.
run() {
  local name=$1 code=$2 text=$3 rc=0
  shift 3
  "$@" > "$here/out" 2>&1 || rc=$?
  if [ "$rc" -ne "$code" ]; then cat "$here/out"; problem "$name: ends with $rc, not $code"; fi
  grep -q -- "$text" "$here/out" || { cat "$here/out"; problem "$name: does not say '$text'"; }
}
job() { echo "$home/bin/ldmpi bench --model.config $TESTS/training/tiny_unet.json --warmup 0 --steps 1 --device $1"; }

home=$here/home
mkdir -p "$home/bin" "$home/lib"
cp "$PROGRAM" "$home/bin/ldmpi"
none=(env CUDA_VISIBLE_DEVICES=)

# shellcheck disable=SC2046
{
  run "absent, GPU hidden, auto" 0 "CPU" "${none[@]}" $(job auto)
  run "absent, GPU hidden, cuda" 69 "CUDA_VISIBLE_DEVICES is ''" "${none[@]}" $(job cuda)
  run "absent, auto" 69 "libldmpi_cuda.so is not there" $(job auto)
  run "absent, cuda" 69 "libldmpi_cuda.so is not there" $(job cuda)
  run "absent, cpu" 0 "CPU" $(job cpu)

  cp "$PLUGIN" "$home/lib/libldmpi_cuda.so"
  run "present, GPU hidden, auto" 0 "CPU" "${none[@]}" $(job auto)
  run "present, no driver, auto" 69 "driver is not installed" $(job auto)
  run "present, no driver, cuda" 69 "driver is not installed" $(job cuda)
  run "present, cpu" 0 "CPU" $(job cpu)

  # A library that it needs is gone.
  echo 'int missing(void) { return 1; }' | cc -x c -shared -fPIC -o "$here/libmissing.so" -
  echo 'int missing(void); int f(void) { return missing(); }' |
    cc -x c -shared -fPIC -o "$home/lib/libldmpi_cuda.so" - "$here/libmissing.so"
  rm "$here/libmissing.so"
  run "broken, GPU hidden, auto" 0 "CPU" "${none[@]}" $(job auto)
  run "broken, auto" 69 "libmissing.so" $(job auto)
  run "broken, cuda" 69 "libmissing.so" $(job cuda)
  run "broken, cpu" 0 "CPU" $(job cpu)

  echo 'const void* ldmpi_cuda_plugin(const char* build) { (void)build; return 0; }' |
    cc -x c -shared -fPIC -o "$home/lib/libldmpi_cuda.so" -
  run "another build" 69 "another build" $(job cuda)
  head -c 1000 /dev/urandom > "$home/lib/libldmpi_cuda.so"
  run "garbage" 69 "cannot be loaded" $(job cuda)
}
finish
