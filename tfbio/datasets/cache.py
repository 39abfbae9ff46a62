"""Decoded images kept in memory or on disk, so that only the first pass over a split decodes them.

Images differ in size: they lie one after the other in one file, which is mapped into memory and
looked at as one tensor, without a copy. `"memory"` is a file that the system keeps in memory.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import mmap
import os
import shutil
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfbio._progress import progress_bar
from tfbio.datasets.images import decode_image
from tfbio.datasets.source import FileSplit, Split, TfdsSplit
from tfbio.errors import InputError

# Kept as pixels; what else an example has is small and of one shape.
_PICTURES = ("image", "mask")
# The share of what is free that a cache may take.
_SHARE = 0.8
# Decoded images from which the size of all is estimated; after as many again it is looked at.
_ESTIMATED_AFTER = 256
# Images that are compared with their checksum when a file is opened.
_CHECKED = 1000
# A partial file that has not grown for an hour was left by a run that was killed.
_ABANDONED_SECONDS = 3600
# The end of a file: length and checksum of the index before it, and the version of the layout.
_TRAILER = struct.Struct("<QI8s")
_LAYOUT = b"tfbio 1\n"


@dataclass(frozen=True)
class _Stored:
    """A file of decoded images; arrays are by example, in stored order.

    Attributes:
        pixels: all pictures, one after the other.
        offsets: first byte of each picture, by its name.
        shapes: (H, W, C) of each picture.
        others: what else an example has.
    """

    pixels: NDArray[np.uint8]
    offsets: dict[str, NDArray[np.int64]]
    shapes: dict[str, NDArray[np.int64]]
    others: dict[str, NDArray[Any]]


def cached(split: Split, where: str | os.PathLike = "memory") -> Split:
    """A split whose images are decoded once and kept.

    Stored order and indices are those of the split itself. A seed orders files as it does without
    a cache; the order of a TFDS split is another one, as what is kept is shuffled as a whole.

    A file on disk is made anew when the data set has changed (paths, labels, sizes and times of
    files; the prepared data of TFDS), when TensorFlow has, or when the file is damaged.

    Args:
        split: of any data set.
        where: `"memory"`, `"disk"` (the folder `tfbio` where the user's caches are, see
            XDG_CACHE_HOME), or the path of a folder.

    Returns:
        A `Split` whose images are uint8 (H, W, 3), and masks uint8 (H, W, 1).

    Raises:
        InputError: the decoded images would take more than 80 % of what is free, the folder
            cannot be written to, or the images are floating-point numbers.

    Example:
        >>> import pathlib, tempfile
        >>> import tensorflow as tf
        >>> path = pathlib.Path(tempfile.mkdtemp(), "gray.png")
        >>> _ = path.write_bytes(tf.io.encode_png(tf.zeros((4, 5, 1), tf.uint8)).numpy())
        >>> split = cached(FileSplit("train", [str(path)], [3]))
        >>> [(tuple(example["image"].shape), int(example["label"])) for example in split.examples()]
        [((4, 5, 3), 3)]
    """
    if where == "memory":
        with _file_in_memory() as file:
            _write(split, file, "", "memory", available_memory())
            stored = _read(file, "")
    else:
        stored = _stored_on_disk(split, cache_folder() if where == "disk" else Path(where))
    if stored is None:
        raise RuntimeError("The images that were just kept cannot be read back.")
    return _CachedSplit(split, stored)


def cache_folder() -> Path:
    """Where tfbio keeps what it can make again: `tfbio` in XDG_CACHE_HOME or `~/.cache`.

    Returns:
        The path; the folder need not be there.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfbio"


def available_memory() -> int | None:
    """Memory that can be had without swapping, within the limit of a container.

    Returns:
        Bytes; None where the system does not say.
    """
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        # Not Linux.
        if "SC_AVPHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    container = Path("/sys/fs/cgroup")
    try:
        limit = int((container / "memory.max").read_text())
        used = int((container / "memory.current").read_text())
        lines = (container / "memory.stat").read_text().splitlines()
        # The system's copies of files that were read give way.
        given_up = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        found.append(limit - used + given_up)
    except (OSError, ValueError):
        # No container, or one whose limit is "max".
        pass
    return max(0, min(found)) if found else None


