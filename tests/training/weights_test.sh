#!/usr/bin/env bash
# Weights between forms: whatever `convert` writes holds the same numbers, and `sample` and `train` take each of them.
. "$TESTS/training/common.sh"
synth data
encoder=words:v1:8x32:seed=1
config=$TESTS/training/tiny_unet.json
file=diffusion_pytorch_model.safetensors
train 1 run --max_train_steps 4 --checkpoint.every 4

convert() { "$PROGRAM" convert "$@" >>"$here/convert.log" 2>&1 || { tail -3 "$here/convert.log"; problem "convert $*"; }; }
cd "$here" || exit 1
step=run/checkpoints/step-00000004
convert run folder
same_file "folder/$file" "$step/unet/$file"
convert "$step" from_checkpoint
same_file "folder/$file" "from_checkpoint/$file"
convert run average --ema
same_file "average/$file" "$step/unet_ema/$file"
same_file "average/$file" "run/final/unet/$file"
cmp -s "average/$file" "folder/$file" && problem "the average equals the trained weights"
convert folder one.safetensors
same_file "folder/$file" one.safetensors

convert folder original.safetensors --format ldm
grep -q model.diffusion_model.input_blocks.0.0.weight original.safetensors || problem "no LDM names"
expect 66 'give --model.config' "$PROGRAM" convert original.safetensors back
convert original.safetensors back --model.config "$config"
same_file "folder/$file" "back/$file"

for dtype in bf16 fp16; do
  convert folder "$dtype" --dtype "$dtype"
  convert "$dtype" "wide-$dtype" --dtype fp32
  convert "wide-$dtype" "again-$dtype" --dtype "$dtype"
  same_file "$dtype/$file" "again-$dtype/$file"
  cmp -s "folder/$file" "wide-$dtype/$file" && problem "$dtype kept every bit of fp32"
  [ $(($(stat -c %s "$dtype/$file") * 5)) -lt $(($(stat -c %s "folder/$file") * 4)) ] || problem "$dtype is not smaller"
done

# draw NAME options...: the latents of two prompts.
draw() {
  local name=$1
  shift
  "$PROGRAM" sample --out "$name" --prompt 'a word' --prompt 'two words' --steps 3 --latent 4x8x8 \
    --text_encoder "$encoder" "$@" >>sample.log 2>&1 || { tail -3 sample.log; problem "sample $*"; }
}
same_pictures() { diff -r "$1" "$2" || problem "the samples of $1 and $2 differ"; }
draw trained --model.path run --use live
draw from_folder --model.path folder
draw from_step --model.path "$step" --use live
draw from_one --model.path one.safetensors --model.config "$config"
draw from_original --model.path original.safetensors --model.config "$config"
for other in from_folder from_step from_one from_original; do same_pictures trained "$other"; done
draw smoothed --model.path run
draw from_final --model.path run/final
same_pictures smoothed from_final
cmp -s <(cat trained/*) <(cat smoothed/*) && problem "--use makes no difference"
draw other_seed --model.path folder --seed 6
cmp -s <(cat trained/*) <(cat other_seed/*) && problem "--seed makes no difference"

# Training goes on from each form with the same first losses.
begin() {
  local name=$1
  shift
  "$PROGRAM" train "$@" --total_batch_size 8 --seed 9 --device cpu --max_train_steps 2 --output_dir "$here/$name" \
    --log.tensorboard off >"$name.log" 2>&1 || { tail -3 "$name.log"; problem "train $*"; }
}
begin on_folder --model.path folder
begin on_step --model.path "$step"
begin on_original --model.path original.safetensors --model.config "$config"
same_losses on_folder on_step 0 2
same_losses on_folder on_original 0 2
begin on_run --model.path run
begin on_final --model.path run/final
same_losses on_run on_final 0 2
[ "$(losses on_final)" != "$(losses on_folder)" ] || problem "final/ does not hold the average"
[ -f on_final/final/model_index.json ] || problem "a run from a pipeline folder ends without one"
finish
