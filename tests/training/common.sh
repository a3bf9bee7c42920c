# shellcheck shell=bash
# Sourced by the end-to-end tests: $PROGRAM and $DATA_TOOL are the programs, $MPIEXEC the launcher, $TESTS the folder of
# tests/. Works in a folder of its own that is removed when the test passes.

set -u
here=$(mktemp -d "${TMPDIR:-/tmp}/ldmpi-test-XXXXXX")
export LDMPI_DATA__PATH=$here/data  # the weakest source: --data.path overrules it
failures=0
device=cpu  # of words()

finish() {
  if [ "$failures" -eq 0 ]; then rm -rf "$here"; echo "all passed"; exit 0; fi
  echo "$failures failed; the folder is kept: $here"
  exit 1
}

problem() { echo "FAILED: $*"; failures=$((failures + 1)); }

# synth NAME [LATENT]: the tiny dataset in $here/NAME.
synth() {
  "$DATA_TOOL" synth --out "$here/$1" --latent "${2:-4x8x8}" --context 8x32 --samples 64 --shards 4 --seed 1 >"$here/$1.log" ||
    { cat "$here/$1.log"; problem "synth $1"; finish; }
}

mpi() {
  local ranks=$1
  shift
  if [ "$ranks" -eq 1 ]; then "$@"; else "$MPIEXEC" --oversubscribe --bind-to none -np "$ranks" "$@"; fi
}

# Sets the array words: a training command without launcher and run folder.
words() {
  words=("$PROGRAM" train --model.config "$TESTS/training/tiny_unet.json" --total_batch_size 8
         --seed 7 --device "$device" --schedule.warmup_steps 0 --log.tensorboard off)
}

# train RANKS RUN [options]: expects success.
train() {
  local ranks=$1 run=$2
  shift 2
  words
  mpi "$ranks" "${words[@]}" --output_dir "$here/$run" "$@" >"$here/$run.log" 2>&1 && return
  local code=$?
  tail -15 "$here/$run.log"
  problem "$run ended with code $code"
  return 1
}

# expect CODE "regular expression|..." command...: the exit code, and each of the expressions (one a line) in the output.
expect() {
  local code=$1 patterns=$2 output status pattern
  shift 2
  output=$("$@" 2>&1)
  status=$?
  [ "$status" -eq "$code" ] || problem "code $status instead of $code from: ${*:2}: $output"
  while IFS= read -r pattern; do
    grep -Eq -- "$pattern" <<<"$output" || problem "'$pattern' is not in the output of: ${*:2}: $output"
  done <<<"$patterns"
}

# "step loss" of each step, as recorded.
losses() { sed -nE 's/^\{"step":([0-9]+),.*"loss":([^,}]+).*/\1 \2/p' "$here/$1/metrics.jsonl"; }

# same_losses A B TOLERANCE STEPS: relative, over exactly so many steps.
same_losses() {
  paste -d' ' <(losses "$1") <(losses "$2") | awk -v tolerance="$3" -v steps="$4" '
    NF != 4 || $1 != $3 || $1 != NR || $2 <= 0 { print "line " NR ": " $0; bad = 1 }
    { d = $2 > $4 ? $2 - $4 : $4 - $2; if (d > tolerance * $2) { print "losses differ: " $0; bad = 1 } }
    END { if (NR != steps) { print NR " steps instead of " steps; bad = 1 }; exit bad }' ||
    problem "the losses of $1 and $2 are not equal to $3"
}

same_file() { cmp -- "$here/$1" "$here/$2" || problem "$1 and $2 differ"; }

# same_result A B STEP: final weights and optimizer state to the bit.
same_result() {
  local checkpoint
  checkpoint=$(printf 'checkpoints/step-%08d' "$3")
  same_file "$1/final/unet/diffusion_pytorch_model.safetensors" "$2/final/unet/diffusion_pytorch_model.safetensors"
  same_file "$1/$checkpoint/state/optimizer.safetensors" "$2/$checkpoint/state/optimizer.safetensors"
  same_file "$1/$checkpoint/unet/diffusion_pytorch_model.safetensors" "$2/$checkpoint/unet/diffusion_pytorch_model.safetensors"
}
