#!/usr/bin/env bash
# Damaged checkpoints: the next older one is used and the result is that of the unbroken run; with none left, 66.
. "$TESTS/training/common.sh"
synth data
words
flip() { # FILE: its last byte
  local size byte
  size=$(stat -c %s "$1")
  byte=$(od -An -tu1 -j $((size - 1)) -N1 "$1")
  printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek=$((size - 1)) conv=notrunc status=none
}
train 1 whole --max_train_steps 8
train 1 base --max_train_steps 4 --checkpoint.every 2
for part in unet/diffusion_pytorch_model.safetensors state/optimizer.safetensors state/state.json MANIFEST.json missing; do
  name=${part//\//-}
  cp -r "$here/base" "$here/$name"
  newest=$here/$name/checkpoints/step-00000004
  if [ "$part" = missing ]; then rm "$newest/state/optimizer.safetensors"; else flip "$newest/$part"; fi
  rm -r "$here/$name/final"
  train 1 "$name" --max_train_steps 8
  [ -d "$newest.corrupt" ] || problem "$part: the damaged checkpoint was not set aside"
  grep -q 'resuming behind step 2' "$here/$name.log" || problem "$part: did not resume from step 2"
  same_result whole "$name" 8
done
cp -r "$here/base" "$here/all"
for step in 2 4; do flip "$here/all/checkpoints/step-0000000$step/unet/diffusion_pytorch_model.safetensors"; done
expect 66 $'step-00000004.corrupt\nstep-00000002.corrupt\noutput_dir|resume' "${words[@]}" --output_dir "$here/all" --max_train_steps 8
finish
