#!/usr/bin/env bash
# Training on one workstation: a rank per GPU under mpirun. Ctrl-C saves; the same command goes on.
#   job_scripts/mpirun.sh --config my.cfg [--key value ...]     all GPUs of the machine
#   NUM_GPUS=2 job_scripts/mpirun.sh ...                        the first two
#   CUDA_VISIBLE_DEVICES=0,3 job_scripts/mpirun.sh ...          these
#   RANKS_PER_NODE=4 LDMPI_DEVICE=cpu job_scripts/mpirun.sh ... four ranks on the CPU
# Where no GPU is seen it runs on the CPU, one rank unless RANKS_PER_NODE says so. LDMPI: the program, if it is neither
# in PATH nor in build/release. Modules and paths: job_scripts/env.sh.
set -euo pipefail
if [ $# -eq 0 ]; then sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 78; fi
home=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=job_scripts/launch.sh
. "$home/job_scripts/launch.sh"

gpus=${NUM_GPUS:-}
if [ -z "$gpus" ] && [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
  gpus=$(words_in "$CUDA_VISIBLE_DEVICES")
  if [ "$CUDA_VISIBLE_DEVICES" = -1 ]; then gpus=0; fi
elif [ -z "$gpus" ] && command -v nvidia-smi > /dev/null; then
  gpus=$(nvidia-smi --list-gpus 2> /dev/null | grep -c '^GPU ' || true)
fi

if [ "${LDMPI_DEVICE:-}" != cpu ] && [ "${gpus:-0}" != 0 ]; then
  require_number NUM_GPUS "$gpus"
  export LDMPI_DEVICE=${LDMPI_DEVICE:-cuda}  # a machine without them is an error then, and no slow training
  ranks=${RANKS_PER_NODE:-$gpus}
else
  ranks=${RANKS_PER_NODE:-1}
  echo "mpirun.sh: on the CPU, ranks: $ranks (RANKS_PER_NODE)" >&2
fi
require_number RANKS_PER_NODE "$ranks"
# With more than one, the program becomes mpirun itself, and stays beside it so that Ctrl-C saves.
LDMPI_NUM_GPUS=$ranks exec "${program[@]}" train "$@"
