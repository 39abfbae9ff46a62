"""The registry of protocols: ways to evaluate a model, each a function that returns a table."""

from __future__ import annotations

import dataclasses
import fnmatch
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfbio._documentation import described_arguments
from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation.data import DataRequest, EvaluationData, one_split

if TYPE_CHECKING:
    from tfbio.evaluation.table import Table
    from tfbio.training.trained import TrainedModel

# Keywords of `tfbio.evaluate` and flags of its command: no option has such a name.
RESERVED = frozenset(
    {
        "trained",
        "protocol",
        "data",
        "dataset",
        "split",
        "data_dir",
        "batch_size",
        "presentation",
        "framing",
        "image_size",
        "timesteps",
        "max_bad_images",
        "noise",
        "noise_seed",
        "noise_draws",
        "output",
        "progress",
        # Of the command alone.
        "run",
        "runs_dir",
        "model",
        "weights",
        "import",
        "crop_ratio",
        "resize_through",
        "condition",
        "condition_level",
        "stimulus",
        "help",
        "flagfile",
    }
)


@dataclass(frozen=True)
class NoOptions:
    """The options of a protocol that has none."""


@dataclass(frozen=True)
class Work:
    """What a protocol reports to while it runs.

    Attributes:
        progress: called with a number of images that are done, until they are all of
            `EvaluationData.images`.
        unfinished: a folder for the parts of a long evaluation, so that one that was interrupted
            goes on where it stopped; the protocol makes it when it needs it. What is in it was
            made by the same evaluation: the same model and weights, data and options. It is
            removed when the results are written. None where results have no folder.
    """

    progress: Callable[[int], Any] = lambda images: None
    unfinished: Path | None = None


Run = Callable[["TrainedModel", Any, Any, Work], "Table"]
Prepare = Callable[[DataRequest, Any], "EvaluationData | None"]


