#!/usr/bin/env bash
# Jobs that Slurm or the machines end: scancel, and a node that loses its power. Nothing stays behind, and the run goes
# on to the bits of an unbroken one.
. "$TESTS/training/common.sh"
. "$TESTS/cluster/hosts.sh"
. "$TESTS/cluster/slurm.sh"
. "$TESTS/cluster/jobs.sh"
SLURMD_TIMEOUT=15
jobs_up 2
train 2 whole --max_train_steps 400 --schedule.warmup_steps 0 || finish
host_rate 2 16mbit

# Cancelled with and without asking for a checkpoint.
for script in slurm slurm_srun; do
  submit "$script" "$script.sbatch" schedule.warmup_steps=0 -N 2
  at_step "$script" 3
  slurm scancel -b -s TERM "$job"
  is_state "$job" FAILED 75:0 0
  says "$job" "stopped on request behind step"
  says "$job" "ended by scancel"
  submit "$script" "$script.sbatch" schedule.warmup_steps=0 -N 2
  at_step "$script" 12
  slurm scancel "$job"
  slurm_wait 60 "$job" CANCELLED || problem "$script is not cancelled"
done
none_left() { ! pgrep -f -- "--config $here/slurm" > /dev/null; }
hosts_wait 60 none_left || problem "ranks are left: $(pgrep -af -- "--config $here/slurm")"

# h2 goes down: mpirun notices by itself, under srun Slurm does. Both jobs wait for it in the queue.
submit slurm slurm.sbatch "schedule.warmup_steps=0 checkpoint.every=10" -N 2
mpirun_job=$job
submit slurm_srun slurm_srun.sbatch "schedule.warmup_steps=0 checkpoint.every=10" -N 2
srun_job=$job
at_step slurm 40
at_step slurm_srun 40
slurm_crash 2
hosts_wait 150 slurm_restarted "$srun_job" 1 || problem "the job of srun was not requeued"
hosts_wait 150 slurm_restarted "$mpirun_job" 1 || problem "the job of mpirun was not requeued"
host_rate 2 none
slurm_boot 2
for name in mpirun_job srun_job; do
  slurm_wait 240 "${!name}" COMPLETED || { problem "$name"; tail -25 "ldmpi-${!name}.out"; }
  says "${!name}" "resuming behind step"
done
same_result whole slurm 400
same_result whole slurm_srun 400
finish
