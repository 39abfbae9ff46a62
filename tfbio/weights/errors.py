"""The one error that loading weights raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfbio.errors import InputError

Shape = tuple[int, ...]
# Names of each kind in the message; the attributes have them all.
_SHOWN = 12


class WeightsError(InputError):
    """A weights file that cannot be read, or does not fit the model, which is left as it was.

    The message lists the first tensors of each kind, the attributes all.

    Attributes:
        missing: tensors that the model has and the file has not.
        unexpected: tensors that the file has and the model has not.
        mismatched: name to (expected shape, received shape).
        differing: constants of the original that the model derives itself, with other values.
        not_float: tensors of another kind than floating point.
        not_finite: tensors that hold NaN or an infinity, or overflow the model's precision.

    Example:
        >>> raise WeightsError("weights.h5 does not fit 'b_cnn'.", missing=["ReadoutDense/bias"])
        Traceback (most recent call last):
            ...
        tfbio.weights.errors.WeightsError: weights.h5 does not fit 'b_cnn'.
          missing (1): ReadoutDense/bias
    """

    def __init__(
        self,
        sentence: str,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        mismatched: Mapping[str, tuple[Shape, Shape]] | None = None,
        differing: Sequence[str] = (),
        not_float: Sequence[str] = (),
        not_finite: Sequence[str] = (),
    ):
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.mismatched = dict(mismatched or {})
        self.differing = tuple(differing)
        self.not_float = tuple(not_float)
        self.not_finite = tuple(not_finite)
        groups = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": tuple(
                f"{name} (expected {expected}, received {received})"
                for name, (expected, received) in self.mismatched.items()
            ),
            "constants of other values": self.differing,
            "not floating point": self.not_float,
            "not finite": self.not_finite,
        }
        lines = [
            f"  {kind} ({len(names)}): {_some(names)}" for kind, names in groups.items() if names
        ]
        super().__init__("\n".join([sentence, *lines]))


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
