#!/usr/bin/python3
"""check_record.py RUN PLAN.json RANKS STEPS: metrics.jsonl agrees with the plan, with TensorBoard's files and with
metrics.prom."""

import json
import os
import struct
import subprocess
import sys

run, plan, ranks, steps = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
here = os.path.dirname(os.path.abspath(__file__))
lines = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
taken = [line for line in lines if "event" not in line and "restart" not in line]
events = {name: [line for line in lines if line.get("event") == name] for name in ("start", "ranks", "checkpoint")}


def near(a, b, tolerance, what):
    assert abs(a - b) <= tolerance * abs(b), (what, a, b)


assert [line["step"] for line in taken] == list(range(1, steps + 1)), "one line per step"
flops = plan["forward_flops"] + plan["backward_flops"]
assert flops > 0
for line in taken:
    near(line["tflops"] * 1e12 * line["step_ms"] * 1e-3, flops, 1e-9, "the arithmetic of a step is that of the plan")
    near(line["peak_share"], line["tflops"] / 0.5, 1e-9, "log.peak_tflops was 0.5")
    near(line["samples_per_second"], plan["total_batch_size"] / (line["step_ms"] * 1e-3), 1e-9, "samples")
    parts = [line[key] for key in ("data_wait_ms", "data_ms", "forward_ms", "backward_ms", "communicate_ms", "optimize_ms")]
    assert min(parts) >= 0 and line["forward_ms"] > 0 and line["backward_ms"] > 0, line
    assert sum(parts) <= line["step_ms"] * 1.01, ("the parts are within the whole", line)
    assert ("eta_s" in line) == (line is not taken[0]), "a pace needs two steps"
assert taken[-1]["eta_s"] == 0
assert taken[6]["checkpoint_ms"] > 0 and taken[5]["checkpoint_ms"] == 0, "the save behind step 6 held up step 7"

start = events["start"][0]
assert start["ranks"] == ranks and start["max_train_steps"] == steps and "max_train_steps" in start["config"], start
assert start["planned_mib"] > 0 and start["peak_tflops"] == 0.5
assert [line["step"] for line in events["checkpoint"]] == [6, steps]
assert [line["step"] for line in events["ranks"]] == [4, 8, 12]
for line in events["ranks"]:
    for key in ("compute_ms", "data_wait_ms", "resident_mib"):
        assert 0 <= line[key + "_min"] <= line[key + "_median"] <= line[key + "_max"], line
        assert 0 <= line[key + "_max_rank"] < ranks and line[key + "_max_host"] in start["hosts"], line
    assert line["compute_ms_min"] > 0 and line["resident_mib_min"] > 1, line
    assert not any(key.startswith("gpu_") for key in line), "there is no GPU"

folder = f"{run}/tensorboard"
files = sorted(os.path.join(folder, name) for name in os.listdir(folder))
decoded = subprocess.run(["/usr/bin/python3", f"{here}/check_event_file.py", *files], check=True, capture_output=True, text=True)
scalars = {tuple(row.split("\t")[:2]): float(row.split("\t")[2]) for row in decoded.stdout.splitlines()}
expected = {}
for line in taken:
    expected.update({(str(line["step"]), "train/" + key): value for key, value in line.items() if key not in ("step", "time")})
for name in ("ranks", "checkpoint"):
    for line in events[name]:
        expected.update({(str(line["step"]), f"{name}/{key}"): value for key, value in line.items()
                         if isinstance(value, float) and key != "time"})
assert set(scalars) == set(expected), set(scalars) ^ set(expected)
for key, value in expected.items():
    assert scalars[key] == struct.unpack("<f", struct.pack("<f", value))[0], (key, value, scalars[key])

decoded = subprocess.run(["/usr/bin/python3", f"{here}/check_prometheus_file.py", f"{run}/metrics.prom"], check=True,
                         capture_output=True, text=True)
state = {row.split("\t")[0]: float(row.split("\t")[1]) for row in decoded.stdout.splitlines()}
name = os.path.basename(run)
assert state[f"ldmpi_step{{run={name}}}"] == steps
assert state[f"ldmpi_ranks{{run={name}}}"] == ranks
assert state[f"ldmpi_checkpoint_step{{run={name}}}"] >= 6
near(state[f"ldmpi_loss{{run={name}}}"], taken[-1]["loss"], 1e-12, "loss")
near(state[f"ldmpi_phase_seconds{{phase=forward,run={name}}}"], taken[-1]["forward_ms"] * 1e-3, 1e-12, "forward")
for rank in range(ranks):
    assert state[f"ldmpi_rank_compute_seconds{{host={start['hosts'][0]},rank={rank},run={name}}}"] > 0
print(f"{len(taken)} steps, {len(scalars)} scalars, {len(state)} samples of Prometheus agree")
