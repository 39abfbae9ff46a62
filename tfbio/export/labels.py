"""Class labels as a text file, one a line, in the order of the classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tfbio.errors import InputError


def load_labels(path: str | os.PathLike[str]) -> list[str]:
    """Read class labels, one a line, in the order of the classes.

    Args:
        path: a UTF-8 text file, such as `assets/labels.txt` of an exported model.

    Returns:
        A list of labels.

    Raises:
        InputError: the file cannot be read, is not UTF-8 or has an empty line.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "labels.txt")
        ...     _ = path.write_text("cat\\ndog\\n")
        ...     load_labels(path)
        ['cat', 'dog']
    """
    try:
        # Universal newlines, and nothing else that `str.splitlines` would split at.
        lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Expected a UTF-8 text file of labels, one a line, received {os.fspath(path)!r}: "
            f"{getattr(error, 'strerror', None) or error}; give another file."
        ) from error
    check_labels(lines)
    return lines


def check_labels(labels: Sequence[str], classes: int | None = None) -> None:
    """Check that labels can stand in a file, one a line, and that there is one for each class.

    Args:
        labels: the labels, in the order of the classes.
        classes: the number of classes; None takes any number.

    Raises:
        InputError: they are not a sequence of strings, too few or too many, or one is empty or
            has a line break.

    Example:
        >>> check_labels(["cat", "dog"], classes=3)
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected 3 labels, one for each class, received 2: give one label
        for each class, in the order of the classes.
    """
    if isinstance(labels, str):
        raise InputError(
            f"Expected a list of labels, received the string {labels!r}: give a list, or "
            "`tfbio.export.load_labels(path)` if it names a file."
        )
    for index, label in enumerate(labels):
        if not isinstance(label, str) or not label or "\n" in label or "\r" in label:
            raise InputError(
                "Expected every label to be a string of one line that is not empty, received "
                f"{label!r} for class {index}: change this label."
            )
    if classes is not None and len(labels) != classes:
        raise InputError(
            f"Expected {classes} labels, one for each class, received {len(labels)}: give one "
            "label for each class, in the order of the classes."
        )
