"""Data sets that are downloaded by hand: what to download, and where it is looked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tfbio.datasets.image_folder import SUFFIXES
from tfbio.errors import InputError


@dataclass(frozen=True)
class Download:
    """What a user has to fetch by hand.

    Attributes:
        archives: file names under which it is distributed; the first is the one to ask for.
        folders: names that its unpacked folder goes by, with slashes where it lies deeper.
        holds: paths in the unpacked folder, any of which tells that it is the right one.
        page: where to get it.
        size: of the first archive, for the reader.
    """

    archives: tuple[str, ...]
    folders: tuple[str, ...]
    holds: tuple[str, ...]
    page: str
    size: str

    @property
    def instructions(self) -> str:
        """One sentence for TFDS' `MANUAL_DOWNLOAD_INSTRUCTIONS`."""
        return (
            f"Download {self.archives[0]} ({self.size}) from {self.page} and put it, packed or "
            f"unpacked (folder {self.folders[0]}), into the folder downloads/manual of data_dir, "
            "or into data_dir itself."
        )


def find_download(
    name: str, download: Download, data_dir: str | os.PathLike, manual_dir: Path | None = None
) -> Path:
    """Look for a data set that was downloaded by hand.

    Args:
        name: the data set's.
        download: what is looked for.
        data_dir: where data sets are kept; it may be the unpacked folder itself.
        manual_dir: looked into first; `downloads/manual` of `data_dir` by default.

    Returns:
        The unpacked folder, or else the archive.

    Raises:
        InputError: neither is there.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> (root / "toys").mkdir()
        >>> _ = (root / "toys" / "names.txt").write_text("ball")
        >>> toys = Download(("toys.zip",), ("toys",), ("names.txt",), "https://toys.org", "1 MB")
        >>> find_download("toys", toys, root).name
        'toys'
    """
    root = Path(data_dir).expanduser()
    manual = Path(manual_dir) if manual_dir else root / "downloads" / "manual"
    for place in (manual, root):
        for folder in (*(place / each for each in download.folders), place):
            if any((folder / known).exists() for known in download.holds):
                return folder
        for archive in download.archives:
            if (place / archive).is_file():
                return place / archive
    raise InputError(
        f"Expected the data set {name} as {' or '.join(download.archives)}, or unpacked as the "
        f"folder {download.folders[0]}, in {manual} or {root}, found neither: download "
        f"{download.archives[0]} ({download.size}) from {download.page} and put it there."
    )


def is_image(name: str) -> bool:
    """Whether a file's ending is that of an image, and neither it nor its folders are hidden.

    Example:
        >>> is_image("val/0.JPEG"), is_image("val/notes.txt"), is_image("val/._0.JPEG")
        (True, False, False)
    """
    parts = name.split("/")
    hidden = any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX"
    return name.lower().endswith(SUFFIXES) and not hidden
