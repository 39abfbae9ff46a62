"""Which image files can be decoded: each is decoded once, and the answer is remembered.

A tf.data pipeline ends at the first damaged file, or drops it without a word. Files are therefore
checked before a run begins, by the decoder that the run will use, and checked again only when
their size or time of change differs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tensorflow as tf
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from tfbio.datasets.images import decode_image
from tfbio.datasets.source import UnreadableImage

_CMYK = "CMYK images, converted to RGB"
_SIXTEEN_BIT = "16-bit images, read with 8 bits"


def check_images(
    paths: Sequence[Path],
) -> tuple[dict[Path, UnreadableImage], dict[Path, str]]:
    """Decode image files, to find those that a run could not read.

    Args:
        paths: image files.

    Returns:
        The unreadable ones with their reasons, and those that lose something in reading (CMYK,
        16 bits) with what is done to them.
    """
    remembered_in = _memory_of(paths)
    remembered = _recall(remembered_in)
    stamps = [_stamp(path) for path in paths]
    verdicts = {
        path: remembered[stamp]
        for path, stamp in zip(paths, stamps, strict=True)
        if stamp in remembered
    }
    unknown = [path for path in paths if path not in verdicts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(_check, unknown)
        bar = tqdm(results, total=len(unknown), desc="Checking images", delay=2, leave=False)
        verdicts.update(zip(unknown, bar, strict=True))
    if unknown:
        _remember(
            remembered_in,
            {stamp: verdicts[path] for path, stamp in zip(paths, stamps, strict=True)},
        )
    bad = {
        path: UnreadableImage(str(path), verdict[1])
        for path, verdict in verdicts.items()
        if verdict[0] == "unreadable"
    }
    converted = {
        path: verdict[1] for path, verdict in verdicts.items() if verdict[0] == "converted"
    }
    return bad, converted


def _check(path: Path) -> tuple[str, str]:
    """`("fine", "")`, `("converted", how)` or `("unreadable", why)`."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        return "unreadable", error.strerror or "cannot be opened"
    if not contents:
        return "unreadable", "the file is empty"
    try:
        with Image.open(path) as header:
            image_format, mode = header.format, header.mode
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "unreadable", "not an image, or its header is damaged"
    if image_format == "BMP" and mode == "P":
        # TensorFlow reads the palette's indices as gray levels.
        return "unreadable", "a BMP with a palette; save it as PNG"
    try:
        decode_image(contents)
    except tf.errors.InvalidArgumentError:
        return "unreadable", f"{image_format} data truncated or damaged"
    if mode == "CMYK":
        return "converted", _CMYK
    if mode.startswith("I"):
        return "converted", _SIXTEEN_BIT
    return "fine", ""


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path}|missing"
    return f"{path}|{status.st_size}|{status.st_mtime_ns}"


def _memory_of(paths: Sequence[Path]) -> Path:
    """Where the verdicts on the files of this folder are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfbio"
    common = os.path.commonpath([path.resolve() for path in paths])
    return cache / f"images-{hashlib.sha256(common.encode()).hexdigest()[:16]}.json"


def _recall(memory: Path) -> dict[str, tuple[str, str]]:
    try:
        return {stamp: tuple(verdict) for stamp, verdict in json.loads(memory.read_text()).items()}
    except (OSError, ValueError):
        # Nothing is remembered, or the file is damaged: check again.
        return {}


def _remember(memory: Path, verdicts: dict[str, tuple[str, str]]) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        partial = memory.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(verdicts))
        partial.replace(memory)
    except OSError:
        # A cache that cannot be written costs time, nothing else.
        return
