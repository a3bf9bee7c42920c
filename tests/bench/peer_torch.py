#!/usr/bin/env python3
"""The training step of diffusers' own U-Net class in PyTorch on the CPU, for comparison with `ldmpi bench`.

Optional: needs PyTorch (Debian: python3-torch, with libopenblas0-pthread) and diffusers 0.21.4 with its pure-Python needs
(pip install --target DIR --no-deps diffusers==0.21.4 huggingface_hub==0.17.3 safetensors filelock fsspec requests
urllib3 idna charset_normalizer certifi tqdm pyyaml packaging typing_extensions importlib_metadata zipp regex pillow;
then PYTHONPATH=DIR). Prints one JSON object. tests/bench/compare.sh runs both and prints the ratio.
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
from diffusers import UNet2DConditionModel


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="unet/config.json")
    parser.add_argument("--batch_size", type=int, default=1)
    parser.add_argument("--latent", default="4x64x64")
    parser.add_argument("--context", default="77x768")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no_optimizer", action="store_true", help="forward and backward only")
    arguments = parser.parse_args()
    with open("/proc/self/maps") as f:
        libraries = f.read()
    if "openblas" not in libraries and "mkl" not in libraries:
        sys.exit("peer_torch: PyTorch runs on the reference BLAS, ten times too slow: install libopenblas0-pthread")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with open(arguments.config) as f:
        config = json.load(f)
    config = {key: value for key, value in config.items() if not key.startswith("_")}
    net = UNet2DConditionModel(**config).train()
    latent = [int(n) for n in arguments.latent.split("x")]
    context = [int(n) for n in arguments.context.split("x")]
    sample = torch.randn(arguments.batch_size, *latent)
    text = torch.randn(arguments.batch_size, *context)
    target = torch.randn(arguments.batch_size, *latent)
    steps = torch.randint(0, 1000, (arguments.batch_size,))
    optimizer = None if arguments.no_optimizer else torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.01)
    times = []
    for step in range(arguments.warmup + arguments.steps):
        began = time.perf_counter()
        loss = torch.nn.functional.mse_loss(net(sample, steps, text).sample, target)
        loss.backward()
        if optimizer is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        net.zero_grad(set_to_none=False)
        if step >= arguments.warmup:
            times.append(time.perf_counter() - began)
    print(json.dumps({
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in net.parameters()),
        "step_ms": {"min": 1e3 * min(times), "median": 1e3 * statistics.median(times), "max": 1e3 * max(times)},
        "samples_per_second": arguments.batch_size / statistics.median(times),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))


if __name__ == "__main__":
    main()
