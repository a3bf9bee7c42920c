#!/usr/bin/env bash
# The job scripts under a real Slurm of two nodes: a run that reaches its time limit saves, is requeued and ends with
# the bits of an unbroken one, by mpirun and by srun; ranks follow the granted GPUs; what is requeued, and what is not.
. "$TESTS/training/common.sh"
. "$TESTS/cluster/hosts.sh"
. "$TESTS/cluster/slurm.sh"
. "$TESTS/cluster/jobs.sh"
jobs_up 2 2
train 2 whole --max_train_steps 400 --schedule.warmup_steps 0 || finish
train 1 alone --max_train_steps 3 --schedule.warmup_steps 0 || finish

# A slow network makes the first parts last. Submitted from another folder.
host_rate 2 16mbit
submit limit slurm.sbatch schedule.warmup_steps=0 -N 2 -t 1 --signal=B:USR1@40
limit=$job
submit asked slurm_srun.sbatch schedule.warmup_steps=0 -N 2
asked=$job
at_step asked 3
at_step limit 3
rank=$(pgrep -f -- "^$PROGRAM train --config $here/limit.cfg" | head -n 1)
left=$(($(tr '\0' '\n' < "/proc/$rank/environ" | sed -n 's/^SLURM_JOB_END_TIME=//p') - $(date +%s)))
[ "$left" -gt 0 ] && [ "$left" -le 60 ] || problem "the ranks are told that the job ends in $left s"
slurm scancel -b -s USR1 "$asked"

# Meanwhile, jobs of one node. Submitted from the project's folder; an option that does not exist.
(cd "$project" && unset LDMPI_HOME && submit bad slurm.sbatch nosuch=1 -D "$here/elsewhere" && echo "$job" > "$here/bad")
bad=$(cat "$here/bad")
# Ranks follow the GPUs of a node, or its tasks; the program may have words in front of it.
submit gpus slurm.sbatch "max_train_steps=2 device=cpu" -N 2 --gpus-per-node=2
gpus=$job
LDMPI="env WITHIN=container $PROGRAM" submit tasks slurm_srun.sbatch max_train_steps=2 -N 2 -n 4
tasks=$job
submit card slurm.sbatch "" --gres=gpu:1  # who is granted GPUs does not compute on the CPU
card=$job
for name in mpirun srun; do  # one rank: what it is without a launcher
  script=slurm.sbatch
  if [ $name = srun ]; then script=slurm_srun.sbatch; fi
  submit "$name" $script "max_train_steps=3 schedule.warmup_steps=0"
  declare "$name=$job"
done
# A program that dies at once, every time. What it says about its run folder is the real program's answer.
cat > "$here/dies" << END
#!/bin/sh
case "\$*" in *--print_config) exec "$PROGRAM" "\$@" ;; esac
kill -KILL \$\$
END
chmod +x "$here/dies"
LDMPI=$here/dies submit dies slurm.sbatch "" -J dies -o ldmpi-%j.out
dies=$job
is_state "$bad" FAILED 78:0 0
says "$bad" "unknown option --nosuch"
for name in mpirun srun; do
  is_state "${!name}" COMPLETED 0:0 0
  same_result alone "$name" 3
done
is_state "$gpus" COMPLETED 0:0 0
says "$gpus" "4 ranks, 2 on each of h\[1-2\]"
says "$gpus" "^4 ranks, each: CPU"
is_state "$tasks" COMPLETED 0:0 0
says "$tasks" "^4 ranks, each: CPU"
if [ ! -e /dev/nvidia0 ]; then
  is_state "$card" FAILED 69:0 0
  says "$card" "device cuda, but there is no NVIDIA device"
fi
is_state "$dies" FAILED 137:0 3
says "$dies" "started again 3 times without a newer checkpoint than none"

# The two that were stopped were put into the queue again; the network is as it should be now.
for name in limit asked; do
  hosts_wait 90 slurm_restarted "${!name}" 1 || { problem "$name was not requeued"; tail -15 "ldmpi-${!name}.out"; }
done
host_rate 2 none
for name in limit asked; do
  slurm_wait 240 "${!name}" COMPLETED || { problem "$name"; tail -15 "ldmpi-${!name}.out"; }
  says "${!name}" "stopped on request behind step"
  says "${!name}" "start 2: 2 ranks, 1 on each of h\[1-2\]"
  [ "$(wc -l < "ldmpi-${!name}.requeues")" = "$(slurm_job "${!name}" Restarts)" ] || problem "$name: $(cat "ldmpi-${!name}.requeues")"
  same_result whole "$name" 400
done
says "$limit" "Forwarding signal 10 to job"
finish
