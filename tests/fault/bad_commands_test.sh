#!/usr/bin/env bash
# Command lines that cannot work: the exit code of the table, one message that says what and where, and no stack of
# ranks that all say it.
. "$TESTS/training/common.sh"
synth data
words
train 1 run --max_train_steps 2
cd "$here" || exit 1
config=$TESTS/training/tiny_unet.json
echo 'not json' >text
mkdir empty
head -c 100 /dev/urandom >noise.safetensors
weights=run/final/unet/diffusion_pytorch_model.safetensors

# refused CODE expression ldmpi's words...
refused() {
  local code=$1 pattern=$2
  shift 2
  expect "$code" "^error: "$'\n'"$pattern" "$PROGRAM" "$@"
}
net=(--model.config "$config")
job=(train "${net[@]}" --device cpu --output_dir out --total_batch_size 8 --max_train_steps 2)

refused 78 'no command given'
refused 78 'did you mean train' trian
refused 78 "unknown command 'doctor'" doctor
refused 78 '2 problems' train
sed 's/"layers_per_block": 1/"layers_per_block": 2/' "$config" >other.json
refused 78 'another network' plan --model.path run --model.config other.json
refused 78 'same folder' "${job[@]}" --data.path out
refused 73 'Not a directory' train "${net[@]}" --output_dir text/run
refused 73 'cannot write the run folder' train "${net[@]}" --output_dir /proc/run
refused 66 'nofile.*working directory' train --model.config nofile --output_dir out
refused 65 'not valid JSON' train --model.config text --output_dir out
refused 65 'not a file but a folder' train --model.config empty --output_dir out
refused 66 'nodata.*working directory' "${job[@]}" --data.path nodata
refused 65 'no shards' "${job[@]}" --data.path empty
refused 65 'not a sound HDF5 file' "${job[@]}" --data.path text
refused 66 'nodata' "${job[@]}" --validation.path nodata
CUDA_VISIBLE_DEVICES='' refused 69 "CUDA_VISIBLE_DEVICES is ''" train "${net[@]}" --output_dir out --device cuda
refused 78 'fp8' "${job[@]}" --precision fp8
refused 78 'tf32 exists on CUDA only' "${job[@]}" --precision tf32
refused 78 'out of range' "${job[@]}" --num_gpus 0
refused 78 'ranks that fit: 1, 2, 4, 8' "${job[@]}" --num_gpus 3
refused 78 'neither on nor off' "${job[@]}" --optimizer.shard node
refused 78 'finite number' "${job[@]}" --optimizer.learning_rate inf
refused 78 "begins with 'nothing'" "${job[@]}" --model.freeze nothing
refused 78 'must begin|unexpected word' "${job[@]}" stray
refused 66 'holds no sound checkpoint.*Give the --output_dir' "${job[@]}" --resume must
for change in diffusion.prediction_type=v_prediction diffusion.snr_gamma=5 diffusion.noise_offset=0.1 \
  diffusion.zero_terminal_snr=on diffusion.beta_end=0.02 data.caption_dropout=0.5 ema.decay=0.9 precision=bf16; do
  case $change in diffusion.zero*) more=(diffusion.prediction_type=v_prediction) ;; *) more=() ;; esac
  refused 78 "not the run that the checkpoint.*"$'\n'"^  ${change%=*}: " "${words[@]:1}" --output_dir run "$change" "${more[@]}"
done
refused 66 'nothing.*does not exist' train --model.path nothing --output_dir out
refused 66 'no U-Net weights' train --model.path empty --output_dir out
refused 65 'not a safetensors file' train --model.path noise.safetensors --output_dir out

refused 78 '3 problems' probe
for printed in --version 'train --help' "plan --model.config $config --batch_size 1"; do
  # shellcheck disable=SC2086
  "$PROGRAM" $printed >&- 2>closed.log
  [ $? -eq 74 ] && grep -q 'standard output' closed.log || problem "ldmpi $printed >&-: $(cat closed.log)"
done
expect 78 'use more --shards' "$DATA_TOOL" synth --out huge --samples 99999999999 --shards 1
expect 73 'GiB are needed' "$DATA_TOOL" synth --out huge --samples 10000000000 --shards 10000
refused 66 'nofile' probe --model.path run --input nofile --output x
refused 65 'not a safetensors file' probe --model.path run --input noise.safetensors --output x
refused 65 'lacks sample, timesteps' probe --model.path run --input "$weights" --output x
refused 78 'same file' probe --model.path run --input x --output x

