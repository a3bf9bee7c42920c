#!/usr/bin/env python3
"""Judges drawn Fashion-MNIST samples with a linear classifier fitted on the real latents (python3-numpy, python3-h5py).

usage: classify_samples.py DATA SAMPLES [--most 0.70] [--each 0.30]

DATA: folder of shards with captions; SAMPLES: a folder written by `ldmpi sample`. Fails (exit 1) if fewer than `most` of
the samples are assigned to the class that was asked for, one class has fewer than `each`, or a sample is a copy of a
training picture (much closer to one than real pictures of its class are to each other).
"""
import argparse
import json
import pathlib
import struct
import sys

import h5py
import numpy as np


def training_set(folder):
    pictures, captions = [], []
    for shard in sorted(pathlib.Path(folder).glob("*.h5")):
        with h5py.File(shard) as f:
            latents = f["latents"][:].astype(np.float32).reshape(len(f["latents"]), -1)
            pictures.append((latents - f.attrs["shift"]) * f.attrs["scaling_factor"])
            captions += [c.decode() if isinstance(c, bytes) else c for c in f["caption"][:]]
    return np.concatenate(pictures), np.array(captions)


def samples(folder):
    raw = (pathlib.Path(folder) / "latents.safetensors").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    tensor = json.loads(raw[8:8 + size])["latents"]
    begin, end = tensor["data_offsets"]
    latents = np.frombuffer(raw[8 + size + begin:8 + size + end], np.float32).reshape(tensor["shape"][0], -1)
    prompts = [line.split("\t")[1] for line in (pathlib.Path(folder) / "prompts.tsv").read_text().splitlines()]
    return latents, np.array(prompts)


def squared_distances(a, b):
    return (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("samples")
    parser.add_argument("--most", type=float, default=0.70)
    parser.add_argument("--each", type=float, default=0.30)
    arguments = parser.parse_args()
    pictures, captions = training_set(arguments.data)
    classes = sorted(set(captions))
    labels = np.array([classes.index(c) for c in captions])

    # Ridge regression on one-hot targets; every tenth picture is held out to judge the judge.
    held = np.arange(len(pictures)) % 10 == 0
    x = np.hstack([pictures, np.ones((len(pictures), 1), np.float32)]).astype(np.float64)
    targets = np.eye(len(classes))[labels] * 2 - 1
    train = x[~held]
    weights = np.linalg.solve(train.T @ train + 10.0 * np.eye(x.shape[1]), train.T @ targets[~held])
    real = ((x[held] @ weights).argmax(1) == labels[held]).mean()

    drawn, prompts = samples(arguments.samples)
    asked = np.array([classes.index(p) for p in prompts])
    found = (np.hstack([drawn, np.ones((len(drawn), 1))]) @ weights).argmax(1)
    right = found == asked
    print(f"real pictures {real:.3f}   samples {right.mean():.3f} of {len(drawn)}")
    failed = right.mean() < arguments.most
    for index, name in enumerate(classes):
        of_class = asked == index
        if not of_class.any():
            continue
        share = right[of_class].mean()
        same = pictures[labels == index]
        nearest = squared_distances(drawn[of_class], same).min()
        among = squared_distances(same[:2000], same[:2000])
        np.fill_diagonal(among, np.inf)
        closest = np.partition(among.min(1), len(among) // 100)[len(among) // 100]  # the closest 1 %: real duplicates exist
        copied = nearest < 0.25 * closest
        print(f"  {name:32s} {share:.2f}   nearest training picture {nearest ** 0.5:.2f}, closest real pairs {closest ** 0.5:.2f}")
        failed = failed or share < arguments.each or copied
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
