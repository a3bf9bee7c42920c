#!/usr/bin/env bash
# A node is cut off, and then a rank of the other one dies: Open MPI's mpirun waits forever. The job script ends it, the
# job is requeued and goes on when the node is back.
. "$TESTS/training/common.sh"
. "$TESTS/cluster/hosts.sh"
. "$TESTS/cluster/slurm.sh"
. "$TESTS/cluster/jobs.sh"
SLURMD_TIMEOUT=300  # so that Slurm does not end it first
jobs_up 2
train 2 whole --max_train_steps 400 --schedule.warmup_steps 0 || finish
host_rate 2 8mbit

submit cut slurm.sbatch "schedule.warmup_steps=0 checkpoint.every=5" -N 2
at_step cut 8
host_link 2 down
for process in $(hosts_processes "$(on_host 1 readlink /proc/self/ns/net)"); do
  if [ "$(cat "/proc/$process/comm" 2> /dev/null)" = ldmpi ]; then kill -KILL "$process"; fi
done
hosts_wait 180 slurm_restarted "$job" 1 || problem "the job was not requeued"
says "$job" "mpirun waits for a node that does not answer"
says "$job" "the job ended with code 137"
host_rate 2 none
host_link 2 up
slurm_wait 240 "$job" COMPLETED || { problem "the job does not go on"; tail -15 "ldmpi-$job.out"; }
says "$job" "resuming behind step"
same_result whole cut 400
finish
