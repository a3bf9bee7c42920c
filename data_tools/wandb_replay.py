#!/usr/bin/env python3
"""Makes an offline run of Weights & Biases from the record of a training run (RUN/metrics.jsonl).

usage: wandb_replay.py RUN [--project NAME] [--dir FOLDER]

Needs the Python package wandb (and pillow for the picture); no account and no network. Upload the result with the line that is printed at the end.
Steps become the history under the keys of docs/watching.md, events under EVENT/KEY, the configuration of the last start
becomes the run's, and the newest grid of samples its picture."""

import argparse
import json
import os
import sys


def read_record(path):
    """The lines of the record that are whole, in their order."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # torn by a crash, or being written just now
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                yield entry


def read_config(text):
    """The options of config.cfg: values as they stand there, sections as prefixes."""
    config, section = {}, ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1] + "."
        elif "=" in line and not line.startswith("#"):
            key, value = (part.strip() for part in line.split("=", 1))
            config.setdefault(section + key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in config.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder")
    parser.add_argument("--project", default="ldmpi", help="name of the project (default: ldmpi)")
    parser.add_argument("--dir", help="where wandb's folder goes (default: RUN)")
    arguments = parser.parse_args()
    record = os.path.join(arguments.run, "metrics.jsonl")
    if not os.path.isfile(record):
        sys.exit(f"{record} does not exist: give the output_dir of a training run")
    try:
        import wandb
    except ImportError:
        sys.exit("the Python package wandb is not installed: pip install wandb")

    starts = [entry for entry in read_record(record) if entry.get("event") == "start"]
    config = read_config(starts[-1].get("config", "")) if starts else {}
    name = os.path.basename(os.path.abspath(arguments.run))
    run = wandb.init(mode="offline", project=arguments.project, name=name, dir=arguments.dir or arguments.run, config=config,
                     settings=wandb.Settings(console="off", x_disable_stats=True, disable_git=True, save_code=False))
    # Steps that a resumed run trained again were removed from the record, so that steps never fall.
    rows = {}
    for entry in read_record(record):
        event = entry.get("event")
        if event == "start" or "restart" in entry:
            continue
        prefix = f"{event}/" if event else ""
        row = rows.setdefault(entry["step"], {})
        row.update({prefix + key: value for key, value in entry.items()
                    if isinstance(value, (int, float)) and key not in ("step", "time")})
        if event is None:
            row["time"] = entry.get("time")  # wandb's own clock shows when the run was replayed
    samples = os.path.join(arguments.run, "samples")
    pictures = sorted(f for f in os.listdir(samples) if f.endswith(".png")) if os.path.isdir(samples) else []
    for step in sorted(rows):
        run.log(rows[step], step=step)
    if pictures:
        try:
            run.log({"samples": wandb.Image(os.path.join(samples, pictures[-1]))}, step=max(rows, default=0))
        except wandb.Error as error:
            print(f"{pictures[-1]} is left out: {error}", file=sys.stderr)
    folder = os.path.dirname(run.dir)
    run.finish()
    print(f"{len(rows)} steps. Upload with: wandb sync {folder}")


main()
