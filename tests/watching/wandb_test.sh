#!/usr/bin/env bash
# wandb_replay.py with the real Python package (from PyPI, into a folder of the test; 77 where that cannot be had): the
# offline run is read back (LevelDB's log format) with wandb's own messages and holds what the record says.
. "$TESTS/training/common.sh"
python=/usr/bin/python3
if ! $python -c 'import wandb' 2>/dev/null; then
  { $python -m venv "$here/venv" && "$here/venv/bin/pip" install -q wandb pillow; } >"$here/pip.log" 2>&1 ||
    { tail -2 "$here/pip.log"; echo "wandb cannot be installed"; rm -rf "$here"; exit 77; }
  python=$here/venv/bin/python
fi
"$DATA_TOOL" pack --recipe fashion-mnist --limit 64 --resolution 16 --unshuffle 2 --context 8x32 --out "$here/data" \
  >"$here/pack.log" 2>&1 || { cat "$here/pack.log"; problem "pack"; finish; }
train 2 run --max_train_steps 6 --checkpoint.every 3 --log.every 2 --samples.every 6 --samples.steps 3
train 2 run --max_train_steps 9 --checkpoint.every 3 --log.every 2 --samples.every 6 --samples.steps 3
printf '{"step":10,"lo' >>"$here/run/metrics.jsonl"  # a line half written

replay="$TESTS/../data_tools/wandb_replay.py"
expect 1 'does not exist: give the output_dir' $python "$replay" "$here/nowhere"
expect 0 '^9 steps\. Upload with: wandb sync .*offline-run' env WANDB_SILENT=true $python "$replay" "$here/run" --project p --dir "$here/out"
$python - "$here/run/metrics.jsonl" "$here"/out/wandb/offline-run-*/run-*.wandb <<'PY' || problem "the offline run"
import json, struct, sys
from wandb.proto import wandb_internal_pb2

def scan(path):
    data, at, whole = open(path, "rb").read(), 7, b""
    assert data[:4] == b":W&B", data[:8]
    while at < len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""

record = [json.loads(line) for line in open(sys.argv[1]).read().splitlines()[:-1]]
rows, config, runs = {}, {}, []
for data in scan(sys.argv[2]):
    message = wandb_internal_pb2.Record()
    message.ParseFromString(data)
    kind = message.WhichOneof("record_type")
    if kind == "run":
        runs.append(message.run)
        config.update({item.key: json.loads(item.value_json) for item in message.run.config.update})
    if kind == "history":
        items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in message.history.item}
        rows.setdefault(int(items.get("_step", message.history.step.num)), {}).update(items)
steps = [line for line in record if "event" not in line and "restart" not in line]
assert [line["step"] for line in steps] == list(range(1, 10))
for line in steps:
    for key, value in line.items():
        if key != "step":
            assert rows[line["step"]][key] == value, (line["step"], key, value, rows[line["step"]].get(key))
ranks = [line for line in record if line.get("event") == "ranks"]
assert ranks and all(rows[line["step"]]["ranks/compute_ms_max"] == line["compute_ms_max"] for line in ranks)
assert any(row.get("samples/_type") == "image-file" for row in rows.values()), "no picture"
assert runs[0].project == "p" and config["max_train_steps"] == "9", (runs[0].project, config)
print(len(rows), "rows agree")
PY
finish
