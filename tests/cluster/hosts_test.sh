#!/usr/bin/env bash
# Three hosts with sshd, one rank on each, started by mpirun: the same bits as three ranks on one host.
. "$TESTS/training/common.sh"
. "$TESTS/cluster/hosts.sh"
hosts_check
trap hosts_down EXIT
synth data
hosts_up 3 || { problem "the hosts do not come up"; finish; }

words() {
  words=("$PROGRAM" train --model.config "$TESTS/training/tiny_unet.json" --total_batch_size 12 --seed 7 --device cpu
         --data.path "$here/data" --log.tensorboard off)
}
words
train 3 one --max_train_steps 12 || finish
on_host 1 mpirun --host h1,h2,h3 --bind-to none -np 3 -x OMP_NUM_THREADS -x OMP_WAIT_POLICY \
  "${words[@]}" --output_dir "$here/three" --max_train_steps 12 > "$here/three.log" 2>&1 ||
  { problem "three hosts ended with $?: $(tail -5 "$here/three.log")"; finish; }
same_result one three 12
same_losses one three 0 12
for host in 1 2 3; do
  received=$(on_host "$host" sed -nE 's/^ *eth0: *([0-9]+).*/\1/p' /proc/net/dev)
  [ "$received" -gt 1000000 ] || problem "h$host has received $received bytes: no rank was there"
done
finish
