#!/usr/bin/env bash
# What NCCL may do to a job, on the emulated device: it ends in time, with the right code, and says why.
source "$TESTS/training/common.sh"
synth data

# fault NAME CODE SECONDS TEXT [options]: a job of $ranks with EMULATED_NCCL_FAULT=NAME.
ranks=2
fault() {
  local name=$1 code=$2 seconds=$3 text=$4 rc=0 since=$SECONDS
  shift 4
  device=cuda words
  words[0]=$EMULATED
  EMULATED_NCCL_FAULT=$name mpi "$ranks" "${words[@]}" --output_dir "$here/run-$name" --max_train_steps 6 \
    --comm.bucket_mib 1 "$@" > "$here/out" 2>&1 || rc=$?
  [ "$rc" -eq "$code" ] || { tail -5 "$here/out"; problem "$name: ends with $rc, not $code"; }
  [ $((SECONDS - since)) -le "$seconds" ] || problem "$name: took $((SECONDS - since)) s, not at most $seconds"
  grep -q -- "$text" "$here/out" || { cat "$here/out"; problem "$name: does not say '$text'"; }
}
fault async:1 75 20 "remote process exited"
fault deaf:1 75 30 "does not give up"
fault init:1 69 20 "unhandled system error"
fault version:1 69 20 "their NCCL"
fault init 69 20 "unhandled system error"
EMULATED_GPUS=1 fault none 78 10 "ranks 0 and 1 both run on GPU"
ranks=3 fault none 69 10 "3 ranks on .*, which has 2 GPUs" --data.bad_sample stop
EMULATED_CAPABILITY=7 fault none 69 10 "compute capability 7.0"
finish