encoder=words:v1:8x32:seed=1
refused 78 'prompt is not given' sample --model.path run --out s
refused 78 'is not known' sample --model.path run --prompt a --out s
refused 78 'vectors 64 wide.*32' sample --model.path run --prompt a --out s --text_encoder words:v1:8x64:seed=1
refused 78 'latent must be 4xHxW' sample --model.path run --prompt a --out s --latent 3x8x8
refused 78 'at most 2\^40' sample --model.path run --prompt a --out s --latent 4x999999x999999
refused 73 'cannot create the folder text' sample --model.path run --prompt a --out text --text_encoder "$encoder"

refused 78 'model.path is not given' plan
refused 78 "target 'tpu'" plan "${net[@]}" --target tpu
refused 78 'not a number from 1' plan "${net[@]}" --target cpu:threads=0
refused 78 'Known are .*cuda:h100' plan "${net[@]}" --target cuda:foo
refused 78 'takes 4 channels' plan "${net[@]}" --latent 5x8x8
refused 78 'text of width 32' plan "${net[@]}" --context 8x31
refused 78 'train --print kernels' plan "${net[@]}" --print kernels
refused 78 'exclude each other' plan "${net[@]}" --print graph --json

refused 78 'OUT is not given' convert run
refused 66 'does not exist' convert nothing out
refused 65 'not a safetensors file' convert noise.safetensors out
refused 73 'cannot create the folder' convert run text/x
refused 78 'int8' convert run x --dtype int8
refused 66 'no run folder' report nothing
refused 66 'not a run folder' report empty
refused 73 'cannot create' report run --out /proc/x
refused 78 'accumulation must be 1' bench "${net[@]}" --accumulation 2
refused 78 'unknown option --comm' bench "${net[@]}" --comm
if [ "$(id -u)" -eq 0 ]; then
  mkdir locked
  chmod 700 locked "$here"
  expect 77 'cannot' setpriv --reuid 65534 --clear-groups "$PROGRAM" plan --model.config "$here/text"
fi

# Under mpirun once, without a rank in front, whoever finds it and when.
once() { # CODE expression command...
  local code=$1 pattern=$2
  shift 2
  expect "$code" "^error: .*$pattern" "$@"
  "$@" 2>&1 | grep -c "$pattern" | grep -qx 1 || problem "not said once: ${*:2}"
}
once 78 'the batch does not come out even' mpi 3 "$PROGRAM" "${job[@]}"
once 78 'num_gpus = 4 but mpirun has started 2' mpi 2 "$PROGRAM" "${job[@]}" --num_gpus 4
once 66 'cannot open the dataset nodata' mpi 2 "$PROGRAM" "${job[@]}" --data.path nodata
once 66 'cannot open the dataset nodata' "$PROGRAM" "${job[@]}" --data.path nodata --num_gpus 2
expect 78 'unknown option --sede' mpi 2 "$PROGRAM" "${job[@]}" --sede 1
[ "$(mpi 3 "$PROGRAM" train --sede 1 2>&1 | grep -c 'unknown option')" -eq 1 ] || problem "an unknown option is not said once"
[ "$(mpi 2 "$PROGRAM" --version | grep -c oneDNN)" -eq 1 ] || problem "--version is not printed once"
[ "$(mpi 2 "$PROGRAM" "${job[@]}" --print_config | grep -c ^max_train_steps)" -eq 1 ] || problem "--print_config is not printed once"

# Each rank alone would fit into this machine; together they do not.
"$DATA_TOOL" synth --out large --latent 4x64x64 --context 8x32 --samples 8 --shards 1 --seed 1 >/dev/null
free=$(awk '/MemAvailable/ { print $2 * 1024 }' /proc/meminfo)
of_one=$("$PROGRAM" plan "${net[@]}" --latent 4x64x64 --context 8x32 --batch_size 64 --json | awk '/"total"/ { print $2 + 0 }')
batch=$(awk -v free="$free" -v one="$of_one" 'BEGIN { size = 16; while (size * one / 64 < 0.55 * free) size *= 1.2; print int(size / 8) * 8 }')
expect 69 "not enough memory on .*2 ranks there need .* are free"$'\n'"--batch_size [0-9]+ --accumulation [0-9]+, which keeps total_batch_size $((2 * batch))" \
  "$PROGRAM" train "${net[@]}" --device cpu --data.path large --output_dir large-run --num_gpus 2 --batch_size "$batch"
[ -e large-run/metrics.jsonl ] && problem "a run that does not fit has begun"
cd / || exit 1
finish