@dataclass(frozen=True)
class Protocol:
    """A way to evaluate a model.

    Attributes:
        name: the registered name.
        run: the function, of a trained model, `EvaluationData`, the options and `Work`; it returns
            a `Table`.
        options: a frozen dataclass. Its fields are the command's flags and keywords of
            `tfbio.evaluate`.
        reference: where the protocol is defined: authors, year, DOI. Empty if nowhere.
        prepare: a function of `DataRequest` and the options, which loads the data before the work
            begins. It returns `EvaluationData`, or None for a protocol that makes its own images.
    """

    name: str
    run: Run
    options: type = NoOptions
    reference: str = ""
    prepare: Prepare = one_split

    @property
    def summary(self) -> str:
        """What the protocol measures, one sentence: the first of its docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n\n")[0].replace("\n", " ")

    @property
    def option_names(self) -> tuple[str, ...]:
        """The names of the options."""
        return tuple(each.name for each in dataclasses.fields(self.options))

    def make_options(self, given: Mapping[str, Any]) -> Any:
        """The options, those that are given and the defaults of the others.

        Args:
            given: by name.

        Returns:
            An instance of `options`.

        Raises:
            UnknownNameError: the protocol has no option of this name.
            InputError: an option belongs to another protocol, or has a value that it cannot have.

        Example:
            >>> import tfbio.evaluation
            >>> tfbio.evaluation.protocol_info("corruptions").make_options({"corruptions": ["fog"]})
            CorruptionOptions(corruptions=('fog',), severities=None)
        """
        for name in given:
            if name in self.option_names:
                continue
            others = [each.name for each in _PROTOCOLS.values() if name in each.option_names]
            if others:
                raise InputError(
                    f"Expected --{name} with --protocol={' or '.join(others)} only, received it "
                    f"with {self.name}: leave it out."
                )
            known = self.option_names or ("none",)
            raise UnknownNameError(f"option of the protocol {self.name}", name, known)
        return self.options(**given)


_PROTOCOLS: dict[str, Protocol] = {}


def register_protocol(
    name: str, options: type = NoOptions, reference: str = "", prepare: Prepare = one_split
) -> Callable[[Run], Run]:
    """Register the decorated function as a protocol.

    The command, `tfbio.evaluate`, their help and the table of `docs/protocols.md` know it by this
    alone. Its docstring begins with one sentence that says what it measures.

    Args:
        name: of the protocol.
        options: a frozen dataclass. Each field has a type that a flag can be made of, a default,
            and a description in the class's docstring; values are checked in `__post_init__`.
        reference: where the protocol is defined: authors, year, DOI.
        prepare: what loads the data; by default one split of one data set, see `Protocol`.

    Returns:
        A decorator that hands the function back as it is.

    Raises:
        ValueError: the name is taken, or something is not documented.

    Example:
        >>> from dataclasses import dataclass
        >>> from tfbio.evaluation import Table, protocol, register_protocol
        >>> @dataclass(frozen=True)
        ... class SizeOptions:
        ...     '''Options.
        ...
        ...     Args:
        ...         factor: what the number is multiplied by.
        ...     '''
        ...     factor: int = 1
        >>> @dataclass(frozen=True)
        ... class SizeTable(Table):
        ...     size: int
        ...     def rows(self):
        ...         return [{"size": self.size}]
        ...     def draw(self, figure):
        ...         figure.text(0.5, 0.5, self.size)
        >>> @register_protocol("size", SizeOptions)
        ... def size(trained, data, options, work):
        ...     '''The number of images.'''
        ...     work.progress(data.images)
        ...     return SizeTable(data.split.size * options.factor)
        >>> protocol.protocol_info("size").summary
        'The number of images.'
        >>> del protocol._PROTOCOLS["size"]
    """

    def register(run: Run) -> Run:
        protocol = Protocol(name, run, options, reference, prepare)
        _check(protocol)
        _PROTOCOLS[name] = protocol
        return run

    return register


def list_protocols(pattern: str = "*") -> list[str]:
    """Names of the registered protocols that match a glob pattern, sorted.

    Args:
        pattern: as in a shell: `*` any characters, `?` one, `[ab]` one of these.

    Returns:
        A list of names; empty if none matches.

    Example:
        >>> import tfbio.evaluation
        >>> tfbio.evaluation.list_protocols("a*")
        ['accuracy']
    """
    return sorted(fnmatch.filter(_PROTOCOLS, pattern))


def protocol_info(name: str) -> Protocol:
    """What the registry knows of a protocol.

    Args:
        name: a registered name.

    Returns:
        A `Protocol`.

    Raises:
        UnknownNameError: there is no such protocol; the message offers the nearest names.

    Example:
        >>> import tfbio.evaluation
        >>> tfbio.evaluation.protocol_info("corruptions").option_names
        ('corruptions', 'severities')
    """
    if name not in _PROTOCOLS:
        raise UnknownNameError("protocol", name, _PROTOCOLS)
    return _PROTOCOLS[name]


def _check(protocol: Protocol) -> None:
    """Refuse what the command and the documentation could not show."""
    name = protocol.name
    known = _PROTOCOLS.get(name)
    # A cell of a notebook may be run again.
    if known is not None and known.run.__module__ != protocol.run.__module__:
        raise ValueError(f"Expected a new name for a protocol, received {name!r}, registered.")
    if not protocol.summary.endswith("."):
        raise ValueError(f"Expected a docstring that says what the protocol {name!r} measures.")
    if not dataclasses.is_dataclass(protocol.options):
        raise ValueError(f"Expected a dataclass for the options of {name!r}.")
    described = described_arguments(protocol.options)
    for each in dataclasses.fields(protocol.options):
        if each.name in RESERVED:
            raise ValueError(f"Expected another name for the option {each.name!r} of {name!r}.")
        if each.default is dataclasses.MISSING:
            raise ValueError(f"Expected a default for the option {each.name!r} of {name!r}.")
        if each.name not in described:
            raise ValueError(f"Expected a description of the option {each.name!r} of {name!r}.")
