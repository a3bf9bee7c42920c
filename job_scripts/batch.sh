# shellcheck shell=bash
# What slurm.sbatch and slurm_srun.sbatch have in common; sourced by them with their arguments and $home.
# shellcheck source=job_scripts/launch.sh
. "$home/job_scripts/launch.sh"

if [ $# -eq 0 ]; then echo "which configuration? sbatch [options] job_scripts/NAME.sbatch my.cfg [key=value ...]"; exit 78; fi
command=("${program[@]}" train --config "$1")
for word in "${@:2}"; do
  case $word in -*) command+=("$word") ;; *) command+=("--$word") ;; esac
done

# Ranks follow the GPUs that Slurm has granted on a node, however they were asked for; without GPUs, the tasks.
gpus=${SLURM_GPUS_ON_NODE:-$(words_in "${CUDA_VISIBLE_DEVICES:-}")}
if [ "$gpus" = 0 ]; then
  tasks=${SLURM_NTASKS_PER_NODE:-$((${SLURM_NTASKS:-$SLURM_JOB_NUM_NODES} / SLURM_JOB_NUM_NODES))}
  echo "no GPUs are granted to this job (--gpus-per-node=N or --gres=gpu:N asks for them): on the CPU"
else
  tasks=$gpus
  export LDMPI_DEVICE=${LDMPI_DEVICE:-cuda}
fi
ranks_per_node=${RANKS_PER_NODE:-$tasks}
require_number RANKS_PER_NODE "$ranks_per_node"
ranks=$((SLURM_JOB_NUM_NODES * ranks_per_node))
echo "$(date -Is) job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1)): $ranks ranks," \
  "$ranks_per_node on each of $SLURM_JOB_NODELIST"

# Slurm before version 23 does not tell when the job ends.
export SLURM_JOB_END_TIME=${SLURM_JOB_END_TIME:-$(date -d "$(squeue -h -j "$SLURM_JOB_ID" -o %e)" +%s 2> /dev/null || true)}
run_folder=$(LDMPI_NUM_GPUS=$ranks "${command[@]}" --print_config | sed -nE 's/^output_dir = "?([^"#]*[^"# ]).*/\1/p')

# mpirun waits forever where a link is dead and its own ranks have ended: a minute after those it is ended.
end_of_ranks() { # PROCESS
  local seen=no gone=0
  while sleep 2; do
    if ps -o comm= --ppid "$1" | grep -qvx srun; then seen=yes gone=0; else gone=$((gone + 1)); fi
    if [ $seen = yes ] && [ $gone -ge 30 ]; then
      echo "the ranks of this node have ended a minute ago, and mpirun waits for a node that does not answer: ended"
      kill -KILL "$1"
    fi
  done
}

# launch LAUNCHER...: the job, to its end; $code is its exit code. USR1, which comes before the time limit, and TERM ask
# it to save and end. (A wait that a signal interrupts says nothing about the job.)
launch() {
  local interrupted=yes job='' watch
  cancelled=no
  trap 'interrupted=yes; kill -USR1 $job || true' USR1
  trap 'interrupted=yes cancelled=yes; kill -USR1 $job || true' TERM
  "$@" "${command[@]}" &
  job=$!
  end_of_ranks "$job" &
  watch=$!
  while [ $interrupted = yes ]; do
    interrupted=no code=0
    wait "$job" || code=$?
  done
  trap '' USR1
  kill "$watch" 2> /dev/null || true
}

# Starts the job again where that helps: saved and stopped (75), ranks that died by a signal, a host that was lost (205).
end_job() {
  local newest=none checkpoint history=$SLURM_JOB_NAME-$SLURM_JOB_ID.requeues
  echo "$(date -Is) the job ended with code $code"
  case $code in 75 | 134 | 137 | 138 | 139 | 205) ;; *) exit "$code" ;; esac
  if [ "$cancelled" = yes ]; then echo "ended by scancel or for another job: Slurm decides what follows"; exit "$code"; fi
  for checkpoint in "$run_folder"/checkpoints/step-????????; do
    if [ -d "$checkpoint" ]; then newest=${checkpoint##*/}; fi
  done
  echo "$(date -Is) code $code, newest checkpoint $newest" >> "$history"
  if [ "$(grep -c "newest checkpoint $newest\$" "$history")" -gt 3 ]; then
    echo "started again 3 times without a newer checkpoint than $newest: not once more. Find the first error above"
  else
    scontrol requeue "$SLURM_JOB_ID" || echo "Slurm does not requeue this job: submit the same line again to go on"
  fi
  exit "$code"
}
