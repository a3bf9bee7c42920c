#!/usr/bin/env python3
"""ldmpi-data from outside: pictures and latents in, shards out, and every refusal with its exit code.

usage: data_tools_test.py path/to/ldmpi-data path/to/open_dataset
"""
import io
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zlib

import h5py
import numpy as np

TOOL, OPENER = (str(pathlib.Path(argument).resolve()) for argument in sys.argv[1:3])


def png(pixels):
    """An RGB or RGBA picture [H,W,C] as a PNG file, without any imaging library."""
    height, width, channels = pixels.shape
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def picture(number, height=16, width=16):
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), "u1")


def unshuffled(pixels, factor=2):
    """What the codec pixels makes of [H,W,C]."""
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // factor, factor, width // factor, factor, channels).transpose(4, 1, 3, 0, 2)
    return (blocks.reshape(channels * factor * factor, height // factor, width // factor) / 127.5 - 1).astype("f2")


class Case(unittest.TestCase):
    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.holder.name)

    def tearDown(self):
        self.holder.cleanup()

    def run_tool(self, *arguments, code=0, **more):
        done = subprocess.run([TOOL, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def shard(self, number=0, folder="out"):
        return h5py.File(self.folder / folder / f"shard-{number:05}.h5")

    def sound(self, folder="out"):
        self.assertIn("all sound", self.run_tool("verify", folder))
        return subprocess.run([OPENER, folder], cwd=self.folder, check=True, capture_output=True, text=True).stdout


class Pack(Case):
    def write_pictures(self, count, folder="in"):
        (self.folder / folder).mkdir()
        for i in range(count):
            (self.folder / folder / f"{i:03}.png").write_bytes(png(picture(i)))
            (self.folder / folder / f"{i:03}.txt").write_text(f"picture {i % 4}\n")

    def test_folder_with_text_files(self):
        self.write_pictures(10)
        self.run_tool("pack", "--input", "in", "--out", "out", "--resolution", 16, "--num_shards", 3,
                      "--context", "4x8")
        self.assertTrue(self.sound().startswith("10 samples [12,8,8] context [4,8]"))
        with self.shard(1) as shard:
            self.assertEqual(list(shard["caption"].asstr()), [f"picture {i % 4}" for i in range(4, 8)])
            self.assertEqual(shard["key"].asstr()[0], "004.png")
            np.testing.assert_array_equal(shard["latents"][1], unshuffled(picture(5)))
            self.assertEqual(shard.attrs["codec"], "pixels:v1:channels=3:unshuffle=2")
            self.assertEqual(shard.attrs["text_encoder"], "words:v1:4x8:seed=1")
            self.assertEqual(len(shard["prompt_embeds"]), 5)
            self.assertFalse(shard["prompt_embeds"][0].any())
            raw = np.concatenate([self.shard(i)["latents"][:] for i in range(3)]).astype("f8")
            self.assertAlmostEqual(((raw - shard.attrs["shift"]) * shard.attrs["scaling_factor"]).std(), 1.0, places=2)

    def test_metadata_mirror_random_crop_alpha(self):
        (self.folder / "in").mkdir()
        clear = np.dstack([picture(1, 20, 40), np.zeros((20, 40), "u1")])
        (self.folder / "in" / "a.png").write_bytes(png(clear))
        (self.folder / "in" / "b.png").write_bytes(png(picture(2, 32, 16)))
        (self.folder / "in" / "metadata.jsonl").write_text(
            json.dumps({"file_name": "a.png", "text": "nothing"}) + "\n" +
            json.dumps({"file_name": "b.png", "text": "noise"}))
        self.run_tool("pack", "--input", "in", "--out", "out", "--resolution", 16, "--crop", "random", "--flip",
                      "--time-ids", "--unshuffle=1", "--scaling_factor", 2, "--shift", 0.5)
        self.assertTrue(self.sound().startswith("4 samples [3,16,16]"))
        with self.shard() as shard:
            self.assertEqual(list(shard["caption"].asstr()), ["nothing", "nothing", "noise", "noise"])
            self.assertTrue((shard["latents"][0] == 1).all(), "transparent is white")
            np.testing.assert_array_equal(shard["latents"][3], shard["latents"][2][:, :, ::-1])
            height, width, top, left, *target = shard["time_ids"][2]
            self.assertEqual((height, width, left, target), (32, 16, 0, [16, 16]))
            expected = unshuffled(picture(2, 32, 16)[int(top):int(top) + 16], 1)
            np.testing.assert_array_equal(shard["latents"][2], expected)
            self.assertEqual((shard.attrs["scaling_factor"], shard.attrs["shift"]), (2.0, 0.5))

    def test_resize_keeps_flat_colours_and_means(self):
        (self.folder / "in").mkdir()
        flat = np.full((50, 70, 3), 77, "u1")
        steep = np.repeat(np.arange(64, dtype="u1")[:, None, None] * 4, 64, 1).repeat(3, 2)
        (self.folder / "in" / "a.png").write_bytes(png(flat))
        (self.folder / "in" / "b.png").write_bytes(png(steep))
        self.run_tool("pack", "--input", "in", "--out", "out", "--resolution", 16, "--unshuffle", 1)
        with self.shard() as shard:
            back = np.rint((shard["latents"][:].astype("f4") + 1) * 127.5)
            self.assertTrue((back[0] == 77).all())
            rows = back[1, 0, :, 0]
            self.assertTrue((abs(rows[1:-1] - (np.arange(16) * 16 + 6)[1:-1]) <= 1).all(), rows)

    def test_webdataset_tar(self):
        with tarfile.open(self.folder / "in.tar", "w") as tar:
            def member(name, body):
                info = tarfile.TarInfo(name)
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
            for i in range(6):
                member(f"x/{i:05}.png", png(picture(i)))
                member(f"x/{i:05}.txt" if i % 2 else f"x/{i:05}.json",
                       f"text {i}".encode() if i % 2 else json.dumps({"caption": f"text {i}"}).encode())
        self.run_tool("pack", "--input", "in.tar", "--out", "out", "--resolution", 16, "--shard_size", 4)
        self.assertTrue(self.sound().startswith("6 samples"))
        with self.shard(1) as shard:
            self.assertEqual(list(shard["caption"].asstr()), ["text 4", "text 5"])
            np.testing.assert_array_equal(shard["latents"][0], unshuffled(picture(4)))

    def test_finished_shards_are_kept(self):
        self.write_pictures(8)
        command = ["pack", "--input", "in", "--out", "out", "--resolution", 16, "--num_shards", 2,
                   "--scaling_factor", 1, "--shift", 0]
        self.run_tool(*command)
        before = self.sound()
        self.assertEqual(self.run_tool(*command).count("kept"), 2)
        self.assertEqual(self.sound(), before)
        (self.folder / "in" / "007.txt").write_text("another text")
        again = self.run_tool(*command)
        self.assertIn("shard-00000.h5: kept", again)
        self.assertIn("shard-00001.h5: 4 samples", again)
        self.assertNotEqual(self.sound(), before)
        (self.folder / "out" / "shard-00000.h5").write_bytes(b"torn")
        self.assertIn("shard-00000.h5: 4 samples", self.run_tool(*command))
        self.sound()
        self.assertIn("other shards", self.run_tool(*command[:-6], "--num_shards", 1, code=73))

    def test_bad_pictures(self):
        self.write_pictures(10)
        (self.folder / "in" / "004.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
        command = ["pack", "--input", "in", "--out", "out", "--resolution", 16]
        self.assertIn("004.png", self.run_tool(*command, code=65))
        self.assertIn("1 of 10 pictures were left out", self.run_tool(*command, "--max_bad", "10%"))
        self.assertTrue(self.sound().startswith("9 samples"))

    def test_refusals(self):
        pack = ["pack", "--out", "out", "--resolution", 16]
        self.assertIn("does not exist", self.run_tool(*pack, "--input", "none", code=66))
        (self.folder / "empty").mkdir()
        self.assertIn("holds no", self.run_tool(*pack, "--input", "empty", code=65))
        self.assertIn("did you mean --resolution", self.run_tool("pack", "--out", "o", "--resolutoin", 16, code=78))
        self.assertIn("not center or random", self.run_tool(*pack, "--input", "empty", "--crop", "left", code=78))
        self.write_pictures(1)
        odd = self.run_tool("pack", "--input", "in", "--out", "o", "--resolution", 15, code=78)
        self.assertIn("cannot be unshuffled", odd)
        (self.folder / "file").write_text("")
        self.run_tool("pack", "--input", "in", "--out", "file/x", "--resolution", 16, code=73)


class Recipes(Case):
    def test_fashion_mnist(self):
        if not pathlib.Path("/usr/share/datasets/fashion-mnist").exists():
            self.skipTest("dataset-fashion-mnist is not installed")
        self.run_tool("pack", "--recipe", "fashion-mnist", "--out", "out", "--limit", 300, "--offset", 100,
                      "--shard_size", 200)
        self.assertTrue(self.sound().startswith("300 samples [4,16,16] context [8,64]"))
        with self.shard() as shard:
            captions = list(shard["caption"].asstr())
            self.assertEqual(len(set(captions)), 10)
            self.assertIn("a photo of an ankle boot", captions)
            self.assertEqual(shard["key"].asstr()[0], "fashion-mnist/train/100")
            self.assertTrue((shard["latents"][:, :, 0, :] == -1).all(), "the margin is black")

    def test_noto_emoji(self):
        needed = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "/usr/share/unicode/emoji/emoji-test.txt"
        if not all(map(os.path.exists, needed)):
            self.skipTest("fonts-noto-color-emoji or unicode-data is not installed")
        self.run_tool("pack", "--recipe", "noto-emoji", "--out", "out", "--limit", 50)
        self.assertTrue(self.sound().startswith("50 samples [12,16,16]"))
        with self.shard() as shard:
            self.assertEqual((shard["key"].asstr()[0], shard["caption"].asstr()[0]), ("U+1F600", "grinning face"))
            self.assertTrue((shard["latents"][0][:, 0, 0] == 1).all(), "the corner is white")
            red, green, blue = shard["latents"][0].reshape(3, 4, 16, 16)[:, 0, 5, 8]
            self.assertTrue(red > 0.5 and green > 0.2 and blue < 0.2, "a face is yellow")


class Convert(Case):
    def latents(self, number, shape=(4, 8, 8)):
        return np.random.default_rng(number).normal(0, 5, shape).astype("f4")

    def test_kohya_caches(self):
        (self.folder / "in").mkdir()
        np.savez(self.folder / "in" / "a.npz", latents=self.latents(1), original_size=np.array([64, 64]),
                 crop_ltrb=np.zeros(4))
        np.savez(self.folder / "in" / "b_0064x0096_sd.npz", **{"latents_8x12": self.latents(2, (4, 8, 12)),
                 "latents_flipped_8x12": self.latents(3, (4, 8, 12)), "original_size_8x12": np.array([64, 96])})
        (self.folder / "in" / "a.txt").write_text("one")
        (self.folder / "in" / "b.txt").write_text("two")
        self.run_tool("convert", "--input", "in", "--out", "out", "--flip", "--dtype", "f32")
        self.sound()
        found = {}
        for number in range(2):
            with self.shard(number) as shard:
                for latent, caption in zip(shard["latents"][:], shard["caption"].asstr()[:]):
                    found.setdefault(caption, []).append(latent)
        np.testing.assert_array_equal(found["one"], [self.latents(1)])
        np.testing.assert_array_equal(found["two"], [self.latents(2, (4, 8, 12)), self.latents(3, (4, 8, 12))])

    def test_npy_and_already_scaled(self):
        np.save(self.folder / "a.npy", self.latents(1, (5, 4, 8, 8)) * 0.13025)
        self.run_tool("convert", "--input", "a.npy", "--out", "out", "--already_scaled", "--scaling_factor", 0.13025,
                      "--dtype", "f32", "--shard_size", 3)
        self.assertTrue(self.sound().startswith("5 samples"))
        with self.shard(1) as shard:
            np.testing.assert_allclose(shard["latents"][:], self.latents(1, (5, 4, 8, 8))[3:], rtol=1e-6)

    def test_safetensors(self):
        values = self.latents(4).astype("f2")
        header = json.dumps({"latents": {"dtype": "F16", "shape": [4, 8, 8], "data_offsets": [0, 512]}}).encode()
        (self.folder / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + values.tobytes())
        self.run_tool("convert", "--input", "a.safetensors", "--out", "out")
        with self.shard() as shard:
            np.testing.assert_array_equal(shard["latents"][0], values)

    def test_refusals(self):
        np.save(self.folder / "a.npy", np.asfortranarray(self.latents(1)))
        self.assertIn("Fortran", self.run_tool("convert", "--input", "a.npy", "--out", "out", code=65))
        np.save(self.folder / "a.npy", np.zeros((4, 8, 8), "i4"))
        self.assertIn("<i4", self.run_tool("convert", "--input", "a.npy", "--out", "out", code=65))
        bad = self.latents(1)
        bad[0, 0, 0] = np.nan
        np.save(self.folder / "a.npy", bad)
        self.assertIn("NaN", self.run_tool("convert", "--input", "a.npy", "--out", "out", code=65))
        np.save(self.folder / "a.npy", self.latents(1))
        whole = (self.folder / "a.npy").read_bytes()
        for size in (0, 5, 11, 60, 128, 500, len(whole) - 1):
            (self.folder / "a.npy").write_bytes(whole[:size])
            self.run_tool("convert", "--input", "a.npy", "--out", "out", code=65)
        (self.folder / "a.npz").write_bytes(b"PK\x03\x04 nothing")
        self.run_tool("convert", "--input", "a.npz", "--out", "out", code=65)


class Check(Case):
    def test_synth_is_deterministic_and_as_asked(self):
        command = ["--samples", 20, "--shards", 3, "--latent", "4x8x8,2x4x6", "--context", "3x5", "--pooled", 7,
                   "--time_ids", "--moments", "--seed", 4]
        self.run_tool("synth", "--out", "out", *command)
        self.run_tool("synth", "--out", "again", *command)
        for number in range(3):
            name = f"shard-{number:05}.h5"
            self.assertEqual((self.folder / "out" / name).read_bytes(), (self.folder / "again" / name).read_bytes())
        self.sound()
        with self.shard(1) as shard:
            self.assertEqual(shard["moments"].shape, (7, 4, 4, 6))
            self.assertEqual(shard["pooled_prompt_embeds"].shape, (17, 7))
            self.assertEqual(shard["time_ids"].shape, (7, 6))
        text = self.run_tool("inspect", "out")
        self.assertIn("[4,8,8] f16", text)
        self.assertIn("[2,4,6] f16", text)

    def test_synth_prompts_tell_the_pattern(self):
        self.run_tool("synth", "--out", "out", "--samples", 200, "--shards", 1)
        with self.shard() as shard:
            latents, index = shard["latents"][:].astype("f4"), shard["prompt_index"][:]
        self.assertAlmostEqual(latents.std(), 1.0, delta=0.1)
        rest = latents - np.array([latents[index == i].mean(0) for i in index])
        self.assertLess(rest.std(), 0.35)

    def test_inspect_warns_about_the_scale(self):
        np.save(self.folder / "a.npy", np.random.default_rng(0).normal(0, 30, (3, 4, 8, 8)).astype("f4"))
        self.run_tool("convert", "--input", "a.npy", "--out", "out", "--scaling_factor", 1)
        self.assertIn("training will go badly", self.run_tool("inspect", "out"))

    def test_verify_lists_everything_at_once(self):
        self.run_tool("synth", "--out", "out", "--samples", 40, "--shards", 4)
        def damage(number, dataset, row, offset):
            with self.shard(number) as shard:
                address = shard[dataset].id.get_offset() + row * shard[dataset][0].nbytes + offset
            with open(self.folder / "out" / f"shard-{number:05}.h5", "r+b") as file:
                file.seek(address)
                byte = file.read(1)[0]
                file.seek(address)
                file.write(bytes([byte ^ 4]))
        damage(0, "latents", 3, 17)
        damage(0, "latents", 7, 18)
        damage(2, "prompt_embeds", 5, 0)
        path = self.folder / "out" / "shard-00001.h5"
        os.truncate(path, path.stat().st_size // 2)
        text = self.run_tool("verify", "out", code=65)
        for part in ("shard-00000.h5, row 3: checksum expected", "shard-00000.h5, row 7: checksum expected",
                     "shard-00002.h5, prompt row 5", "shard-00001.h5",
                     "shard-00000.h5 differs from the manifest: checksum"):
            self.assertIn(part, text)
        self.run_tool("verify", "out", "--write_manifest", code=65)
        self.assertIn("none", self.run_tool("verify", "none", code=66))

    def test_a_manifest_is_written_of_what_can_be_opened_only(self):
        self.run_tool("synth", "--out", "out", "--samples", 40, "--shards", 4)
        folder = self.folder / "out"
        before = (folder / "manifest.json").read_bytes()
        copy = folder / "shard-00004.h5"
        copy.write_bytes((folder / "shard-00001.h5").read_bytes())
        text = self.run_tool("verify", "out", "--write_manifest", code=65)
        self.assertIn("shard-00004.h5 holds the same samples as shard-00001.h5: remove one of them", text)
        self.assertEqual((folder / "manifest.json").read_bytes(), before)
        copy.unlink()
        self.run_tool("synth", "--out", "other", "--samples", 10, "--shards", 1, "--context", "8x48")
        (self.folder / "other" / "shard-00000.h5").rename(copy)
        self.assertIn("does not fit", self.run_tool("verify", "out", "--write_manifest", code=65))
        self.assertEqual((folder / "manifest.json").read_bytes(), before)
        copy.unlink()
        self.run_tool("verify", "out", "--write_manifest")

    def test_verify_names_nan(self):
        self.run_tool("synth", "--out", "out", "--samples", 4, "--shards", 1)
        with h5py.File(self.folder / "out" / "shard-00000.h5", "r+") as shard:
            shard["latents"][2, 1, 3, 3] = np.nan
            crc = crc32c(shard["latents"][2].tobytes())
            shard["crc32c"][2] = crc
        self.assertIn("row 2: the latent holds NaN or infinity", self.run_tool("verify", "out/shard-00000.h5", code=65))

    def test_full_disk_ends_with_74_and_leaves_nothing(self):
        def small_files():  # the file size limit stands for a full disk: write() fails in the middle
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        text = self.run_tool("synth", "--out", "out", "--samples", 512, "--shards", 1, code=74, preexec_fn=small_files)
        self.assertIn("disk full", text)
        self.assertEqual(list((self.folder / "out").iterdir()), [])

    def test_help_and_unknown_words(self):
        self.assertIn("pack", self.run_tool("--help"))
        for command in ("pack", "synth", "inspect", "verify", "convert"):
            self.assertIn(f"usage: ldmpi-data {command}", self.run_tool(command, "--help"))
        self.assertRegex(self.run_tool("--version"), re.compile(r"ldmpi-data \d"))
        self.assertIn("a command is missing", self.run_tool(code=78))
        self.assertIn("did you mean verify?", self.run_tool("verfy", code=78))
        text = self.run_tool("synth", "--sample", "x", "--shards", "two", "extra", code=78)
        for part in ("did you mean --samples?", "\"two\" is not a whole number", "\"extra\" belongs to no option",
                     "--out is missing"):
            self.assertIn(part, text)
        self.assertIn("4x16x16", self.run_tool("synth", "--out", "o", "--latent", "4x16", code=78))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
