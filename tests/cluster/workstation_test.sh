#!/usr/bin/env bash
# job_scripts/mpirun.sh: how many ranks it starts, on which device, and that Ctrl-C saves. The recipe of the container:
# its scripts are sound.
. "$TESTS/training/common.sh"
synth data
script=$(dirname "$TESTS")/job_scripts/mpirun.sh
export LDMPI=$PROGRAM
unset CUDA_VISIBLE_DEVICES

# What the program is told: its words here print two variables.
told() { # EXPECTED [VARIABLE=value ...]
  local expected=$1 output
  shift
  output=$(env LDMPI="printenv LDMPI_NUM_GPUS LDMPI_DEVICE" "$@" bash "$script" --config x.cfg 2> "$here/said" | paste -sd ' ')
  [ "$output" = "$expected" ] || problem "'$output' instead of '$expected' of: $* $(cat "$here/said")"
}
told "2 cuda" NUM_GPUS=2
told "2 cuda" CUDA_VISIBLE_DEVICES=0,3
told "2 auto" CUDA_VISIBLE_DEVICES=0,3 LDMPI_DEVICE=auto
told "1 cuda" CUDA_VISIBLE_DEVICES=GPU-2a NUM_GPUS=
told "4 cpu" RANKS_PER_NODE=4 LDMPI_DEVICE=cpu CUDA_VISIBLE_DEVICES=0,1
told "1" CUDA_VISIBLE_DEVICES=
told "3" CUDA_VISIBLE_DEVICES=-1 RANKS_PER_NODE=3
mkdir "$here/bin"
printf '#!/bin/sh\necho "GPU 0: x"\necho "GPU 1: x"\necho "GPU 2: x"\n' > "$here/bin/nvidia-smi"
chmod +x "$here/bin/nvidia-smi"
told "3 cuda" PATH="$here/bin:$PATH"
expect 78 'NUM_GPUS=two is not a number' env NUM_GPUS=two bash "$script" --config x.cfg
expect 66 'no program /nowhere/ldmpi' env LDMPI=/nowhere/ldmpi bash "$script" --config x.cfg
expect 78 'CUDA_VISIBLE_DEVICES=0,3' bash "$script"
if [ ! -e /dev/nvidia0 ]; then expect 69 'no NVIDIA device' env NUM_GPUS=2 bash "$script" --config /dev/null \
  --model.config "$TESTS/training/tiny_unet.json" --total_batch_size 8 --output_dir "$here/none"; fi

train 2 whole --max_train_steps 200 --schedule.warmup_steps 0 || finish
words
words=("${words[@]:2}")  # without the program and its command
export RANKS_PER_NODE=2 LDMPI_DEVICE=cpu
set -m  # the shell leaves INT to processes in the background only then
bash "$script" "${words[@]}" --output_dir "$here/run" --max_train_steps 200 > "$here/run.log" 2>&1 &
job=$!
for _ in $(seq 600); do
  grep -qs '"loss"' "$here/run/metrics.jsonl" && break
  sleep 0.05
done
kill -INT "$job"
wait "$job"
code=$?
[ "$code" -eq 75 ] || problem "Ctrl-C ends it with $code: $(tail -5 "$here/run.log")"
expect 0 'resuming behind step' bash "$script" "${words[@]}" --output_dir "$here/run" --max_train_steps 200
same_result whole run 200

recipe=$(dirname "$TESTS")/job_scripts/apptainer.def
for section in post test environment runscript; do
  awk -v section="%$section" '/^%/ { inside = $1 == section; next } inside' "$recipe" | sed 's/{{[^}]*}}/VALUE/g' > "$here/$section.sh"
  [ -s "$here/$section.sh" ] || problem "the recipe has no %$section"
  sh -n "$here/$section.sh" || problem "%$section of the recipe"
  if command -v shellcheck > /dev/null; then
    shellcheck --shell=sh --severity=warning --exclude=SC1091,SC2050 "$here/$section.sh" || problem "%$section of the recipe"
  fi
done
finish
