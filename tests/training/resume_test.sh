#!/usr/bin/env bash
# A stopped and resumed run ends with the bits of the unbroken one; at another number of ranks with the same losses.
. "$TESTS/training/common.sh"
synth data

first_new_step() { sed '1,/"restart"/d' "$here/$1/metrics.jsonl" | sed -nE 's/^\{"step":([0-9]+).*/\1/p' | head -1; }

for ranks in 1 2; do
  train "$ranks" "whole$ranks" --max_train_steps 12
  train "$ranks" "broken$ranks" --max_train_steps 6
  cp -r "$here/broken$ranks" "$here/moved$ranks"
  train "$ranks" "broken$ranks" --max_train_steps 12
  same_result "whole$ranks" "broken$ranks" 12
  [ "$(first_new_step "broken$ranks")" = 7 ] || problem "the resumed run does not begin with step 7"
  same_losses "whole$ranks" "broken$ranks" 0 12
done
train 2 moved1 --max_train_steps 12
same_losses whole1 moved1 1e-4 12
train 1 moved2 --max_train_steps 12
same_losses whole2 moved2 1e-4 12

# Asked to stop: 75, and the same command goes on from there.
train 2 unbroken --max_train_steps 400 || finish
words
"$MPIEXEC" --oversubscribe --bind-to none -np 2 "${words[@]}" --output_dir "$here/asked" --max_train_steps 400 \
  >"$here/asked.log" 2>&1 &
launcher=$!
for _ in $(seq 300); do
  grep -qs '"loss"' "$here/asked/metrics.jsonl" && break
  sleep 0.1
done
kill -USR1 "$launcher"
wait "$launcher"
code=$?
[ "$code" -eq 75 ] || problem "USR1 ended with code $code: $(tail -5 "$here/asked.log")"
grep -q 'stopped on request' "$here/asked.log" || problem "the stopped run does not say so"
[ -d "$here/asked/final" ] && problem "the run was finished before it was asked to stop"
train 2 asked --max_train_steps 400
same_result unbroken asked 400
finish
