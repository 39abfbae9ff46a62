"""How fast images are read, against a PyTorch DataLoader with Pillow on the same files.

    python benchmarks/input_pipeline.py --repeats 5

JPEGs of 256 x 256 pixels (about 34 kB, textures as rich as photographs) become random-resized
crops, half of them mirrored, in batches of 128. Every side runs in a process of its own; they take
turns, and a turn is an epoch without its first batches. TFRecord files read and thrown away, a bare
tf.data pipeline without antialiasing, and libjpeg-turbo alone (needs simplejpeg) say what is
possible.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from machine import OtherPrograms, machine, machine_line
from processes import SideError, forget_peak, peak_memory, use_onednn
from sides import OURS, THEIRS
from tables import print_table

_BATCH = 128
_SIDE = 256
# Not timed: the shuffle buffers and the queues of the workers fill.
_FIRST_BATCHES = 4
# How often every file comes in an epoch.
_PASSES = 3
_QUIET = 0.05

# By side and size: images per second, microseconds of all cores an image, seconds to start.
Turns = dict[str, dict[int, list[tuple[float, float, float]]]]

_TARGETS = {("folder", 64): 1.7, ("folder", 224): 2.0, ("memory", 64): 7.0, ("disk", 64): 7.0}
_SIDES = {
    "PyTorch": "PyTorch DataLoader, Pillow",
    "folder": "tfbio, JPEG folder",
    "tfds": "tfbio, prepared TFDS",
    "memory": "tfbio, cached in memory",
    "disk": "tfbio, cached on disk",
    "bare": "TFRecord, decoded and cropped by bare tf.data",
    "records": "TFRecord, read and nothing else",
    "decoder": "libjpeg-turbo, decoded and nothing else",
}


def main(arguments: list[str] | None = None) -> int:
    """Reads the flags, measures, prints; the exit code is 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1024, help="files to make")
    parser.add_argument("--sizes", default="64,224", help="pixels, separated by commas")
    parser.add_argument("--sides", default=",".join(_SIDES), help=f"some of {', '.join(_SIDES)}")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument("--threads", type=int, default=2, help="threads or workers of each side")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    values = parser.parse_args(arguments)
    sizes = [int(size) for size in values.sizes.split(",")]
    sides = ["PyTorch", *(side for side in values.sides.split(",") if side != "PyTorch")]
    if unknown := set(sides) - set(_SIDES):
        return _mistake(f"No side {', '.join(unknown)}. Sides: {', '.join(_SIDES)}.")
    if values.images * _PASSES < (_FIRST_BATCHES + 2) * _BATCH or values.repeats < 1:
        return _mistake(f"Expected at least {2 * _BATCH} images and one turn.")
    if importlib.util.find_spec("torch") is None:
        return _mistake("PyTorch is not installed: pip install 'tfbio[torch]'")
    if "decoder" in sides and importlib.util.find_spec("simplejpeg") is None:
        print("Without simplejpeg the bare decoder is not measured.", file=sys.stderr)
        sides.remove("decoder")
    # The checkout's tfbio, installed or not; child processes get the same path.
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
    use_onednn()
    where, others = machine(values.threads), OtherPrograms()
    with tempfile.TemporaryDirectory() as folder:
        # What tfbio remembers of these files goes with them.
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "caches"))
        paths = make_images(Path(folder, "images"), values.images)
        prepare_tfds(paths, folder, values.threads)
        turns: Turns = {side: {size: [] for size in sizes} for side in sides}
        for size in sizes:
            processes = {
                side: _Process(side, paths * _PASSES, folder, size, values.threads)
                for side in sides
            }
            try:
                for turn in range(values.repeats + 1):
                    for side, process in processes.items():
                        print(f"{size} px, turn {turn}: {side}", file=sys.stderr, flush=True)
                        timed = process.ask(turn)
                        if turn:  # the first is warm-up
                            turns[side][size].append(timed)
            finally:
                for process in processes.values():
                    process.end()
        versions = {
            side: _once(_version, side, paths, folder, values.threads) for side in (OURS, THEIRS)
        }
        memory = {
            passes: _once(_memory, "folder", paths * passes, folder, values.threads)
            for passes in (1, 4)
        }
    where["others"] = others.share()
    print(machine_line(where, versions) + "\n")
    if (where["others"] or 0) > _QUIET:
        print("Other programs were running: measure again when the machine is quiet.\n")
    for size in sizes:
        print_table(_table(size, turns))
    print(
        f"Medians of {values.repeats} turns of {len(paths) * _PASSES} images; a ratio is to "
        "PyTorch. The CPU time is of all\ncores and processes: other programs change it less. "
        f"Memory of tfbio reading the folder, at its\npeak: {memory[1] / 1e6:.0f} MB for "
        f"{len(paths)} images, {memory[4] / 1e6:.0f} MB for {4 * len(paths)}."
    )
    if values.output:
        figures = {"machine": where, "turns": turns, "memory": memory}
        values.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _table(size: int, turns: Turns) -> list[list[str]]:
    header = [f"{size} px", "images/s", "lowest", "highest", "ratio", "target", "met"]
    rows = [[*header, "CPU us an image", "ratio", "start s"]]
    theirs, their_cpu, _ = np.median(turns["PyTorch"][size], axis=0)
    for side, of_side in turns.items():
        rates = [rate for rate, *_ in of_side[size]]
        rate, cpu, first = np.median(of_side[size], axis=0)
        target = _TARGETS.get((side, size))
        rows.append(
            [
                _SIDES[side],
                *(f"{each:.0f}" for each in (rate, min(rates), max(rates))),
                f"{rate / theirs:.2f}x",
                f"{target:g}x" if target else "-",
                ("yes" if rate / theirs >= target else "no") if target else "-",
                f"{cpu:.0f}",
                f"{their_cpu / cpu:.2f}x",
                f"{first:.2f}",
            ]
        )
    return rows