class _CachedSplit(Split):
    """The pictures of a split as pixels, and everything else that an example of it has."""

    def __init__(self, split: Split, stored: _Stored):
        self.name = split.name
        self.size = split.size
        self.unreadable = split.unreadable
        self.has_masks = split.has_masks
        self._stored = stored
        # The tensor is the mapped file, and keeps it mapped.
        self._pixels = tf.experimental.dlpack.from_dlpack(stored.pixels.__dlpack__())

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        return np.bincount(self._stored.others["label"], minlength=classes)

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        order: NDArray[np.int64] = np.arange(self.size)
        if order_seed is not None:
            order = np.random.default_rng(order_seed).permutation(self.size)
        order = order[skip:]
        stored = self._stored
        entries = tf.data.Dataset.from_tensor_slices(
            tuple(
                {name: array[order] for name, array in arrays.items()}
                for arrays in (stored.offsets, stored.shapes, stored.others)
            )
        )

        def read(
            offsets: dict[str, tf.Tensor],
            shapes: dict[str, tf.Tensor],
            others: dict[str, tf.Tensor],
        ) -> dict[str, tf.Tensor]:
            pictures = {}
            for name, shape in shapes.items():
                flat = tf.slice(self._pixels, [offsets[name]], [tf.reduce_prod(shape)])
                pictures[name] = tf.reshape(flat, shape)
                pictures[name].set_shape((None, None, 3 if name == "image" else 1))
            return {**pictures, **others}

        options = tf.data.Options()
        # They rewrite the graph, and would copy all pixels into it.
        options.experimental_optimization.apply_default_optimizations = False
        return entries.map(read, num_parallel_calls=tf.data.AUTOTUNE).with_options(options)


# === Writing ===


def _write(split: Split, file: IO[bytes], identity: str, place: str, free: int | None) -> None:
    """Decode a split into a file; `free` is the number of bytes that the place has."""
    specs = split.examples().element_spec
    names = [name for name in _PICTURES if name in specs]
    for name in names:
        if specs[name].dtype not in (tf.string, tf.uint8):
            raise InputError(
                f"Expected encoded or 8-bit images to cache, received {specs[name].dtype.name} in "
                f"the split {split.name!r}: leave the cache out."
            )
    kept: dict[str, NDArray[Any]] = {}
    checked = {name: zlib.crc32(b"") for name in names}

    def keep(key: str, place: int, value: Any) -> None:
        value = np.asarray(value)
        if key not in kept:
            kept[key] = np.empty((split.size, *value.shape), value.dtype)
        kept[key][place] = value

    count = written = 0
    examples = split.examples().map(_decoded, num_parallel_calls=tf.data.AUTOTUNE)
    bar = progress_bar(
        examples.prefetch(tf.data.AUTOTUNE).as_numpy_iterator(),
        total=split.size,
        desc=f"Decoding {split.name} images",
        delay=2,
    )
    sample = set(_sample(split.size))
    for count, example in enumerate(bar, start=1):
        for name in names:
            pixels = example.pop(name)
            keep(f"offset {name}", count - 1, written)
            keep(f"shape {name}", count - 1, np.array(pixels.shape))
            if count - 1 in sample:
                checked[name] = zlib.crc32(pixels, checked[name])
            file.write(pixels)
            written += pixels.size
        for name, value in example.items():
            keep(f"other {name}", count - 1, value)
        if count in (_ESTIMATED_AFTER, split.size):
            _check_room(split, written * split.size / count, place, free)
        elif count % _ESTIMATED_AFTER == 0:
            # The estimate was too low, perhaps.
            _check_room(split, written, place, free)
    if count != split.size:
        raise RuntimeError(f"Expected {split.size} examples of {split.name!r}, read {count}.")
    index = io.BytesIO()
    np.savez(
        index,
        allow_pickle=False,
        identity=np.array(identity),
        **{f"checksum {name}": np.array(checksum) for name, checksum in checked.items()},
        **kept,
    )
    file.write(index.getbuffer())
    file.write(_TRAILER.pack(index.tell(), zlib.crc32(index.getbuffer()), _LAYOUT))
    file.flush()


