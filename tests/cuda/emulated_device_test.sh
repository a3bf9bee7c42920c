#!/usr/bin/env bash
# Whole jobs on the emulated CUDA device: the losses are those of the CPU backend, whatever the order of streams, the
# number of ranks, and who carries the gradients; recorded steps resume to the bit.
source "$TESTS/training/common.sh"
synth data

# job RANKS RUN options...: trains 6 steps on the emulated device.
job() {
  local ranks=$1 run=$2
  shift 2
  device=cuda words
  words[0]=$EMULATED
  mpi "$ranks" "${words[@]}" --output_dir "$here/$run" --max_train_steps "${steps:-6}" --checkpoint.every 3 \
    --comm.bucket_mib 1 "$@" > "$here/$run.out" 2>&1 || { tail -5 "$here/$run.out"; problem "$run does not train"; }
}
losses() { sed -n 's/.*"loss": *\([-0-9.e+]*\).*/\1/p' "$here/$1/metrics.jsonl"; }
# close A B TOLERANCE: the losses of both runs agree.
close() {
  paste <(losses "$1") <(losses "$2") | awk -v t="$3" -v name="$1 and $2" '
    { d = $1 - $2; if (d < 0) d = -d; if (NF != 2 || d > t * $2) { print name ", step " NR ": " $1 " and " $2; bad = 1 } }
    END { if (NR != 6) { print name ": " NR " steps"; bad = 1 } exit bad }' || problem "losses of $1 and $2"
}
same() { cmp -s "$here/$1/final/unet/diffusion_pytorch_model.safetensors" \
             "$here/$2/final/unet/diffusion_pytorch_model.safetensors" || problem "weights of $1 and $2 differ"; }

train 1 cpu --max_train_steps 6 --precision fp32 --comm.bucket_mib 1
job 1 gpu --precision fp32
close gpu cpu 1e-4
EMULATED_ORDER=side job 2 nccl_side --precision fp32
job 2 nccl --precision fp32
same nccl nccl_side
close nccl cpu 1e-4
job 2 mpi --precision fp32 --comm.backend mpi
close mpi nccl 1e-4
EMULATED_ORDER=side job 2 sharded --precision fp32 --optimizer.shard on
same sharded nccl
EMULATED_GPUS=1 job 2 shared --precision fp32 --comm.allow_shared_gpu on
same shared mpi
job 1 half --precision bf16
close half cpu 3e-2
job 1 accumulated --precision fp32 --batch_size 2
close accumulated cpu 1e-4

# Interrupted behind step 3 and resumed.
job 1 whole --precision bf16
steps=3 job 1 parts --precision bf16
job 1 parts --precision bf16
same whole parts
finish
