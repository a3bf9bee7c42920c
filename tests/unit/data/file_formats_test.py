#!/usr/bin/env python3
"""Runs the Python blocks of docs/file_formats.md and lets ldmpi-data judge the result.

usage: file_formats_test.py docs/file_formats.md path/to/ldmpi-data path/to/open_dataset
"""
import pathlib
import re
import subprocess
import sys
import tempfile


def block(text, name):
    found = re.search(r"<!-- test: " + name + r" -->\n```python\n(.*?)```", text, re.S)
    assert found, f"no block {name}"
    return found.group(1)


def main():
    page, tool, opener = (str(pathlib.Path(argument).resolve()) for argument in sys.argv[1:4])
    text = pathlib.Path(page).read_text(encoding="utf-8")
    writer, reader = block(text, "writer"), block(text, "reader")
    assert len([line for line in reader.splitlines() if line]) == 3, "the page promises a three-line reader"

    with tempfile.TemporaryDirectory() as folder:
        run = lambda *command: subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
        run("/usr/bin/python3", "-c", writer)
        run("/usr/bin/python3", "-c", reader + "\nassert latent.shape == (4, 16, 16) and prompt.shape == (8, 32)")
        assert "100 samples" in run(tool, "verify", folder)
        without = run(opener, folder)
        assert without.startswith("100 samples [4,16,16]"), without
        run(tool, "verify", folder, "--write_manifest")
        assert run(opener, folder) == without, "the manifest changes the fingerprint"
        # And the other direction: shards of ldmpi-data read in Python, strings included.
        run(tool, "synth", "--out", "synth", "--samples", "8", "--shards", "1")
        check = "import h5py; s = h5py.File('synth/shard-00000.h5'); assert s.attrs['format'] == 'ldmpi-shard'; " \
                "assert s['caption'].asstr()[0].split()[0] in ('fine', 'narrow', 'wide', 'broad'); " \
                "assert s['latents'].dtype == 'f2' and s['latents'].chunks is None and len(s['prompt_embeds']) == 17"
        run("/usr/bin/python3", "-c", check)
        # A writer that forgets the checksums of the format is told so.
        bad = writer.replace('libver=("v110", "v110")', 'libver="earliest"').replace("shard-00000", "old")
        run("/usr/bin/python3", "-c", bad)
        refused = subprocess.run([tool, "verify", "old.h5"], cwd=folder, capture_output=True, text=True)
        assert refused.returncode == 65 and "v110" in refused.stderr, refused.stderr


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout}\n{error.stderr}")
