#!/usr/bin/env bash
# Signals to the program and to its own mpirun, a stop while it starts, a killed job and what its record says then, and
# where the time of a rank goes that waits for a slow one.
. "$TESTS/training/common.sh"
synth data
words

# start RUN [options]: the program in the background, with its own mpirun; returns when it trains.
start() {
  local run=$1
  shift
  "${words[@]}" --output_dir "$here/$run" --max_train_steps 100000 --log.every 100000 "$@" >>"$here/$run.log" 2>&1 &
  job=$!
  for _ in $(seq 300); do
    grep -qs '"loss"' "$here/$run/metrics.jsonl" && return
    sleep 0.05
  done
  problem "$run does not train: $(tail -3 "$here/$run.log")"
}
ended() { # RUN CODE
  wait "$job"
  local code=$?
  [ "$code" -eq "$2" ] || problem "$1 ended with code $code instead of $2: $(tail -5 "$here/$1.log")"
}
newest() { basename "$(ls -d "$here/$1"/checkpoints/step-???????? 2>/dev/null | tail -1)" | sed 's/step-0*//'; }
last_step() { losses "$1" | tail -1 | cut -d' ' -f1; }

for signal in TERM INT USR1; do
  for ranks in 1 2; do
    run=$signal-$ranks
    start "$run" --num_gpus "$ranks"
    kill "-$signal" "$job"
    ended "$run" 75
    [ -n "$(newest "$run")" ] && [ "$(newest "$run")" = "$(last_step "$run")" ] ||
      problem "$run: saved step '$(newest "$run")' after step '$(last_step "$run")'"
  done
done
train 1 TERM-2 --num_gpus 2 --max_train_steps "$(($(newest TERM-2) + 2))"

# While it waits for another host's lock nothing is there to be saved.
mkdir -p "$here/early"
printf '{"host":"elsewhere","pid":1,"job_id":"","token":"x"}' >"$here/early/LOCK"
"${words[@]}" --output_dir "$here/early" --max_train_steps 4 >"$here/early.log" 2>&1 &
job=$!
for _ in $(seq 100); do
  grep -q 'sign of life' "$here/early.log" && break
  sleep 0.05
done
kill -TERM "$job"
ended early 75
grep -q 'stopped on request before the first step' "$here/early.log" || problem "early: $(cat "$here/early.log")"

# Killed between two checkpoints: the steps that come again stand once in the record, at another number of ranks too.
start killed --num_gpus 2 --log.draws on --checkpoint.every 7
while [ "$(last_step killed)" -lt 10 ]; do sleep 0.02; done
kill -KILL "$(pgrep -P "$(pgrep -P "$job")" | tail -1)"
ended killed 137
from=$(newest killed)
until=$((from + 8))
before=$(cat "$here"/killed/logs/draws-rank-*.tsv | cut -f1 | sort -n | tail -1)
[ "$before" -gt "$from" ] || problem "the killed run has no steps behind its checkpoint: the test shows nothing"
train 1 killed --num_gpus 1 --log.draws on --max_train_steps "$until"
cat "$here"/killed/logs/draws-rank-*.tsv | sort -n -k1,1 -k2,2 | awk -v steps="$until" '
  $1 != int((NR - 1) / 8) + 1 || $2 != (NR - 1) % 8 || $4 != NR - 1 { print "line " NR ": " $0; bad = 1 }
  END { if (NR != 8 * steps) { print NR " draws in " steps " steps"; bad = 1 }; exit bad }' || problem "the record of draws"

# Skipped updates are counted over the whole run: a learning rate of 1 destroys the net in its first step.
skipped() { sed -nE 's/.*"skipped_steps":([0-9]+).*/\1/p' "$here/diverged/metrics.jsonl" | tail -1; }
hopeless=(--precision fp16 --optimizer.learning_rate 1 --optimizer.max_grad_norm 0)
train 1 diverged "${hopeless[@]}" --max_train_steps 3
[ "$(skipped)" = 2 ] || problem "$(skipped) skipped steps instead of 2: the test shows nothing"
train 1 diverged "${hopeless[@]}" --max_train_steps 4
[ "$(skipped)" = 3 ] || problem "$(skipped) skipped steps behind a restart instead of 3"

# A rank that is held for a second: the other waits in `communicate`.
for shard in off on; do
  run=slow-$shard
  start "$run" --num_gpus 2 --optimizer.shard "$shard"
  slow=$(for pid in $(pgrep -P "$(pgrep -P "$job")"); do
    grep -qz OMPI_COMM_WORLD_RANK=1 "/proc/$pid/environ" && echo "$pid"
  done)
  kill -STOP "$slow"
  sleep 1
  kill -CONT "$slow"
  kill -USR1 "$job"
  ended "$run" 75
  most() { sed -nE 's/.*"'"$1"'_ms":([0-9.e+-]+).*/\1/p' "$here/$run/metrics.jsonl" | sort -g | tail -1 | cut -d. -f1; }
  [ "$(most communicate)" -ge 700 ] || problem "$run: communicate_ms is at most $(most communicate)"
  for phase in forward backward optimize data; do
    [ "$(most "$phase")" -lt 500 ] || problem "$run: ${phase}_ms has $(most "$phase") while the other rank was held"
  done
done
finish
