"""`tfbio.evaluate`: a protocol on a trained model and data."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfbio._compiled import forget_compiled_functions
from tfbio.datasets.registry import canonical_name, corrupted_base
from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation.data import DataRequest, EvaluationData
from tfbio.evaluation.description import (
    described_evaluation,
    options_label,
    presentation_facts,
    presentation_label,
)
from tfbio.evaluation.protocol import Protocol, Work, protocol_info
from tfbio.evaluation.table import UNFINISHED, Table, check_writable, to_json
from tfbio.framing import Framing
from tfbio.layers.neuronal_noise import Sampling
from tfbio.models.noise import noise_layers, noise_setting

if TYPE_CHECKING:
    from tfbio.datasets.presentation import Presentation
    from tfbio.datasets.source import DataSource
    from tfbio.training.config import NoiseConfig
    from tfbio.training.trained import TrainedModel


@dataclass(frozen=True)
class Evaluation:
    """A protocol with everything that it works on, ready to run.

    Attributes:
        protocol: what is measured.
        trained: the model, with the time steps that were asked for.
        data: the images; None for a protocol that makes its own.
        options: of the protocol.
        description: a line that says what is evaluated on what.
        facts: what a results file says of it.
        folder: where results belong: what was given, or a folder of its own in that of the run;
            None for a model without a folder. Nothing is written there before `Table.write`.
        noise: how the noise of the model is drawn meanwhile.
    """

    protocol: Protocol
    trained: TrainedModel
    data: EvaluationData | None
    options: Any
    description: str
    facts: Mapping[str, Any]
    folder: Path | None
    noise: NoiseConfig

    @property
    def images(self) -> int:
        """Number of images that the protocol reports to `progress`; 0 if it is not known."""
        return 0 if self.data is None else self.data.images

    def run(
        self,
        progress: Callable[[int], Any] | None = None,
        folder: str | os.PathLike | None = None,
    ) -> Table:
        """Do the work.

        Args:
            progress: called with a number of images that are done, as often as the protocol does.
            folder: where the results will be written with `Table.write`. Before the work it is
                refused if that will not be possible, and a long protocol keeps what it has done
                there until then, so that it goes on after an interruption.

        Returns:
            The table of the protocol.

        Raises:
            InputError: the folder cannot be written to, or the data cannot be measured.
        """
        unfinished = None
        if folder is not None:
            check_writable(folder)
            unfinished = Path(folder) / UNFINISHED / self._fingerprint()
        work = Work(unfinished=unfinished)
        if progress is not None:
            work = replace(work, progress=progress)
        with noise_drawn(self.trained.model, self.noise):
            table = self.protocol.run(self.trained, self.data, self.options, work)
        notes = self.data.source.notes if self.data is not None else ()
        return replace(
            table, facts=dict(self.facts), notes=tuple(dict.fromkeys((*notes, *table.notes)))
        )

    def _fingerprint(self) -> str:
        """The same for an evaluation of the same weights, data and options; else another."""
        what = {
            **self.facts,
            "protocol": self.protocol.name,
            "options": dataclasses.asdict(self.options),
            "batch_size": None if self.data is None else self.data.batch_size,
        }
        digest = zlib.crc32(to_json(what).encode())
        for weight in self.trained.model.weights:
            value = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
            digest = zlib.crc32(value.tobytes(), digest)
        return f"{digest:08x}"


def evaluate(
    trained: Any,
    protocol: str | None = None,
    data: Any = None,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike | None = None,
    batch_size: int = 32,
    presentation: Presentation | None = None,
    framing: Framing | None = None,
    image_size: int | tuple[int, int] | None = None,
    timesteps: int | None = None,
    max_bad_images: int = 0,
    noise: Sampling | None = None,
    noise_seed: int | None = None,
    noise_draws: int | None = None,
    output: str | os.PathLike | None = None,
    progress: Callable[[int], Any] | None = None,
    **options: Any,
) -> Any:
    """Evaluate a model with a protocol.

    Args:
        trained: a run or its folder, a `.keras` file, a `TrainedModel`, or any `keras.Model` that
            classifies images.
        protocol: a name of `list_protocols`. By default `"accuracy"`, or `"corruptions"` for a
            data set of corrupted images.
        data: the name of a data set, a `DataSource`, arrays (images, labels) or a
            `tf.data.Dataset` of such pairs, all of which are measured, or a mapping of either from
            `"train"`, `"validation"` and `"test"`. By default what the model was trained on.
        split: name of the split. By default `"test"` where there is one, else `"validation"`.
        data_dir: where data sets are kept, or the folder of images. By default that of the
            training, for the same data set.
        batch_size: images a step.
        presentation: what is made of the images. By default as in training on the data set of the
            training, and nothing on others, which may be of a kind of their own.
        framing: which part of an image the model sees. By default that of the model.
        image_size: height and width in pixels, or one number for both, for a model whose input has
            no fixed size. By default the published one.
        timesteps: time steps of a recurrent model that can be run for another number, see
            `tfbio.with_timesteps`. By default the model's own.
        max_bad_images: unreadable images to count as wrong and go on.
        noise: how the noise of a model is drawn meanwhile, see `tfbio.models.set_noise`; the model
            is left as it was. By default as the model draws it.
        noise_seed: of fixed noise, or where samples start.
        noise_draws: number of samples that are averaged with `noise="mean"`.
        output: a folder to write the results to. By default nothing is written; `table.write`
            does so later.
        progress: called with the number of images after every batch.
        **options: of the protocol, see `protocol_info(name).options`.

    Returns:
        The table of the protocol, such as an `AccuracyTable`: `rows()`, `plot()`,
        `write(folder)`, and a text if it is printed.

    Raises:
        UnknownNameError: there is no such protocol, data set, split or option.
        InputError: something does not fit together, or the output cannot be written.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
        >>> images, labels = np.full((20, 32, 32, 3), 255, "uint8"), np.arange(20) % 2
        >>> table = tfbio.evaluate(model, data=(images, labels))
        >>> table.images, table.rows()[0]["top1"]
        (20, 0.5)
    """
    evaluation = prepare_evaluation(
        trained,
        protocol,
        data,
        split=split,
        data_dir=data_dir,
        batch_size=batch_size,
        presentation=presentation,
        framing=framing,
        image_size=image_size,
        timesteps=timesteps,
        max_bad_images=max_bad_images,
        noise=noise,
        noise_seed=noise_seed,
        noise_draws=noise_draws,
        output=output,
        **options,
    )
    table = evaluation.run(progress, output)
    if output is not None:
        table.write(output)
    return table


def prepare_evaluation(
    trained: Any,
    protocol: str | None = None,
    data: Any = None,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike | None = None,
    batch_size: int = 32,
    presentation: Presentation | None = None,
    framing: Framing | None = None,
    image_size: int | tuple[int, int] | None = None,
    timesteps: int | None = None,
    max_bad_images: int = 0,
    noise: Sampling | None = None,
    noise_seed: int | None = None,
    noise_draws: int | None = None,
    output: str | os.PathLike | None = None,
    **options: Any,
) -> Evaluation:
    """Everything of `evaluate` before the work: what can be refused is refused here.

    Args:
        trained: see `evaluate`, as all arguments.
        protocol: its name.
        data: what to evaluate on.
        split: name of the split.
        data_dir: where the data are.
        batch_size: images a step.
        presentation: what is made of the images.
        framing: which part of an image the model sees.
        image_size: of an input without a fixed size, pixels.
        timesteps: of a recurrent model.
        max_bad_images: unreadable images to count as wrong.
        noise: how the noise of a model is drawn.
        noise_seed: of the noise.
        noise_draws: samples to average.
        output: folder of the results. By default one of its own in the folder of the run.
        **options: of the protocol.

    Returns:
        An `Evaluation`.

    Raises:
        UnknownNameError: there is no such protocol, data set, split or option.
        InputError: something does not fit together.
    """
    from tfbio.datasets.presentation import PLAIN
    from tfbio.training.config import NoiseConfig
    from tfbio.training.trained import as_trained

    trained = as_trained(trained)
    check_classifier(trained.model)
    of_training = _trained_on(trained)
    dataset, source = _data_set(trained, of_training if data is None else data)
    default = _default_protocol(dataset)
    chosen = protocol_info(default if protocol is None else protocol)
    its_options = chosen.make_options(options)
    drawn = NoiseConfig(noise, noise_seed, noise_draws)
    if timesteps is not None or framing is not None:
        trained = trained.adjusted(timesteps=timesteps, framing=framing)
    if data_dir is None and source is None and _images_of(dataset) == of_training:
        data_dir = trained.data_dir
    if presentation is None:
        same = source is None and dataset == of_training
        presentation = trained.presentation if same else PLAIN
    request = DataRequest(
        trained=trained,
        dataset=dataset,
        source=source,
        data_dir=None if data_dir is None else os.fspath(data_dir),
        max_bad_images=max_bad_images,
        split=split,
        batch_size=batch_size,
        image_size=_image_size(trained, image_size),
        framing=trained.framing,
        presentation=presentation,
    )
    loaded = chosen.prepare(request, its_options)
    if loaded is None and data is not None:
        raise InputError(
            f"Expected no data with the protocol {chosen.name}, which makes its own images: leave "
            "it out."
        )
    with noise_drawn(trained.model, drawn):
        facts = _facts(request, loaded, noise_setting(trained.model))
    label = [] if loaded is None else [loaded.label, loaded.split.name]
    if chosen.name != default:
        # The tables of other protocols do not replace those of the default one.
        label.append(chosen.name)
        facts |= {"protocol": chosen.name, "options": dataclasses.asdict(its_options)}
    # Another noise, number of time steps, presentation or choice of options is another result.
    of_its_own = (
        f"{'-'.join(label)}{options_label(its_options)}"
        f"{'' if loaded is None else presentation_label(loaded.presentation)}"
        f"{f'-noise_{noise}' if noise else ''}{f'-timesteps_{timesteps}' if timesteps else ''}"
    )
    folder = None if output is None else Path(output)
    if folder is None and trained.folder is not None:
        folder = Path(trained.folder) / "evaluations" / of_its_own
    description = described_evaluation(trained, request.image_size, loaded)
    return Evaluation(chosen, trained, loaded, its_options, description, facts, folder, drawn)


@contextlib.contextmanager
def noise_drawn(model: keras.Model, noise: NoiseConfig) -> Iterator[None]:
    """Draw the noise of a model in a way, and leave it as it was.

    Args:
        model: any.
        noise: how; with no sampling, as the model does.

    Raises:
        InputError: the model has no noise.
    """
    if noise.sampling is None:
        yield
        return
    before = [
        (
            layer,
            (layer.sampling, layer.fixed_seed, layer.draws),
            keras.ops.convert_to_numpy(layer.seed_generator.state),
        )
        for layer in noise_layers(model)
    ]
    noise.apply(model)
    try:
        yield
    finally:
        for layer, settings, state in before:
            layer.sampling, layer.fixed_seed, layer.draws = settings
            layer.seed_generator.state.assign(state)
        forget_compiled_functions(model)


def check_classifier(model: keras.Model) -> None:
    """Refuse a model that does not give one answer for each RGB image, or one a time step.

    Args:
        model: any.

    Raises:
        InputError: it has another kind of input or output, or is not built.

    Example:
        >>> import keras
        >>> check_classifier(keras.Sequential([keras.layers.Dense(2)], name="early"))
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected a model whose input is known, received 'early': build it
        with an Input of (height, width, 3).
    """
    if not getattr(model, "inputs", None):
        raise InputError(
            f"Expected a model whose input is known, received {model.name!r}: build it with an "
            "Input of (height, width, 3)."
        )
    received = ", ".join(
        f"{len(tensors)} {kind}{'s' if len(tensors) > 1 else ''} of shape "
        f"{' and '.join(str(tuple(each.shape)) for each in tensors)}"
        for kind, tensors in (("input", model.inputs), ("output", model.outputs))
    )
    images, answers = model.inputs[0].shape, model.outputs[0].shape
    if (
        len(model.inputs) > 1
        or len(model.outputs) > 1
        or len(images) != 4
        or images[-1] != 3
        or len(answers) not in (2, 3)
    ):
        raise InputError(
            "Expected a classifier of images, with one input of (batch, height, width, 3) and one "
            f"output of (batch, classes) or (batch, time steps, classes), received {model.name!r} "
            f"with {received}."
        )


def _data_set(trained: TrainedModel, data: Any) -> tuple[str | None, DataSource | None]:
    """The canonical name of a data set, or else what the user gave in its place."""
    from tfbio.datasets.source import DataSource

    if data is None:
        return None, None
    if isinstance(data, str):
        return canonical_name(data), None
    if isinstance(data, DataSource):
        return None, data
    from tfbio.datasets import as_data_source

    names = trained.class_names or None
    # All of what is given is measured.
    splits = data if isinstance(data, Mapping) else {"test": data}
    return None, as_data_source(splits, names)


def _default_protocol(dataset: str | None) -> str:
    if dataset is None:
        return "accuracy"
    from tfbio.datasets.corrupted import is_corrupted

    return "corruptions" if is_corrupted(dataset) else "accuracy"


def _images_of(dataset: str | None) -> str | None:
    """The data set whose images these are, corrupted or not: they lie in the same place."""
    if dataset is None:
        return None
    return corrupted_base(dataset) or dataset


def _trained_on(trained: TrainedModel) -> str | None:
    """The canonical name of the data set of the training; None if that is not known."""
    if trained.dataset is None:
        return None
    try:
        return canonical_name(trained.dataset)
    except UnknownNameError:
        # Its module is not imported now, and need not be for other data.
        return trained.dataset


def _image_size(trained: TrainedModel, wanted: int | tuple[int, int] | None) -> tuple[int, int]:
    if isinstance(wanted, int):
        wanted = (wanted, wanted)
    height, width = trained.model.input_shape[1:3]
    if height is None or width is None:
        if wanted is not None:
            return wanted[0], wanted[1]
        if trained.info is not None:
            return trained.info.input_shape[:2]
        raise InputError(
            f"Expected image_size with {trained.model.name!r}, whose input has no fixed size."
        )
    if wanted is not None and tuple(wanted) != (height, width):
        raise InputError(
            f"Expected images of {height} x {width} pixels, the input of {trained.model.name!r}, "
            f"received an image_size of {wanted[0]} x {wanted[1]}: leave it out."
        )
    return height, width


def _facts(
    request: DataRequest, data: EvaluationData | None, noise: dict[str, Any] | None
) -> dict[str, Any]:
    trained, framing, folder = request.trained, request.framing, request.data_dir
    return {
        "model": trained.model.name if trained.info is None else trained.info.name,
        "weights": trained.description,
        "dataset": None if data is None else data.label,
        "data_dir": None if folder is None else str(Path(folder).resolve()),
        "split": None if data is None else data.split.name,
        "image_size": list(request.image_size),
        "crop_ratio": framing.crop_ratio,
        "resize_through": framing.resize_through,
        "noise": noise,
        **presentation_facts(request.presentation),
    }