def _mistake(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


# === Images ===


def make_images(folder: Path, count: int) -> list[str]:
    """Class folders of JPEGs with the spatial spectrum of photographs, amplitude 1 / f^1.2."""
    from PIL import Image

    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, np.newaxis], np.fft.rfftfreq(_SIDE))
    frequency[0, 0] = np.inf
    paths = []
    for i in range(count):
        noise = rng.standard_normal((2, 3, *frequency.shape)) / frequency**1.2
        waves = np.fft.irfft2(noise[0] + 1j * noise[1], (_SIDE, _SIDE))
        waves /= waves.std(axis=(1, 2), keepdims=True)
        # Colours are correlated, as in photographs.
        image = 128 + 50 * (waves[0] + 0.25 * np.stack([waves[1], 0 * waves[0], waves[2]]))
        pixels = np.clip(np.moveaxis(image, 0, -1), 0, 255).astype(np.uint8)
        path = folder / f"class{i % 10}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
        paths.append(str(path))
    return paths


def prepare_tfds(paths: list[str], folder: str, threads: int) -> None:
    """The same files as a TFDS data set, in the folder."""
    _once(_write_tfds, "tfds", paths * _PASSES, folder, threads)


def _write_tfds(_: str, paths: list[str], folder: str, threads: int) -> None:
    _tensorflow(threads)
    import tensorflow_datasets as tfds

    class Textures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(_SIDE, _SIDE, 3), encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
            features = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, _):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i, path in enumerate(paths):
                yield i, {"image": path, "label": i % 10}

    tfds.disable_progress_bar()
    Textures(data_dir=folder).download_and_prepare()


# === Processes ===


class _Process:
    """A side in a process of its own, which may have workers."""

    def __init__(self, side: str, *of_epochs: Any):
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(other_end, side, *of_epochs))
        self._process.start()
        other_end.close()

    def ask(self, turn: int) -> tuple[float, float, float]:
        """Of an epoch: images per second, microseconds of all cores an image, start in seconds."""
        self._pipe.send(turn)
        failed, answer = self._pipe.recv()
        if failed:
            raise SideError(answer)
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()


def _serve(pipe: Any, side: str, *of_epochs: Any) -> None:
    epoch = None
    while True:
        try:
            turn = pipe.recv()
        except EOFError:
            return
        try:
            if epoch is None:
                epoch = _EPOCHS[side](*of_epochs)
            pipe.send((False, _timed(epoch(turn))))
        except Exception:  # all of them are the parent's to report
            pipe.send((True, traceback.format_exc()))


