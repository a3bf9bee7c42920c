#!/usr/bin/env bash
# kill_test.sh KILLS: SIGKILL of a random rank of a two-rank job at random moments, also inside of a checkpoint, then
# the same command, until it is done: the bits of the unbroken run. LDMPI_TEST_SEED repeats a sequence of kills.
. "$TESTS/training/common.sh"
synth data
kills=$1
RANDOM=${LDMPI_TEST_SEED:-$$}
echo "LDMPI_TEST_SEED=${LDMPI_TEST_SEED:-$$}"
steps=$((kills * 40 + 200))
train 2 whole --max_train_steps "$steps" || finish

newest() { basename "$(ls -d "$here"/run/checkpoints/step-???????? 2>/dev/null | tail -1)" | sed 's/step-0*//'; }
steps_recorded() { wc -l <"$here/run/metrics.jsonl"; }

words
done_kills=0
for ((k = 0; k < kills * 3 && done_kills < kills; ++k)); do
  before=$(newest)
  "$MPIEXEC" --oversubscribe --bind-to none -np 2 "${words[@]}" --output_dir "$here/run" --max_train_steps "$steps" \
    --checkpoint.every 1 >"$here/run.log" 2>&1 &
  launcher=$!
  # Alive and past its set-up: something new was saved.
  for _ in $(seq 600); do
    [ "$(newest)" != "$before" ] && break
    kill -0 "$launcher" 2>/dev/null || break
    sleep 0.05
  done
  sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
  mapfile -t ranks < <(pgrep -P "$launcher" | sort -n)
  if [ "${#ranks[@]}" -gt 0 ] && kill -KILL "${ranks[RANDOM % ${#ranks[@]}]}" 2>/dev/null; then done_kills=$((done_kills + 1)); fi
  wait "$launcher"
  code=$?
  [ "$code" -eq 0 ] && break
  [ "$code" -eq 137 ] || problem "a killed job ended with code $code: $(tail -5 "$here/run.log")"
done
[ "$done_kills" -eq "$kills" ] || problem "only $done_kills kills hit a running rank"

train 2 run --max_train_steps "$steps" --checkpoint.every 1
awk '/"restart"/ { from = $0; sub(/.*"step":/, "", from); sub(/[^0-9].*/, "", from); fresh = 1; next }
     /"event"/ { next }
     { step = $0; sub(/.*"step":/, "", step); sub(/[^0-9].*/, "", step)
       if (fresh && step != from + 1) { print "after a restart at " from " comes step " step; bad = 1 }; fresh = 0 }
     END { exit bad }' "$here/run/metrics.jsonl" || problem "steps after a restart"
same_losses whole run 0 "$steps"
same_result whole run "$steps"
finish
