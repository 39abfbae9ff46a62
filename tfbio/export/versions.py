"""Numbered versions of a model in one folder, each of which appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tfbio.errors import InputError


def existing_versions(folder: Path) -> list[int]:
    """The versions in a model's folder, as TensorFlow Serving counts them.

    Args:
        folder: the folder of one model; it need not exist.

    Returns:
        The numbers of the entries named by an integer, sorted.

    Raises:
        InputError: the folder cannot be read.

    Example:
        >>> existing_versions(Path("no_such_folder"))
        []
    """
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(folder, error) from error
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def free_version(folder: Path, version: int | None = None) -> int:
    """The version asked for, if it is free, or the one after the highest.

    Args:
        folder: the folder of one model; it need not exist.
        version: a positive integer; None counts on from the highest version, or from 0.

    Returns:
        A version that does not exist yet.

    Raises:
        InputError: the version exists, is not a positive integer, or the folder cannot be read.

    Example:
        >>> free_version(Path("no_such_folder"))
        1
    """
    if version is not None and (
        not isinstance(version, int) or isinstance(version, bool) or version < 1
    ):
        raise InputError(
            f"Expected a version that is a positive integer, received {version!r}: give 1 or "
            "more, or None for the next free one."
        )
    versions = existing_versions(folder)
    if version is None:
        return max(versions, default=0) + 1
    if version in versions:
        raise _taken(folder / str(version))
    return version


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made or written, before any work; leave it as it was.

    Args:
        folder: the folder of all exported models; it need not exist.

    Raises:
        InputError: the folder cannot be made or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     check_writable(Path(parent, "exported"))
        ...     Path(parent, "exported").exists()
        False
    """
    made = _missing(folder)
    with staging_folder(folder):
        pass
    _remove_empty(made)


@contextlib.contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder inside a model's folder, for work that `publish` moves into place.

    TensorFlow Serving passes over it, for its name is no integer. It is removed at the end of the
    block; if the block fails, so are the folders above that had to be made. Only a process that
    is killed leaves it.

    Args:
        folder: the folder of one model; made if it does not exist.

    Yields:
        The path of the hidden folder.

    Raises:
        InputError: the folder cannot be made or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as models, staging_folder(Path(models)) as staging:
        ...     staging.name.startswith(".export-")
        True
    """
    made = _missing(folder)
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Within the same folder, hence the same file system: a rename is atomic.
            staging = tempfile.TemporaryDirectory(prefix=".export-", dir=folder)
        except OSError as error:
            raise _unusable(folder, error) from error
        with staging as path:
            yield Path(path)
    except BaseException:
        _remove_empty(made)
        raise


def publish(finished: Path, destination: Path) -> None:
    """Move a finished folder to its place in one step.

    Args:
        finished: a folder inside a `staging_folder`.
        destination: where it goes; nothing may be there.

    Raises:
        InputError: something is there, such as the work of another export at the same time.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as models, staging_folder(Path(models)) as staging:
        ...     (staging / "finished").mkdir()
        ...     publish(staging / "finished", Path(models, "1"))
        ...     existing_versions(Path(models))
        [1]
    """
    try:
        os.rename(finished, destination)
    except OSError as error:
        if destination.exists():
            raise _taken(destination) from error
        raise


def _missing(folder: Path) -> list[Path]:
    """The folders that have to be made for a folder to be there, the deepest first."""
    try:
        return [path for path in (folder, *folder.parents) if not path.exists()]
    except OSError as error:
        raise _unusable(folder, error) from error


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _taken(destination: Path) -> InputError:
    return InputError(
        f"Expected a version that does not exist yet, received {destination.name}, which is in "
        f"{str(destination.parent)!r}: give another version, or None for the next free one."
    )


def _unusable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"Expected a folder that can be written, received {str(folder)!r}: "
        f"{error.strerror or error}; give another output folder."
    )
