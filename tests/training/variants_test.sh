#!/usr/bin/env bash
# Frozen parameters, several latent shapes, 16-bit precisions and recomputation.
. "$TESTS/training/common.sh"
synth data
synth shapes 4x8x8,4x8x12
synth large 4x32x32

# "name crc" of the trained tensors of a checkpoint, from its manifest.
tensors() {
  awk -F'[":, ]+' '/^  "/ { inside = /"unet\/diffusion/ } inside && /^    "/ { print $2, $3 }' \
    "$here/$1/checkpoints/step-$2/MANIFEST.json" | sort
}

train 1 frozen --max_train_steps 4 --checkpoint.every 1 --checkpoint.keep 9 --model.freeze down_blocks --model.freeze conv_in
join <(tensors frozen 00000001) <(tensors frozen 00000004) | awk '
  { frozen = $1 ~ /^(down_blocks|conv_in)\./; if (frozen) held++; else free++
    if (frozen != ($2 == $3)) { print $1 (frozen ? " is frozen but changed" : " did not change"); bad = 1 } }
  END { exit bad || !held || !free }' || problem "frozen parameters"

# resumes NAME [options]: an unbroken and a resumed run end with the same bits.
resumes() {
  local name=$1
  shift
  train 2 "$name-whole" --max_train_steps 12 "$@"
  train 2 "$name" --max_train_steps 6 "$@"
  train 2 "$name" --max_train_steps 12 "$@"
  same_result "$name-whole" "$name" 12
}
resumes buckets --data.path "$here/shapes"

for precision in bf16 fp16; do
  resumes "$precision" --precision "$precision"
  train 1 "$precision-long" --precision "$precision" --max_train_steps 60 --optimizer.learning_rate 3e-3
  losses "$precision-long" | awk '$1 <= 10 { first += $2 } $1 > 50 { last += $2 } END { exit !(last < 0.95 * first) }' ||
    problem "the loss does not fall with $precision"
done

train 1 kept --max_train_steps 4 --data.path "$here/large"
train 1 recomputed --max_train_steps 4 --data.path "$here/large" --model.recompute_mib 1
same_losses kept recomputed 0 4
same_result kept recomputed 4
activations() { sed -nE 's/.*activations ([0-9.]+ .iB).*/\1/p' "$here/$1.log"; }
[ "$(activations kept)" != "$(activations recomputed)" ] || problem "recomputation did not change the memory of activations"
finish
