#!/usr/bin/env bash
# The report as a browser shows it: a run that was resumed with other options, opened by Chromium.
. "$TESTS/training/common.sh"
browser=$(command -v chromium || command -v google-chrome) || { echo "there is no chromium"; exit 77; }
"$DATA_TOOL" pack --recipe fashion-mnist --limit 64 --resolution 16 --unshuffle 2 --context 8x32 --out "$here/data" \
  >"$here/pack.log" 2>&1 || { cat "$here/pack.log"; problem "pack"; finish; }
options="--samples.every 20 --samples.steps 5 --validation.path $here/data --validation.every 10 --validation.samples 8"
# shellcheck disable=SC2086  # several options
train 2 run --max_train_steps 40 --checkpoint.every 20 --log.every 4 $options &&
  train 2 run --max_train_steps 80 --checkpoint.every 25 --log.every 4 --optimizer.learning_rate 5e-5 $options
page=$here/run/report.html
"$PROGRAM" report "$here/run" >/dev/null || problem "report"

# What the page says is what the browser has made of it, not what is in the file.
flags=(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --user-data-dir="$here/profile"
       --enable-logging=stderr --v=0)
timeout 120 "$browser" "${flags[@]}" --dump-dom "file://$page" >"$here/dom" 2>"$here/console" || problem "chromium: $(tail -3 "$here/console")"
timeout 120 "$browser" "${flags[@]}" --hide-scrollbars --window-size=1280,2800 --screenshot="${REPORT_PICTURE:-$here/page.png}" \
  "file://$page" >/dev/null 2>>"$here/console" || problem "chromium made no picture"
grep -E 'CONSOLE' "$here/console" && problem "messages on the console"
for text in 'Training loss' 'Validation loss' 'Where the time goes' 'exposed communication' 'Ranks' 'forward and backward, ms' \
  'step-00000080.png' 'Starts' 'optimizer.learning_rate: 0.0001 → 5e-05' 'checkpoint.every: 20 → 25' 'Configuration'; do
  grep -qF -- "$text" "$here/dom" || problem "'$text' is not on the page"
done
# The picture is a page, not a blank: many colours, the blue of the loss curve and the red of the restart among them.
/usr/bin/python3 - "${REPORT_PICTURE:-$here/page.png}" <<'PY' || problem "the picture"
import collections, struct, sys, zlib
data = open(sys.argv[1], "rb").read()
at, body = 8, b""
while at < len(data):
    (length,) = struct.unpack_from(">I", data, at)
    kind, part = data[at + 4:at + 8], data[at + 8:at + 8 + length]
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack_from(">IIBB", part)
    if kind == b"IDAT":
        body += part
    at += 12 + length
channels = {2: 3, 6: 4}[colour]
raw, stride = zlib.decompress(body), width * channels
rows, before = [], bytearray(stride)
for y in range(height):
    method, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
    for i in range(stride):
        a, b = row[i - channels] if i >= channels else 0, before[i]
        c = before[i - channels] if i >= channels else 0
        if method == 1: row[i] = (row[i] + a) & 255
        elif method == 2: row[i] = (row[i] + b) & 255
        elif method == 3: row[i] = (row[i] + (a + b) // 2) & 255
        elif method == 4:
            p = a + b - c
            row[i] = (row[i] + min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]) & 255
    rows.append(row)
    before = row
seen = collections.Counter()
for row in rows:
    for x in range(0, stride, channels):
        seen[tuple(row[x:x + 3])] += 1
near = lambda target: sum(n for c, n in seen.items() if max(abs(a - b) for a, b in zip(c, target)) < 24)
assert (width, height) == (1280, 2800) and len(seen) > 200, (width, height, len(seen))
assert near((0x25, 0x63, 0xeb)) > 200 and near((0xdc, 0x26, 0x26)) > 50, seen.most_common(10)
PY
finish
