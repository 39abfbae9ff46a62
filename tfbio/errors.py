"""What a user can get wrong, as exceptions of one sentence each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 20


class InputError(ValueError):
    """Something that the user gave does not fit.

    Its message is one sentence or a short list: what was expected, what was received, what to do.
    The commands print it without a traceback and exit with code 2.

    Example:
        >>> raise InputError("Expected a positive width, received -1: give a number above 0.")
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected a positive width, received -1: give a number above 0.
    """

    # TensorFlow's AutoGraph asks for it: the error leaves a `tf.function` as it is.
    ag_pass_through = True


class UnknownNameError(InputError):
    """A name that is not among the known ones; the message offers the nearest.

    Args:
        kind: what the name should name, such as `"model"`.
        name: what was received.
        known: the names that exist.

    Example:
        >>> raise UnknownNameError("model", "bl_rcn", ["bl_rcnn", "b_cnn"])
        Traceback (most recent call last):
            ...
        tfbio.errors.UnknownNameError: Unknown model 'bl_rcn'. Nearest: bl_rcnn, b_cnn.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        self.kind = kind
        self.name = name
        known = sorted(known)
        nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
        if nearest:
            offer = f"Nearest: {', '.join(nearest)}."
        elif len(known) <= _LISTED:
            offer = f"Known: {', '.join(known)}."
        else:
            offer = f"Known: {', '.join(known[:_LISTED])} and {len(known) - _LISTED} more."
        super().__init__(f"Unknown {kind} {str(name)!r}. {offer}")