def _decoded(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    example = dict(example)
    if example["image"].dtype == tf.string:
        example["image"] = decode_image(example["image"])
    if "mask" in example and example["mask"].dtype == tf.string:
        example["mask"] = tf.io.decode_png(example["mask"], channels=1)
    return example


def _check_room(split: Split, size: float, place: str, free: int | None) -> None:
    if free is not None and size > _SHARE * free:
        other = "disk, or leave the cache out" if place == "memory" else "another place"
        raise InputError(
            f"Expected the decoded images of the split {split.name!r} to take at most "
            f"{_SHARE:.0%} of the {free / 1e9:.3g} GB that are free ({place}), and they would "
            f"take {size / 1e9:.3g} GB: cache on {other}."
        )


@contextlib.contextmanager
def _file_in_memory() -> Iterator[IO[bytes]]:
    """A file without a name, which is gone when nothing maps it; on disk if the system has none."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("tfbio"), "w+b") as file:
            yield file
    else:
        with tempfile.TemporaryFile() as file:
            yield file


# === Reading ===


def _read(file: IO[bytes], identity: str) -> _Stored | None:
    """What the file holds; None if it is damaged or holds images of another identity."""
    end = file.seek(0, os.SEEK_END) - _TRAILER.size
    if end < 0:
        return None
    file.seek(end)
    length, checksum, layout = _TRAILER.unpack(file.read(_TRAILER.size))
    if layout != _LAYOUT or length > end:
        return None
    file.seek(end - length)
    index = file.read(length)
    if zlib.crc32(index) != checksum:
        return None
    with np.load(io.BytesIO(index), allow_pickle=False) as arrays:
        if arrays["identity"] != identity:
            return None
        by_kind: dict[str, dict[str, Any]] = {}
        for key in arrays.files:
            kind, _, name = key.partition(" ")
            by_kind.setdefault(kind, {})[name] = arrays[key]
    # Private: what TensorFlow might write would never reach the file.
    mapped = mmap.mmap(file.fileno(), 0, **_private())
    stored = _Stored(
        np.frombuffer(mapped, np.uint8, end - length),
        by_kind["offset"],
        by_kind["shape"],
        by_kind["other"],
    )
    return stored if _undamaged(stored, by_kind["checksum"]) else None


def _private() -> dict[str, int]:
    if sys.platform != "linux":
        return {"access": mmap.ACCESS_COPY}
    # Without MAP_NORESERVE, which Python names from 3.13 on, a file must not exceed the memory.
    return {
        "flags": mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000),
        "prot": mmap.PROT_READ | mmap.PROT_WRITE,
    }


def _undamaged(stored: _Stored, checksums: dict[str, Any]) -> bool:
    for name, offsets in stored.offsets.items():
        sizes = stored.shapes[name].prod(axis=1)
        checksum = zlib.crc32(b"")
        for i in _sample(len(offsets)):
            picture = stored.pixels[offsets[i] : offsets[i] + sizes[i]]
            checksum = zlib.crc32(picture.data, checksum)
        if checksum != checksums[name]:
            return False
    return True


def _sample(size: int) -> list[int]:
    """Numbers of the pictures that are checked: evenly over the file, the first and the last."""
    return np.linspace(0, size - 1, min(size, _CHECKED)).astype(int).tolist()


# === On disk ===


def _stored_on_disk(split: Split, folder: Path) -> _Stored | None:
    place, identity = _place_and_identity(split)
    name = hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:16]
    path = folder / f"decoded-{split.name}-{name}.bin"
    with contextlib.suppress(OSError), path.open("rb") as file:
        stored = _read(file, identity)
        if stored is not None:
            return stored
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        # Every writer has a file of its own; the last one to finish stays.
        with tempfile.NamedTemporaryFile(
            dir=folder, prefix=f"{path.name}.", suffix=".partial", delete=False
        ) as file:
            try:
                _write(split, file, identity, str(folder), shutil.disk_usage(folder).free)
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name)
                raise
            return _read(file, identity)
    except OSError as error:
        raise InputError(
            f"Expected to write decoded images to {folder} ({error.strerror or error}): make room, "
            "name another folder by XDG_CACHE_HOME, or leave the cache out."
        ) from error


def _remove_abandoned(path: Path) -> None:
    for partial in path.parent.glob(f"{path.name}.*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS:
                partial.unlink()


@functools.singledispatch
def _place_and_identity(split: Split) -> tuple[str, str]:
    """Where a split lies, and what changes whenever its examples do."""
    raise InputError(
        f"Expected a split of files or of a prepared TFDS data set to cache on disk, received a "
        f"{type(split).__name__}: cache it in memory."
    )


@_place_and_identity.register
def _(split: FileSplit) -> tuple[str, str]:
    digest = hashlib.sha256(f"{tf.__version__}|{split._labels.tolist()}".encode())
    paths = [os.path.realpath(os.fsdecode(path)) for path in split._paths]
    for path in paths:
        status = os.stat(path)
        digest.update(os.fsencode(f"{path}|{status.st_size}|{status.st_mtime_ns}\n"))
    return os.path.commonpath(paths), digest.hexdigest()


@_place_and_identity.register
def _(split: TfdsSplit) -> tuple[str, str]:
    builder = split._builder
    folder = os.path.realpath(builder.data_path)
    digest = hashlib.sha256(f"{tf.__version__}|{split._instruction}|{split.size}".encode())
    for entry in sorted(Path(folder).iterdir()):
        status = entry.stat()
        digest.update(os.fsencode(f"{entry}|{status.st_size}|{status.st_mtime_ns}\n"))
    return f"{folder}|{split._instruction}", digest.hexdigest()
