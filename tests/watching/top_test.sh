#!/usr/bin/env bash
# ldmpi top: one picture without a terminal, and the live view in a real one (tmux): painting, a changed size of the
# window, a run that restarts, keys, and the terminal as it was before.
. "$TESTS/training/common.sh"
command -v tmux >/dev/null || { echo "tmux is not installed"; exit 77; }
synth data

expect 66 'there is no run folder' "$PROGRAM" top "$here/nowhere" --once
mkdir "$here/empty"
expect 0 'empty +no record yet' "$PROGRAM" top "$here/empty" --once
expect 78 'needs a terminal.*--once' "$PROGRAM" top "$here/empty" </dev/null

train 2 run --max_train_steps 12 --log.every 4 --checkpoint.every 6
expect 0 'run +finished
^step +12 / 12 .*100.0 %
^loss +[0-9.]+ .* lr
^speed .*samples/s.*TFLOP/s
exposed communication$
^ranks +2 on 1 host
forward \+ backward ms +[0-9.]+ +[0-9.]+ +[0-9.]+  rank [01] on
  planned [0-9]+$
^checkpoint step-00000012' env LC_ALL=C.UTF-8 "$PROGRAM" top "$here/run" --once
[ "$("$PROGRAM" top "$here/run" --once --width 50 | wc -L)" -le 50 ] || problem "wider than 50 columns"
LC_ALL=C "$PROGRAM" top "$here/run" --once | LC_ALL=C grep -q '[^ -~]' && problem "not ASCII where the terminal is"

# The live view, in a terminal of its own.
tmux="tmux -L ldmpi-top-$$ -f /dev/null"
trap '$tmux kill-server 2>/dev/null' EXIT
# shows TEXT: waits until the screen holds it (expression).
shows() {
  local end=$((SECONDS + 60))
  until $tmux capture-pane -p 2>/dev/null | grep -Eq -- "$1"; do
    [ "$SECONDS" -lt "$end" ] || { problem "the screen never showed '$1': $($tmux capture-pane -p)"; return 1; }
    sleep 0.1
  done
}
cp -r "$here/run" "$here/live"
rm -rf "$here/live/final"
head -5 "$here/run/metrics.jsonl" >"$here/live/metrics.jsonl"
$tmux new-session -d -x 110 -y 40 "LC_ALL=C.UTF-8 '$PROGRAM' top '$here/live' --interval 0.1; echo code=\$?; stty -a; exec cat"
shows '^step +4 / 12'
sed -n 6,10p "$here/run/metrics.jsonl" >>"$here/live/metrics.jsonl"  # the run goes on
shows '^step +7 / 12'
printf '{"step":9,"lo' >>"$here/live/metrics.jsonl"  # a line half written
shows '^step +7 / 12'
head -3 "$here/run/metrics.jsonl" >"$here/live/new" && mv "$here/live/new" "$here/live/metrics.jsonl"  # a restart
shows '^step +2 / 12'
rm "$here/live/metrics.jsonl"
shows 'live +no record yet'
cp "$here/run/metrics.jsonl" "$here/live/metrics.jsonl"
shows '^step +12 / 12'
$tmux resize-window -x 60 -y 12
shows '^step +12 / 12'
[ "$($tmux capture-pane -p | LC_ALL=C.UTF-8 wc -L)" -le 60 ] || problem "wider than the window"
$tmux resize-window -x 110 -y 40
shows '^q: quit'
$tmux send-keys q
shows '^code=0'
shows '(^| )icanon'
shows '(^| )echo( |;|$)'

# Ctrl-C and SIGTERM end it too.
$tmux respawn-pane -k "LC_ALL=C.UTF-8 '$PROGRAM' top '$here/run'; echo code=\$?; exec cat"
shows 'run +finished'
$tmux send-keys C-c
shows '^code=0'
# The shell in the pane tells the code: tmux may never collect the status of a pane's own process.
$tmux respawn-pane -k "LC_ALL=C.UTF-8 '$PROGRAM' top '$here/run'; echo ended=\$?; exec cat"
shows 'run +finished'
pkill -TERM -P "$($tmux display-message -p '#{pane_pid}')"
shows '^ended=0'
finish
