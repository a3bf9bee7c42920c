#!/usr/bin/env bash
# Training on one workstation: a rank per visible GPU under mpirun.
#   job_scripts/mpirun.sh --config my.cfg [--key value ...]
#   NUM_GPUS=2 job_scripts/mpirun.sh ...           that many ranks
#   CUDA_VISIBLE_DEVICES=0,3 job_scripts/mpirun.sh ...   a rank for each of these
# LDMPI: the program, if it is neither in PATH nor in build/release.
set -euo pipefail
if [ $# -eq 0 ]; then sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 78; fi
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

program=${LDMPI:-$(command -v ldmpi || echo "$root/build/release/bin/ldmpi")}
if [ ! -x "$program" ]; then
  echo "mpirun.sh: no program $program. Build it (job_scripts/quickstart.sh does) or set LDMPI" >&2
  exit 66
fi
unset LDMPI

ranks=${NUM_GPUS:-}
if [ -z "$ranks" ] && [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
  ranks=$(tr ',' '\n' <<< "$CUDA_VISIBLE_DEVICES" | grep -c .)
elif [ -z "$ranks" ] && command -v nvidia-smi > /dev/null; then
  ranks=$(nvidia-smi --list-gpus 2> /dev/null | grep -c '^GPU ' || true)
fi
if [ "${ranks:-0}" = 0 ]; then
  ranks=1
  echo "mpirun.sh: no GPU seen; one rank on the CPU. NUM_GPUS=N starts N ranks" >&2
fi
if ! [[ $ranks =~ ^[1-9][0-9]*$ ]]; then
  echo "mpirun.sh: NUM_GPUS=$ranks is not a number of ranks" >&2
  exit 78
fi

if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
exec mpirun -n "$ranks" --bind-to none --oversubscribe "$program" train "$@"
