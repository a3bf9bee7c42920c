#!/usr/bin/env bash
# Compares `ldmpi bench` with PyTorch (peer_torch.py says what to install) in alternating runs and prints the ratio.
set -euo pipefail

usage='usage: tests/bench/compare.sh [--threads 2] [--rounds 3] [--steps 5] [--no_update] LDMPI CONFIG BATCH LATENT CONTEXT
  --no_update  forward and backward only, in both
  e.g. tests/bench/compare.sh build/release/bin/ldmpi tests/bench/net_b.json 4 4x32x32 77x128'
threads=2 rounds=3 steps=5 ours=() theirs=()
while [ $# -gt 0 ]; do
  case $1 in
    --threads) threads=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --steps) steps=$2; shift 2 ;;
    --no_update) ours+=(--no_update on) theirs+=(--no_optimizer); shift ;;
    -h | --help) echo "$usage"; exit 0 ;;
    -*) echo "compare.sh: unknown option $1" >&2; echo "$usage" >&2; exit 78 ;;
    *) break ;;
  esac
done
if [ $# -ne 5 ]; then echo "$usage" >&2; exit 78; fi
ldmpi=$1
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
python=${PYTHON:-/usr/bin/python3}
same=(--batch_size "$3" --latent "$4" --context "$5" --steps "$steps" --warmup 2)
export OMP_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE
# PyTorch's best case: no page faults from the allocator, one setting for both thread pools.
allocator=(OPENBLAS_NUM_THREADS="$threads" MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=68719476736
           MALLOC_TOP_PAD_=268435456)

results=$(mktemp)
trap 'rm -f "$results"' EXIT
for _ in $(seq "$rounds"); do
  "$ldmpi" bench --model.config "$2" "${same[@]}" --ema.enabled off --device cpu --json --log.level error \
    "${ours[@]}" | tr -d '\n'
  echo
  env "${allocator[@]}" "$python" "$here/peer_torch.py" --config "$2" "${same[@]}" --threads "$threads" "${theirs[@]}"
done > "$results"
"$python" - "$results" << 'END'
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ours, peer = lines[0::2], lines[1::2]
assert ours[0]["parameters"] == peer[0]["parameters"], "not the same network"
for name, runs in (("ldmpi", ours), ("torch", peer)):
    print(f"{name}  step ms: " + "  ".join(f"{r['step_ms']['median']:.1f}" for r in runs))
ratios = sorted(p["step_ms"]["median"] / o["step_ms"]["median"] for o, p in zip(ours, peer))
print(f"speed ratio {statistics.median(ratios):.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f})")
mib = 2**20
planned, staging, before, peak = (max(r[key] for r in ours) / mib for key in
    ("planned_bytes", "staging_bytes", "resident_bytes_before_arenas", "peak_resident_bytes"))
print(f"peak RSS MiB: torch {max(r['peak_rss_mib'] for r in peer):.0f}, ldmpi {peak:.1f} = planned {planned:.1f} "
      f"+ program {before:.1f} + staging {staging:.1f} {peak - planned - before - staging:+.1f}")
END
