#!/usr/bin/env bash
# Compares `ldmpi bench` with PyTorch (peer_torch.py says what to install) in alternating runs and prints the ratio.
# usage: tests/bench/compare.sh [LDMPI] CONFIG BATCH LATENT CONTEXT [THREADS] [ROUNDS]
#   e.g. tests/bench/compare.sh build/release/bin/ldmpi tests/bench/net_b.json 4 4x32x32 77x128
set -euo pipefail
ldmpi=$1 config=$2 batch=$3 latent=$4 context=$5 threads=${6:-2} rounds=${7:-3}
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# PyTorch's best case: no page faults from the allocator, no spinning threads, one setting for both thread pools.
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=68719476736 MALLOC_TOP_PAD_=268435456
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for _ in $(seq "$rounds"); do
  ours=$("$ldmpi" bench --model.config "$config" --batch_size "$batch" --latent "$latent" --context "$context" \
    --ema.enabled off --device cpu --json --log.level error)
  peer=$("${PYTHON:-/usr/bin/python3}" "$here/peer_torch.py" --config "$config" --batch_size "$batch" --latent "$latent" \
    --context "$context" --threads "$threads")
  printf '%s\n%s\n' "$(tr -d '\n' <<< "$ours")" "$peer" >> "$results"
done
"${PYTHON:-/usr/bin/python3}" - "$results" << 'END'
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ours, peer = lines[0::2], lines[1::2]
assert ours[0]["parameters"] == peer[0]["parameters"], "not the same network"
for name, runs in (("ldmpi", ours), ("torch", peer)):
    print(f"{name:6s} step ms: " + "  ".join(f"{r['step_ms']['median']:.1f}" for r in runs))
ratios = sorted(p["step_ms"]["median"] / o["step_ms"]["median"] for o, p in zip(ours, peer))
print(f"ratio  {statistics.median(ratios):.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}); torch peak RSS {max(p['peak_rss_mib'] for p in peer):.0f} MiB, "
      f"ldmpi planned {ours[0]['planned_bytes'] / 2**20:.0f} MiB")
END