def _timed(batches: Iterator[int]) -> tuple[float, float, float]:
    cpu, start = _cpu_seconds(), time.perf_counter()
    not_timed = next(batches)
    first = time.perf_counter() - start
    for _ in range(_FIRST_BATCHES - 1):
        not_timed += next(batches)
    images, start = 0, time.perf_counter()
    for batch in batches:
        images += batch
        # The end of the workers, after the last batch, is not timed.
        seconds = time.perf_counter() - start
    # The workers have ended: what they took counts.
    return images / seconds, 1e6 * (_cpu_seconds() - cpu) / (images + not_timed), first


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def _once(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _version(side: str, _: list[str], __: str, threads: int) -> str:
    if side == THEIRS:
        import torch

        return f"PyTorch {torch.__version__}"
    tf = _tensorflow(threads)
    import tfbio

    return f"tfbio {tfbio.__version__}, TensorFlow {tf.__version__}"


def _memory(_: str, paths: list[str], folder: str, threads: int) -> int:
    """Bytes by which a process grows in an epoch, with all that tracing takes."""
    epoch = _folder(paths, folder, 64, threads)
    before = forget_peak()
    for _images in epoch(0):
        pass
    return peak_memory() - before


# === Sides: each gives a function from the turn to an epoch, the numbers of images of its batches


def _pytorch(paths: list[str], folder: str, size: int, threads: int):
    import torch
    from pytorch_input import batches

    torch.set_num_threads(threads)
    return lambda turn: (len(images) for images in batches(paths, size, _BATCH, threads))


def _tensorflow(threads: int):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return tf


def _tfbio(split: Any, size: int):
    from tfbio.datasets import TrainingBatches

    augment = ("random_resized_crop", "flip")
    batches = TrainingBatches(split, _BATCH, (size, size), 0, augment)
    return lambda turn: (len(images) for images, _ in batches.epoch(turn))


def _files(paths: list[str], threads: int):
    _tensorflow(threads)
    from tfbio.datasets.source import FileSplit

    return FileSplit("train", paths, [0] * len(paths))


def _folder(paths: list[str], folder: str, size: int, threads: int):
    return _tfbio(_files(paths, threads), size)


def _in_memory(paths: list[str], folder: str, size: int, threads: int):
    split = _files(paths, threads)
    from tfbio.datasets.cache import cached

    return _tfbio(cached(split, "memory"), size)


def _on_disk(paths: list[str], folder: str, size: int, threads: int):
    split = _files(paths, threads)
    from tfbio.datasets.cache import cached

    return _tfbio(cached(split, Path(folder, "caches")), size)


def _prepared(paths: list[str], folder: str, size: int, threads: int):
    _tensorflow(threads)
    import tensorflow_datasets as tfds

    from tfbio.datasets.source import TfdsSplit

    builder = tfds.builder_from_directory(Path(folder, "textures", "1.0.0"))
    return _tfbio(TfdsSplit("train", builder, "train"), size)


def _record_files(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder, "textures", "1.0.0").glob("*tfrecord*"))


def _records(paths: list[str], folder: str, size: int, threads: int):
    tf = _tensorflow(threads)

    def epoch(turn: int) -> Iterator[int]:
        for batch in tf.data.TFRecordDataset(_record_files(folder)).batch(_BATCH):
            yield len(batch)

    return epoch


def _bare(paths: list[str], folder: str, size: int, threads: int):
    tf = _tensorflow(threads)

    def prepare(record: Any) -> Any:
        image = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature((), tf.string)})[
            "image"
        ]
        top_left, extent, _ = tf.image.sample_distorted_bounding_box(
            tf.io.extract_jpeg_shape(image),
            tf.zeros((0, 0, 4)),
            area_range=(0.08, 1),
            aspect_ratio_range=(3 / 4, 4 / 3),
            use_image_if_no_bounding_boxes=True,
        )
        window = tf.concat([top_left[:2], extent[:2]], axis=0)
        pixels = tf.io.decode_and_crop_jpeg(image, window, channels=3)
        return tf.image.random_flip_left_right(tf.image.resize(pixels, (size, size)))

    def epoch(turn: int) -> Iterator[int]:
        records = tf.data.TFRecordDataset(_record_files(folder)).shuffle(1024)
        images = records.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        for batch in images.batch(_BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE):
            yield len(batch)

    return epoch


def _decoder(paths: list[str], folder: str, size: int, threads: int):
    import simplejpeg

    contents = [io.FileIO(path).readall() for path in dict.fromkeys(paths)]
    contents *= len(paths) // len(contents)

    def decode(each: bytes) -> None:
        simplejpeg.decode_jpeg(each, fastdct=False, fastupsample=False)

    def epoch(turn: int) -> Iterator[int]:
        with ThreadPoolExecutor(threads) as pool:
            for i in range(0, len(contents), _BATCH):
                yield sum(1 for _ in pool.map(decode, contents[i : i + _BATCH]))

    return epoch


_EPOCHS: dict[str, Callable[..., Callable[[int], Iterator[int]]]] = {
    "PyTorch": _pytorch,
    "folder": _folder,
    "tfds": _prepared,
    "memory": _in_memory,
    "disk": _on_disk,
    "bare": _bare,
    "records": _records,
    "decoder": _decoder,
}

if __name__ == "__main__":
    sys.exit(main())
