"""Which image files can be decoded: each is decoded once, and the answer is remembered.

A tf.data pipeline ends at the first damaged file, or drops it without a word. Files are therefore
checked before a run begins, by the decoder that the run will use, and those that are fine checked
again only when their size or time of change differs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from tfbio._progress import progress_bar
from tfbio.datasets.cache import cache_folder
from tfbio.datasets.images import decode_image
from tfbio.datasets.source import UnreadableImage
from tfbio.errors import InputError

# Unreadable images that a sentence names.
NAMED = 20

_CMYK = "CMYK images, converted to RGB"
_SIXTEEN_BIT = "16-bit images, read with 8 bits"
_KINDS = ("", _CMYK, _SIXTEEN_BIT)


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
    folder = os.path.commonpath(paths)
    memory = _memory_of(folder)
    remembered = _recall(memory)
    stamps = {path: _stamp(path, folder) for path in paths}
    converted = {path: remembered[stamps[path]] for path in paths if stamps[path] in remembered}
    unknown = [path for path in paths if path not in converted]
    bad = {}
    with ThreadPool(os.cpu_count()) as pool:
        verdicts = pool.imap(_check, unknown, chunksize=16)
        bar = progress_bar(verdicts, total=len(unknown), desc="Checking images", delay=2)
        for path, (reason, conversion) in zip(unknown, bar, strict=True):
            if reason:
                # The path is shown to the user; a name that is not UTF-8 cannot be printed.
                shown = os.fsencode(path).decode(errors="backslashreplace")
                bad[path] = UnreadableImage(shown, reason)
            else:
                converted[path] = conversion
    if unknown:
        # The unreadable ones are checked every time: a mended file may look the same from outside.
        _remember(memory, {stamps[path]: conversion for path, conversion in converted.items()})
    return bad, {path: conversion for path, conversion in converted.items() if conversion}


def refuse_unreadable(
    unreadable: Sequence[UnreadableImage],
    total: int,
    where: str | os.PathLike,
    limit: int,
    remedy: str = "repair or remove them",
) -> None:
    """Raise if more images than allowed are unreadable.

    Args:
        unreadable: the images.
        total: number of images looked at.
        where: the folder or archive.
        limit: number of images that may be unreadable.
        remedy: what else can be done about it.

    Raises:
        InputError: they are more; the first twenty are named.

    Example:
        >>> refuse_unreadable([UnreadableImage("a.jpg", "the file is empty")], 10, "birds", 1)
    """
    if len(unreadable) <= limit:
        return
    named = "\n".join(f"  {image}" for image in unreadable[:NAMED])
    more = f"\n  and {len(unreadable) - NAMED} more" if len(unreadable) > NAMED else ""
    raise InputError(
        f"{len(unreadable)} of {total} images in {where} cannot be read, and max_bad_images is "
        f"{limit}: {remedy}, or raise the limit.\n{named}{more}"
    )


def _check(path: Path) -> tuple[str, str]:
    """Why the image cannot be read, and what is done to it; both empty if all is well."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        return error.strerror or "cannot be opened", ""
    if not contents:
        return "the file is empty", ""
    try:
        with Image.open(io.BytesIO(contents)) as header:
            image_format, mode = header.format, header.mode
    except Image.DecompressionBombError:
        return "it has more pixels than Pillow opens", ""
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return "not an image, or its header is damaged", ""
    if image_format == "BMP" and mode in ("P", "1"):
        # TensorFlow reads the palette's indices as gray levels.
        return "a BMP with a palette; save it as PNG", ""
    try:
        decode_image(contents)
    except tf.errors.InvalidArgumentError:
        return f"{image_format} data truncated or damaged", ""
    if mode == "CMYK":
        return "", _CMYK
    # The 25th byte of a PNG is its bit depth; Pillow's mode does not tell it for colour.
    if image_format == "PNG" and contents[24] == 16:
        return "", _SIXTEEN_BIT
    return "", ""


def _stamp(path: Path, folder: str) -> str:
    inside = str(path)[len(folder) :]
    try:
        status = path.stat()
    except OSError:
        return f"{inside}|missing"
    return f"{inside}|{status.st_size}|{status.st_mtime_ns}"


def _memory_of(folder: str) -> Path:
    """Where the verdicts on the files of this folder are kept, for this version of the decoder."""
    key = f"{os.path.realpath(folder)}|{tf.__version__}"
    return cache_folder() / f"images-{hashlib.sha256(os.fsencode(key)).hexdigest()[:16]}.json"


def _recall(memory: Path) -> dict[str, str]:
    """Stamps of the readable images, with what is done to them."""
    try:
        remembered = json.loads(memory.read_text())
        return {
            stamp: conversion for stamp, conversion in remembered.items() if conversion in _KINDS
        }
    except (OSError, ValueError, TypeError, AttributeError):
        # Nothing is remembered, or the file is damaged: check again.
        return {}


def _remember(memory: Path, verdicts: dict[str, str]) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        partial = memory.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(verdicts))
        partial.replace(memory)
    except OSError:
        # A cache that cannot be written costs time, nothing else.
        return
