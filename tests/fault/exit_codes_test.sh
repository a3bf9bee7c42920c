#!/usr/bin/env bash
# What users do wrong, and what the world does to their files: exit code, cause and remedy.
. "$TESTS/training/common.sh"
synth data
words
short=("${words[@]}" --max_train_steps 2)
config=$TESTS/training/tiny_unet.json

# Options.
expect 78 $'train_steps\ndid you mean.*max_train_steps' "${short[@]}" --output_dir "$here/bad" --max_trainsteps 3
printf 'seeed = 1\nbatch_size = many\n[optimizer]\nbeta1 = 7\nno equals sign\n' >"$here/bad.cfg"
expect 78 $'bad.cfg:1.*seeed\nbad.cfg:2.*batch_size\nbad.cfg:4.*beta1\nbad.cfg:5\n4 problems' \
  "${short[@]}" --output_dir "$here/bad" --config "$here/bad.cfg"
expect 78 $'total_batch_size = num_gpus x batch_size x accumulation' "${short[@]}" --output_dir "$here/bad" --batch_size 3
expect 78 $'total_batch_size' mpi 3 "${short[@]}" --output_dir "$here/bad"
[ -e "$here/bad/metrics.jsonl" ] && problem "a refused job wrote metrics"

# Data.
expect 66 $'nothing\nNo such file' "${short[@]}" --output_dir "$here/bad" --data.path "$here/nothing"
synth three 3x8x8
expect 65 $'latents of 3 channels\nmodel takes 4' "${short[@]}" --output_dir "$here/bad" --data.path "$here/three"
expect 65 $'latents of 3 channels' mpi 2 "${short[@]}" --output_dir "$here/bad" --data.path "$here/three"
cp -r "$here/data" "$here/short"
truncate -s 9000 "$here/short/shard-00002.h5"
expect 65 'shard-00002.h5' "${short[@]}" --output_dir "$here/bad" --data.path "$here/short"
# One bit in the middle of the stored latents: 16 samples of 512 bytes, found as the bytes that differ from a shard with
# the same prompts and other noise.
cp -r "$here/data" "$here/flipped"
place=$(cmp -l "$here/data/shard-00000.h5" "$here/data/shard-00001.h5" | awk '{ at[NR] = $1 } END { print at[int(NR / 2)] - 1 }')
byte=$(od -An -tu1 -j "$place" -N1 "$here/flipped/shard-00000.h5")
printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$here/flipped/shard-00000.h5" bs=1 seek="$place" conv=notrunc status=none
expect 65 $'shard-00000.h5.*row [0-9]+\nchecksum|CRC' "${words[@]}" --max_train_steps 8 --output_dir "$here/flip" --data.path "$here/flipped"

# Models.
sed 's/"in_channels"/"unheard_of_field": 3, "in_channels"/' "$config" >"$here/odd.json"
odd=("$PROGRAM" train --total_batch_size 8 --device cpu --max_train_steps 2 --output_dir "$here/bad")
expect 65 $'unheard_of_field\nodd.json' "${odd[@]}" --model.config "$here/odd.json"

# A run folder in use, finished, or of another run.
train 1 run --max_train_steps 2
expect 0 $'is finished\nmax_train_steps' "${short[@]}" --output_dir "$here/run"
expect 73 $'resume never\noutput_dir' "${short[@]}" --output_dir "$here/run" --resume never
seeded=("$PROGRAM" train --model.config "$config" --total_batch_size 8 --device cpu --schedule.warmup_steps 0
        --max_train_steps 4 --output_dir "$here/run" --seed 8)
expect 78 $'seed: 7 -> 8\nresume.allow' "${seeded[@]}"
expect 0 'done' "${seeded[@]}" --resume.allow seed
cp -r "$here/run/final" "$here/unfit"
sed -i 's/"cross_attention_dim": *32/"cross_attention_dim": 48/' "$here/unfit/unet/config.json"
grep -q '"cross_attention_dim": *48' "$here/unfit/unet/config.json" || problem "the test did not change config.json"
"$DATA_TOOL" synth --out "$here/wide" --latent 4x8x8 --context 8x48 --samples 64 --shards 4 --seed 1 >/dev/null
expect 65 $'attn2.to_k\nconfig.json|shape' "${odd[@]}" --model.path "$here/unfit" --data.path "$here/wide"

"${words[@]}" --output_dir "$here/live" --max_train_steps 1000000 >"$here/live.log" 2>&1 &
owner=$!
for _ in $(seq 300); do
  [ -s "$here/live/metrics.jsonl" ] && break
  sleep 0.1
done
expect 73 "(pid|process) $owner" "${short[@]}" --output_dir "$here/live"
kill -TERM "$owner"
wait "$owner"
code=$?
[ "$code" -eq 75 ] || problem "SIGTERM ended with code $code: $(tail -3 "$here/live.log")"
ls -d "$here"/live/checkpoints/step-* >/dev/null || problem "the stopped job saved no checkpoint"
finish
