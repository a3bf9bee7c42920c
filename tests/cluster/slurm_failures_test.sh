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

# Asked to save and end for good.
declare -A jobs
start() { # OPTIONS: a job of each script, which go on from each other
  local script
  for script in slurm slurm_srun; do
    submit "$script" "$script.sbatch" "schedule.warmup_steps=0 $1" -N 2
    jobs[$script]=$job
  done
}
# goes_on RUN: its job runs, and some new steps are recorded.
goes_on() {
  slurm_wait 90 "${jobs[$1]}" RUNNING || problem "$1 does not start"
  at_step "$1" $(($(steps "$1") + ${2:-5}))
}
start ""
for script in slurm slurm_srun; do
  goes_on "$script"
  slurm scancel -b -s TERM "${jobs[$script]}"
done
for script in slurm slurm_srun; do
  is_state "${jobs[$script]}" FAILED 75:0 0
  says "${jobs[$script]}" "stopped on request behind step"
  says "${jobs[$script]}" "ended by scancel"
done

# Slurm takes the nodes away, as for a job that is more urgent; cancelled without being asked.
start ""
goes_on slurm_srun
slurm scontrol requeue "${jobs[slurm_srun]}"
goes_on slurm
slurm scancel "${jobs[slurm]}"
slurm_wait 60 "${jobs[slurm]}" CANCELLED || problem "the job of mpirun is not cancelled"
hosts_wait 60 slurm_restarted "${jobs[slurm_srun]}" 1 || problem "the job of srun is not requeued"
goes_on slurm_srun
says "${jobs[slurm_srun]}" "stopped on request behind step"
slurm scancel "${jobs[slurm_srun]}"
slurm_wait 60 "${jobs[slurm_srun]}" CANCELLED || problem "the job of srun is not cancelled"
none_left() { ! pgrep -f -- "--config $here/slurm" > /dev/null; }
hosts_wait 60 none_left || problem "ranks are left: $(pgrep -af -- "--config $here/slurm")"

# h2 goes down: mpirun notices by itself, under srun Slurm does. Both jobs wait for it in the queue.
start checkpoint.every=10
goes_on slurm 15
goes_on slurm_srun 15
slurm_crash 2
hosts_wait 150 slurm_restarted "${jobs[slurm_srun]}" 1 || problem "the job of srun was not requeued"
hosts_wait 150 slurm_restarted "${jobs[slurm]}" 1 || problem "the job of mpirun was not requeued"
host_rate 2 none
slurm_boot 2
for script in slurm slurm_srun; do
  slurm_wait 240 "${jobs[$script]}" COMPLETED || { problem "$script"; tail -25 "ldmpi-${jobs[$script]}.out"; }
  says "${jobs[$script]}" "start 2: 2 ranks"
done
same_result whole slurm 400
same_result whole slurm_srun 400
finish
