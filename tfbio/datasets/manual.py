"""Data sets that are downloaded by hand: how they are read, and prepared for TFDS.

An archive is read where it lies: its names are listed once, its images are read one at a time, so
that nothing is unpacked and memory holds names only. Every image is decoded before it is copied.
"""

import collections
import concurrent.futures
import logging
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow as tf
import tensorflow_datasets as tfds

from tfbio.datasets.download import Download, find_download
from tfbio.datasets.images import decode_image
from tfbio.datasets.source import UnreadableImage
from tfbio.datasets.verification import NAMED, refuse_unreadable
from tfbio.errors import InputError

_logger = logging.getLogger("tfbio")

_AHEAD = 64
_MISSING = "the file is missing"


# === Reading ===


class Files(Mapping[str, bytes]):
    """Files by their names; the contents are read when they are asked for.

    Args:
        places: name to where the file is.
        read: the contents, from the place.

    Example:
        >>> files = Files({"b": 1, "a": 2}, lambda place: bytes(place))
        >>> list(files), files["a"]
        (['a', 'b'], b'\\x00\\x00')
    """

    def __init__(self, places: Mapping[str, Any], read: Callable[[Any], bytes]):
        self._places = dict(sorted(places.items()))
        self._read = read

    def __getitem__(self, name: str) -> bytes:
        return self._read(self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)


def open_files(path: Path, top: str, under: Sequence[str] = ("",)) -> Files:
    """List the files of a folder, a zip or an uncompressed tar.

    Args:
        path: the folder or the archive.
        top: the archive's uppermost folder; names are relative to it. The folder is `top` itself.
        under: only these files, and those in these folders (which end with a slash).

    Returns:
        The files, in the order of their names.

    Raises:
        InputError: the archive is damaged or incomplete.

    Example:
        >>> import pathlib, tempfile, zipfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "toys.zip"
        >>> with zipfile.ZipFile(path, "w") as archive:
        ...     archive.writestr("toys/names.txt", "ball")
        ...     archive.writestr("toys/images/0.jpg", "")
        >>> dict(open_files(path, "toys", ["names.txt"]))
        {'names.txt': b'ball'}
    """
    if path.is_dir():
        return Files(_folder_places(path, under), Path.read_bytes)
    if path.suffix == ".zip":
        return _zip_files(path, top, under)
    places = {
        name: (member.offset_data, member.size)
        for member in walk_tar(path)
        if (name := inside(member.name, top)).startswith(tuple(under))
    }
    return tar_files(path, places)


def tar_files(path: Path, places: Mapping[str, tuple[int, int]]) -> Files:
    """Parts of a file, by names.

    Args:
        path: an uncompressed tar.
        places: name to the offset and the length of its contents, bytes.

    Returns:
        The files.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "toys.tar"
        >>> _ = path.write_bytes(b"...ball...")
        >>> tar_files(path, {"names.txt": (3, 4)})["names.txt"]
        b'ball'
    """

    def read(place: tuple[int, int]) -> bytes:
        with path.open("rb") as archive:
            archive.seek(place[0])
            return archive.read(place[1])

    return Files(places, read)


def walk_tar(path: Path, start: int = 0, end: int | None = None) -> Iterator[tarfile.TarInfo]:
    """The regular files of an uncompressed tar, in its order; only one header is kept in memory.

    Args:
        path: the archive, or a file that contains one.
        start: where the first header begins, bytes.
        end: where to stop, bytes.

    Yields:
        Headers, with `offset` and `offset_data` counted from the beginning of the file.

    Raises:
        InputError: the archive is damaged or incomplete.

    Example:
        >>> import pathlib, tarfile, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "toys.tar"
        >>> with tarfile.open(path, "w") as archive:
        ...     archive.addfile(tarfile.TarInfo("ball"))
        >>> [member.name for member in walk_tar(path)]
        ['ball']
    """
    try:
        with path.open("rb") as contents:
            contents.seek(start)
            with tarfile.open(fileobj=contents, mode="r:") as archive:
                while (member := archive.next()) is not None:
                    if end is not None and member.offset >= end:
                        return
                    # tarfile remembers every header it has seen.
                    archive.members.clear()  # type: ignore[attr-defined]
                    if member.isfile():
                        yield member
    except tarfile.TarError as error:
        raise _damaged(path, error) from error


def inside(name: str, top: str) -> str:
    """A name in an archive relative to its uppermost folder.

    Example:
        >>> inside("./data/birds/train/1.jpg", "birds"), inside("train/1.jpg", "birds")
        ('train/1.jpg', 'train/1.jpg')
    """
    before, found, after = f"/{name.removeprefix('./')}".partition(f"/{top}/")
    return after if found else before.removeprefix("/")


def _folder_places(root: Path, under: Sequence[str]) -> dict[str, Path]:
    places = [root / each for each in under if (root / each).is_file()]
    for folder in under:
        for place, _, names in os.walk(root / folder, followlinks=True):
            places += [Path(place, name) for name in names]
    return {path.relative_to(root).as_posix(): path for path in places}


