#!/usr/bin/env bash
# The record of a run: metrics.jsonl, TensorBoard's files and metrics.prom, read by code of other people.
. "$TESTS/training/common.sh"
words() {  # as in common.sh, with TensorBoard's files
  words=("$PROGRAM" train --model.config "$TESTS/training/tiny_unet.json" --total_batch_size 8 --seed 7 --device cpu
         --schedule.warmup_steps 0)
}
synth data

SLURM_JOB_END_TIME=1000000000 train 2 run --max_train_steps 12 --log.every 4 \
  --log.peak_tflops 0.5 --checkpoint.every 6
"$PROGRAM" plan --model.config "$TESTS/training/tiny_unet.json" --total_batch_size 8 --num_gpus 2 --latent 4x8x8 \
  --context 8x32 --json >"$here/plan.json" || problem "plan"
/usr/bin/python3 "$TESTS/watching/check_record.py" "$here/run" "$here/plan.json" 2 12 || problem "the record of run"
[ "$(grep -c 'the end of this job' "$here/run.log")" -eq 1 ] || problem "the end of the job's time was not said once"
grep -Eq 'step 8/12  eta [0-9a-z ]+  loss [0-9.]+  [0-9.]+ samples/s  [0-9.e-]+ TFLOP/s \([0-9]+ %\)  lr .*  data [0-9]+ %  comm [0-9]+ %$' \
  "$here/run.log" || problem "the progress line is another one: $(grep 'step 8/12' "$here/run.log")"

# Passes that are summed to the same batch are the same arithmetic.
train 2 summed --max_train_steps 2 --batch_size 2
/usr/bin/python3 - "$here/plan.json" "$here/summed/metrics.jsonl" <<'PY' || problem "the arithmetic of summed passes"
import json, sys
plan, *lines = (json.loads(line) for line in [open(sys.argv[1]).read(), *open(sys.argv[2])])
flops = [line["tflops"] * line["step_ms"] * 1e9 for line in lines if "tflops" in line]
assert len(flops) == 2, flops
assert all(abs(x / (plan["forward_flops"] + plan["backward_flops"]) - 1) < 1e-9 for x in flops), (flops, plan)
PY

# Damage is seen: the decoder itself can fail.
file=$(ls "$here"/run/tensorboard/*)
cp "$file" "$here/damaged"
printf 'X' | dd of="$here/damaged" bs=1 seek=200 conv=notrunc status=none
/usr/bin/python3 "$TESTS/watching/check_event_file.py" "$here/damaged" >/dev/null 2>&1 && problem "damage was not seen"
finish
