#!/usr/bin/env bash
# The same training at 1, 2 and 4 ranks, with sharded optimizer state and with accumulation: same losses, same draws.
. "$TESTS/training/common.sh"
synth data

merged() { cat "$here/$1"/logs/draws-rank-*.tsv | sort -n -k1,1 -k2,2; }

steps="--max_train_steps 20 --log.draws on"
train 1 one $steps
train 1 one-accumulated $steps --batch_size 4
for ranks in 2 4; do
  for shard in off on; do
    train "$ranks" "r$ranks-$shard" $steps --optimizer.shard "$shard"
    train "$ranks" "r$ranks-$shard-accumulated" $steps --optimizer.shard "$shard" --batch_size $((4 / ranks))
  done
done

merged one >"$here/draws"
[ "$(wc -l <"$here/draws")" -eq 160 ] || problem "20 steps of 8 samples are not 160 draws"
[ "$(cut -f4 "$here/draws" | sort -u | wc -l)" -eq 160 ] || problem "a draw was used twice"
for run in "$here"/*/metrics.jsonl; do
  name=$(basename "$(dirname "$run")")
  same_losses one "$name" 1e-5 20
  merged "$name" | cmp - "$here/draws" || problem "the draws of $name are not those of one rank"
  ranks=$(ls "$here/$name"/logs/draws-rank-*.tsv | wc -l)
  for file in "$here/$name"/logs/draws-rank-*.tsv; do
    cut -f1 "$file" | uniq -c | awk -v share=$((8 / ranks)) '$1 != share { exit 1 }' ||
      problem "$file has not $((8 / ranks)) lines a step"
  done
done
finish