def _zip_files(path: Path, top: str, under: Sequence[str]) -> Files:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, error) from error
    places = {
        name: member
        for member in archive.infolist()
        if not member.is_dir() and (name := inside(member.filename, top)).startswith(tuple(under))
    }
    return Files(places, archive.read)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"Expected an archive that is whole and {path.suffix.removeprefix('.')}, received {path} "
        f"({error}): download it again."
    )


# === Unreadable images ===


def unreadable_images(
    builder: tfds.core.DatasetBuilder, split: str | None = None
) -> tuple[UnreadableImage, ...]:
    """The images that were left out when a data set was prepared.

    Args:
        builder: prepared; of any data set.
        split: the one they belonged to; None for all.

    Returns:
        The images with their reasons; none for data sets of TFDS itself.

    Example:
        >>> from tfbio.datasets.shapes import Shapes
        >>> unreadable_images(Shapes(data_dir="data"))
        ()
    """
    return tuple(
        UnreadableImage(each["path"], each["reason"])
        for each in (builder.info.metadata or {}).get("unreadable", ())
        if split in (None, each["split"])
    )


def _fault(contents: bytes) -> str:
    """Why an image cannot be decoded; empty if it can."""
    if not contents:
        return "the file is empty"
    try:
        decode_image(contents)
    except tf.errors.InvalidArgumentError:
        return "not an image, truncated or damaged"
    return ""


# === Builder ===


class ManualBuilder(tfds.core.GeneratorBasedBuilder):
    """A TFDS builder whose data were downloaded by hand and may hold broken images.

    Images that cannot be decoded are left out, logged, and listed in the metadata as `unreadable`
    with the split they belonged to.

    Args:
        max_bad_images: number of images, over all splits, that may be unreadable.
        **options: see `tfds.core.GeneratorBasedBuilder`.
    """

    DOWNLOAD: ClassVar[Download]
    # Number of images that the published splits have; another number is worth a warning.
    PUBLISHED: ClassVar[Mapping[str, int]] = {}

    def __init__(self, *, max_bad_images: int = 0, **options: Any):
        self._max_bad_images = max_bad_images
        super().__init__(**options)
        # TFDS pickles a builder as its arguments.
        self._original_state["max_bad_images"] = max_bad_images

    def _find(self, dl_manager: tfds.download.DownloadManager) -> Path:
        """The folder or archive; also begins the metadata anew."""
        try:
            manual_dir = Path(dl_manager.manual_dir)
        except AssertionError:
            # TFDS' answer to a folder that is missing or empty.
            manual_dir = None
        source = find_download(self.name, self.DOWNLOAD, self.data_dir_root, manual_dir)
        _logger.info("Preparing the data set %s, once, from %s", self.name, source)
        self.info.metadata.clear()
        self.info.metadata["unreadable"] = []
        self._source, self._looked_at = source, 0
        return source

    def _examples(
        self, split: str, files: Files, examples: Iterable[tuple[str, dict[str, Any]]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Add the images, as they are encoded, to examples; leave out those that cannot be read.

        Args:
            split: the split's name.
            files: where the images are.
            examples: the image's name in the files, and the other features.

        Yields:
            Keys and examples for TFDS.
        """
        begun = self._looked_at
        pending: collections.deque[tuple[str, dict[str, Any], concurrent.futures.Future[str]]]
        pending = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, features in examples:
                try:
                    contents = files[name]
                except (KeyError, OSError, zipfile.BadZipFile, zlib.error) as error:
                    self._leave_out(
                        split, name, _MISSING if isinstance(error, KeyError) else str(error)
                    )
                    continue
                pending.append(
                    (name, {"image": contents, **features}, pool.submit(_fault, contents))
                )
                if len(pending) > _AHEAD:
                    yield from self._if_readable(split, *pending.popleft())
            while pending:
                yield from self._if_readable(split, *pending.popleft())
        self._refuse()
        found, published = self._looked_at - begun, self.PUBLISHED.get(split)
        if found == 0:
            raise InputError(
                f"Expected images for the split {split} of {self.name} in {self._source}, found "
                "none: download it again."
            )
        if published not in (None, found):
            _logger.warning(
                "The split %s of %s has %d images as published, %s has %d.",
                *(split, self.name, published, self._source, found),
            )

    def _if_readable(
        self,
        split: str,
        name: str,
        example: dict[str, Any],
        fault: concurrent.futures.Future[str],
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        if fault.result():
            self._leave_out(split, name, fault.result())
            return
        self._looked_at += 1
        yield name, example

    def _leave_out(self, split: str, name: str, reason: str) -> None:
        self._looked_at += 1
        unreadable = self.info.metadata["unreadable"]
        unreadable.append({"split": split, "path": name, "reason": reason})
        _logger.warning("Left out, as it cannot be read: %s: %s", name, reason)
        # Twenty can be named; there is no need to read on.
        if len(unreadable) >= NAMED:
            self._refuse()

    def _refuse(self) -> None:
        refuse_unreadable(
            unreadable_images(self), self._looked_at, self._source, self._max_bad_images
        )
