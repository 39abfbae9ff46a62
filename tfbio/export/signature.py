"""Signatures: the ways to ask an exported model, each one object, registered under its name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfbio.errors import InputError, UnknownNameError
from tfbio.export.context import ExportContext

_PREFIX = "serving_"


@dataclass(frozen=True)
class TensorInfo:
    """What a signature takes or gives under one name.

    Attributes:
        dtype: `"float32"`, `"uint8"`, `"string"` or another name of TensorFlow's.
        shape: numbers, and names of sizes: `"N"` images, `"H"` and `"W"` pixels, `"classes"`, or
            any other name for a size that each request has its own of.
        description: what the values are, with their unit.

    Example:
        >>> print(TensorInfo("float32", ("N", "H", "W", 3), "pixel values in [0, 255]"))
        float32 (N, H, W, 3)
    """

    dtype: str
    shape: tuple[int | str, ...]
    description: str

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"

    def spec(self, name: str, context: ExportContext) -> tf.TensorSpec:
        """What TensorFlow calls it, with the sizes of a model.

        Args:
            name: of the input.
            context: the exported model.

        Returns:
            A `tf.TensorSpec`; sizes that no model decides are None in it.
        """
        sizes = {"H": context.height, "W": context.width, "classes": context.classes}
        shape = [sizes.get(side) if isinstance(side, str) else side for side in self.shape]
        return tf.TensorSpec(shape, self.dtype, name=name)


@dataclass(frozen=True)
class Signature:
    """One way to ask an exported model.

    Attributes:
        name: the name it is served by, such as `serving_bytes`.
        description: what it is for, in one sentence.
        inputs: what a request holds, by name.
        outputs: what the answer holds, by name.
        answer: the graph: a function of the `ExportContext` and one tensor for each input that
            returns a dictionary with one tensor for each output.
        why_not: a function of the `ExportContext` that returns what speaks against the signature,
            as the end of a sentence, or None for a model that has it.

    Example:
        The three likeliest labels, with their probabilities:

        >>> from tfbio.export import signature
        >>> def answer_top3(context, images):
        ...     probabilities, numbers = tf.math.top_k(context.predict(images)["probabilities"], 3)
        ...     return {"labels": context.label(numbers), "probabilities": probabilities}
        >>> top3 = Signature(
        ...     name="serving_top3",
        ...     description="Gives the three likeliest labels.",
        ...     inputs={"images": TensorInfo("float32", ("N", "H", "W", 3), "in [0, 255]")},
        ...     outputs={"labels": TensorInfo("string", ("N", 3), "the likeliest first"),
        ...              "probabilities": TensorInfo("float32", ("N", 3), "in the same order")},
        ...     answer=answer_top3,
        ... )
        >>> signature.register_signature(top3).name in signature.list_signatures()
        True
        >>> del signature._SIGNATURES["serving_top3"]
    """

    name: str
    description: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    answer: Callable[..., dict[str, tf.Tensor]]
    why_not: Callable[[ExportContext], str | None] = lambda context: None

    def specs(self, context: ExportContext) -> list[tf.TensorSpec]:
        """What a request to an exported model holds.

        Args:
            context: the exported model.

        Returns:
            One `tf.TensorSpec` for each input, in the order of the function's arguments.
        """
        return [info.spec(name, context) for name, info in self.inputs.items()]


_SIGNATURES: dict[str, Signature] = {}


def register_signature(signature: Signature) -> Signature:
    """Register a signature: from now on every export has it, of a model that it applies to.

    Args:
        signature: the signature.

    Returns:
        The signature as it is.

    Raises:
        InputError: the name is taken.

    Example:
        See `Signature`.
    """
    if signature.name in _SIGNATURES:
        raise InputError(
            f"Expected a new name of a signature, received {signature.name!r}, which is registered "
            "already: give another name."
        )
    _SIGNATURES[signature.name] = signature
    return signature


def list_signatures(pattern: str = "*") -> list[str]:
    """Names of the registered signatures that match a glob pattern, sorted.

    Args:
        pattern: as in a shell: `*` any characters, `?` one, `[ab]` one of these.

    Returns:
        A list of names; empty if none matches.

    Example:
        >>> import tfbio.export
        >>> tfbio.export.list_signatures("serving_noise_*")
        ['serving_noise_fixed', 'serving_noise_mean', 'serving_noise_off', 'serving_noise_sample']
    """
    return sorted(fnmatch.filter(_SIGNATURES, pattern))


def signature_info(name: str) -> Signature:
    """A registered signature.

    Args:
        name: its name, with or without `serving_`.

    Returns:
        The `Signature`.

    Raises:
        UnknownNameError: there is no such signature; the message offers the nearest names.

    Example:
        >>> import tfbio.export
        >>> print(tfbio.export.signature_info("bytes").inputs["image_bytes"])
        string (N,)
    """
    for known in (name, f"{_PREFIX}{name}"):
        if known in _SIGNATURES:
            return _SIGNATURES[known]
    raise UnknownNameError("signature", name, _SIGNATURES)


def chosen_signatures(context: ExportContext, names: Any = None) -> list[Signature]:
    """The signatures that an export has.

    Args:
        context: the exported model.
        names: names of signatures, with or without `serving_`; None for all that apply.

    Returns:
        Each of them once, in the order of the names, or of their registration.

    Raises:
        InputError: there are no names, or one is of a signature that the model cannot have.
        UnknownNameError: there is no such signature.
    """
    if names is None:
        return [each for each in _SIGNATURES.values() if each.why_not(context) is None]
    if isinstance(names, str) or not names:
        raise InputError(
            f"Expected a list of one or more signatures, received {names!r}: give names, such as "
            "['default', 'bytes'], or None for all that the model can have."
        )
    chosen = {signature.name: signature for signature in map(signature_info, names)}
    for name, signature in chosen.items():
        reason = signature.why_not(context)
        if reason is not None:
            possible = ", ".join(each.name for each in chosen_signatures(context))
            raise InputError(
                f"Expected signatures that {context.model.name!r} can have ({possible}), received "
                f"{name!r}, which {reason}: leave it out."
            )
    return list(chosen.values())


def signature_table() -> str:
    """The registered signatures and their tensors, as two tables in Markdown.

    Returns:
        What stands in `docs/export.md`.

    Example:
        >>> import tfbio.export
        >>> print(tfbio.export.signature_table().splitlines()[0])
        | signature | request | answer | what it is |
    """
    lines = ["| signature | request | answer | what it is |", "|---|---|---|---|"]
    tensors: dict[str, None] = {}
    for each in _SIGNATURES.values():
        request, answer = (
            ", ".join(f"`{name}`" for name in d) for d in (each.inputs, each.outputs)
        )
        lines.append(f"| `{each.name}` | {request} | {answer} | {each.description} |")
        for name, info in (*each.inputs.items(), *each.outputs.items()):
            tensors[f"| `{name}` | {info} | {info.description} |"] = None
    return "\n".join(
        [*lines, "", "| tensor | type and shape | what it is |", "|---|---|---|", *tensors]
    )
