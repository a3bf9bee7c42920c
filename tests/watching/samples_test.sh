#!/usr/bin/env bash
# Pictures during training: they change no bit of the training, are equal at any number of ranks, stand in TensorBoard's
# file, and cost the memory that the plan says.
. "$TESTS/training/common.sh"
words() {  # as in common.sh, with TensorBoard's files
  words=("$PROGRAM" train --model.config "$TESTS/training/tiny_unet.json" --total_batch_size 8 --seed 7 --device cpu
         --schedule.warmup_steps 0)
}
"$DATA_TOOL" pack --recipe fashion-mnist --limit 64 --resolution 16 --unshuffle 2 --context 8x32 --out "$here/data" \
  >"$here/pack.log" 2>&1 || { cat "$here/pack.log"; problem "pack"; finish; }
synth synth

steps="--max_train_steps 8 --checkpoint.every 4"
samples="--samples.every 4 --samples.steps 5 --samples.count 5"
pictures() { (cd "$here/$1/samples" && ls); }

# shellcheck disable=SC2086  # several options each
train 2 without $steps
train 2 with $steps $samples
same_result without with 8
same_losses without with 0 8
[ "$(pictures with | tr '\n' ' ')" = "step-00000004.png step-00000008.png " ] || problem "pictures: $(pictures with)"
cmp -s "$here/with/samples/step-00000004.png" "$here/with/samples/step-00000008.png" && problem "four steps changed no pixel"
/usr/bin/python3 "$TESTS/watching/check_event_file.py" "$here"/with/tensorboard/* >"$here/events" || problem "event file"
grep -Eq $'^8\tsamples\t[0-9]+x[0-9]+x[13]$' "$here/events" || problem "no picture of step 8 in the event file"
[ "$(grep -c '"event":"samples"' "$here/with/metrics.jsonl")" -eq 2 ] || problem "the record does not name two grids"

# The same where passes are summed and the optimizer's state is spread over the ranks.
spread="$steps --optimizer.shard on --batch_size 2"
train 2 without-spread $spread
train 2 with-spread $spread $samples
same_result without-spread with-spread 8

# Equal weights, equal pictures: a learning rate of 0 leaves the weights of a trained net alone.
for ranks in 1 2 4; do
  train $ranks "r$ranks" --model.path "$here/with" --optimizer.learning_rate 0 --max_train_steps 2 --samples.every 2 \
    --samples.steps 5 --samples.prompts boot --samples.prompts "red bag" --samples.prompts coat
  same_file "r1/samples/step-00000002.png" "r$ranks/samples/step-00000002.png"
done
train 2 seed --model.path "$here/with" --optimizer.learning_rate 0 --max_train_steps 2 --samples.every 2 \
  --samples.steps 5 --samples.prompts boot --samples.prompts "red bag" --samples.prompts coat --samples.seed 1
cmp -s "$here/r1/samples/step-00000002.png" "$here/seed/samples/step-00000002.png" && problem "the seed changes nothing"

# An interrupted run draws the same pictures.
train 2 broken --max_train_steps 4 --checkpoint.every 4 $samples
train 2 broken $steps $samples
same_result without broken 8
same_file with/samples/step-00000008.png broken/samples/step-00000008.png

# Data whose latents cannot be decoded here, and whose prompts come from elsewhere: latents are written.
train 2 latents --data.path "$here/synth" $steps $samples
[ "$(pictures latents | tr '\n' ' ')" = "step-00000004.safetensors step-00000008.safetensors " ] || problem "latents"
grep -q 'only latents are written' "$here/latents.log" || problem "it was not said that only latents are written"

# The plan counts what the run has, to the byte.
plan() {
  "$PROGRAM" plan --model.config "$TESTS/training/tiny_unet.json" --latent 4x8x8 --context 8x32 --total_batch_size 8 \
    --num_gpus 2 --target cpu:threads=1 --json "$@" || problem "plan"
}
/usr/bin/python3 - "$here/with/metrics.jsonl" <(plan --samples.every 4) <(plan) <<'PY' || problem "the plan and the run differ"
import json, sys
run = json.loads(open(sys.argv[1]).readline())["planned_mib"] * 2**20
with_samples, without = (plan["host_bytes"]["resident"] - plan["host_bytes"]["program"]
                         for plan in (json.load(open(file)) for file in sys.argv[2:]))
assert run == with_samples > without, (run, with_samples, without)
PY

# What cannot be drawn is said before the first step.
words
expect 78 'steps' "${words[@]}" --output_dir "$here/no" --max_train_steps 2 --samples.every 1 --samples.steps 5000
words
expect 78 'prompts of the data are used' "${words[@]}" --data.path "$here/synth" --output_dir "$here/no" --max_train_steps 2 \
  --samples.every 1 --samples.prompts boot
finish
