"""What a training is: a tree of frozen dataclasses, whose fields are documented here alone.

Flags of `train.py`, keywords of `tfbio.train`, `config.json` of a run and the tables of the
documentation are made from these fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from tfbio._configuration import as_json, as_native, check_options, from_json, option
from tfbio.datasets.names import AugmentationName, ConditionName, StimulusName
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing
from tfbio.layers.neuronal_noise import Sampling
from tfbio.models.registry import list_models, model_info
from tfbio.training.optimizer import OptimizerConfig

if TYPE_CHECKING:
    from tfbio.datasets.presentation import Presentation

# Of `config.json`; higher where an older tfbio could not read it.
CONFIG_VERSION = 1
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, init=False)
class ModelConfig:
    """Model.

    Args:
        name: model of the registry, such as bl_rcnn.
        image_size: height and width of the input, pixels. Default: as published.
        full_size: on the embedded data sets, the published size, not the quick one.
        weights: weights to start from: a file, or the model.keras or folder of a run, which then
            decides the model's arguments too.
        imports: modules of your own that register models or data sets: my_models.
        fingerprint: of a model that is not of the registry; None for one that is.
        arguments: of the builder, by name; they can be given as keywords.

    Raises:
        UnknownNameError: there is no such model.
        InputError: the model does not take one of the arguments, or has no classifier.

    Example:
        >>> ModelConfig("bl_rcnn", timesteps=4, width=0.125).arguments
        {'timesteps': 4, 'width': 0.125}
    """

    name: str = option("bl_rcnn", name="model")
    image_size: int | None = option(minimum=1)
    full_size: bool = option(False, setting=False)
    weights: str | None = option(path=True)
    imports: tuple[str, ...] = option((), name="import", example="my_models")
    fingerprint: str | None = option(name="model_fingerprint", hidden=True)
    arguments: Mapping[str, Any] = option(hidden=True)

    def __init__(
        self,
        name: str = "bl_rcnn",
        *,
        image_size: int | None = None,
        full_size: bool = False,
        weights: str | None = None,
        imports: tuple[str, ...] = (),
        fingerprint: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        **keywords: Any,
    ):
        values = {
            "name": name,
            "image_size": image_size,
            "full_size": full_size,
            "weights": weights,
            "imports": imports,
            "fingerprint": fingerprint,
            "arguments": {
                argument: as_native(value)
                for argument, value in {**(arguments or {}), **keywords}.items()
            },
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        check_options(self)
        if fingerprint is None:
            self._check()

    def _check(self) -> None:
        info = model_info(self.name)
        if not info.classifier:
            raise InputError(
                f"Expected a model with a classifier, received {info.name}, which gives responses: "
                "it is for `tfbio.create_model`. `tfbio.list_models()` names the others."
            )
        strange = [name for name in self.arguments if name not in info.arguments]
        for name in strange:
            if not any(name in model_info(other).arguments for other in list_models()):
                raise UnknownNameError(f"argument of {info.name}", name, info.arguments)
        if strange:
            named = " or ".join(f"--{name}" for name in strange)
            raise InputError(f"{info.name} takes no {named}: leave it out.")
        if self.image_size is not None and "input_shape" in self.arguments:
            raise InputError(
                f"Expected image_size={self.image_size} or "
                f"input_shape={self.arguments['input_shape']}, received both: leave one out."
            )

    def builder_arguments(self) -> dict[str, Any]:
        """The arguments of the registered builder, but for `classes` and `weights`.

        Example:
            >>> ModelConfig("b_cnn", image_size=64).builder_arguments()
            {'input_shape': (64, 64, 3)}
        """
        info = model_info(self.name)
        arguments = dict(self.arguments)
        if self.image_size is not None:
            arguments["input_shape"] = (self.image_size, self.image_size, 3)
        if info.recurrent:
            arguments.setdefault("return_sequences", info.trained_over_time)
        return arguments


@dataclass(frozen=True)
class DataConfig:
    """Data.

    Args:
        name: name of a data set: shapes, image_folder, or one of TFDS.
        data_dir: the image folder, or where data sets are kept.
        max_bad_images: go on without this many unreadable images.
        cache: where decoded images are kept, so that each is decoded once; they have to fit.
        augment: random changes of the training images: crop or random_resized_crop, flip, or
            none. Default: the data set's.
        framing: how images are brought to the size of the model's input.
        condition: viewing condition of the images. Default: the images as they are.
        condition_level: standard deviation of the condition noise (1 is black to white) or blur
            (pixels). Default: drawn for each image from the published levels.
        stimulus: diagnostic stimulus made of each image and the mask of its object.
        class_weights: how examples are weighed in the loss: balanced by one over the number of
            their class, 1 on average.
        fingerprint: of data that have no name; None for a data set that has one.

    Raises:
        InputError: a value is out of range, or a level stands without a condition.

    Example:
        >>> DataConfig("shapes", condition="blur", condition_level=2.0).presentation.condition
        ViewingCondition(name='blur', level=2.0)
    """

    name: str = option("shapes", name="dataset")
    data_dir: str | None = option(path=True)
    max_bad_images: int = option(0, minimum=0)
    cache: Literal["none", "memory", "disk"] = option("none")
    augment: tuple[AugmentationName, ...] | None = option(example="crop,flip")
    framing: Framing = option(Framing())
    condition: ConditionName | None = option()
    condition_level: float | None = option()
    stimulus: StimulusName | None = option()
    class_weights: Literal["equal", "balanced"] = option("equal")
    fingerprint: str | None = option(name="data_fingerprint", hidden=True)

    def __post_init__(self) -> None:
        check_options(self)
        for name in self.augment or ():
            if name not in get_args(AugmentationName):
                raise UnknownNameError("augmentation", name, get_args(AugmentationName))
        if self.condition is None and self.condition_level is not None:
            raise InputError(
                "Expected --condition=noise or --condition=blur with --condition_level, received "
                "the latter alone."
            )
        if self.condition is not None or self.stimulus is not None:
            # It checks them.
            _ = self.presentation

    @property
    def presentation(self) -> Presentation:
        """What is made of every image before the model sees it."""
        from tfbio.datasets.conditions import ViewingCondition
        from tfbio.datasets.presentation import Presentation

        condition = (
            None
            if self.condition is None
            else ViewingCondition(self.condition, self.condition_level)
        )
        return Presentation(self.stimulus, condition)


@dataclass(frozen=True)
class NoiseConfig:
    """Noise of the model.

    Args:
        sampling: how noise is drawn: anew, fixed, as the mean of some draws, or not at all.
            Default: as the model has it.
        seed: seed of fixed noise, or where samples start.
        draws: number of draws of the mean. Default: 10.

    Raises:
        InputError: a seed or draws stand without a sampling.

    Example:
        >>> NoiseConfig("fixed", seed=3)
        NoiseConfig(sampling='fixed', seed=3, draws=None)
    """

    sampling: Sampling | None = option(name="noise")
    seed: int | None = option(name="noise_seed")
    draws: int | None = option(name="noise_draws")

    def __post_init__(self) -> None:
        check_options(self)
        for name, value in (("noise_seed", self.seed), ("noise_draws", self.draws)):
            if value is not None and self.sampling is None:
                raise InputError(f"Expected --noise with --{name}, received the latter alone.")

    def apply(self, model: Any) -> None:
        """Draw the noise of a model so, if a sampling is chosen.

        Raises:
            InputError: the model has no noise.
        """
        from tfbio.models.noise import set_noise

        if self.sampling is not None:
            set_noise(model, self.sampling, self.seed, self.draws)


@dataclass(frozen=True)
class RecordingConfig:
    """Activity of layers, written down during the training.

    Args:
        layers: layers whose sparsity, mean and correlation are recorded at every epoch's end:
            patterns of names, such as 'ReLU_*', or default: convolutions, activations and
            divisive normalizations.
        images: validation images that are taken. Default: 64.
        steps: also record every so many steps.

    Raises:
        InputError: images or steps stand without layers.

    Example:
        >>> RecordingConfig(("ReLU_*",)).patterns
        ['ReLU_*']
    """

    layers: tuple[str, ...] | None = option(name="record_activity", example="ReLU_*")
    images: int | None = option(name="record_images", minimum=1)
    steps: int | None = option(name="record_steps", minimum=1)

    def __post_init__(self) -> None:
        check_options(self)
        if self.layers == ():
            raise InputError(
                "Expected patterns of layer names with --record_activity, or default, received "
                "none: leave it out."
            )
        for name, value in (("record_images", self.images), ("record_steps", self.steps)):
            if value is not None and self.layers is None:
                raise InputError(
                    f"Expected --record_activity with --{name}, received the latter alone."
                )

    @property
    def patterns(self) -> list[str] | None:
        """Patterns of names; None for the layers that are recorded by default."""
        return None if self.layers in (None, ("default",)) else list(self.layers or ())


@dataclass(frozen=True)
class TrainingConfig:
    """Training.

    Args:
        model: what is trained.
        data: on what.
        optimizer: optimizer and learning rate.
        noise: how the noise of the model is drawn.
        mode: what is trained: finetune trains the classifier of weights only, and batch
            normalization goes on with the statistics of the batches; readout freezes that too.
        epochs: passes over the training images.
        batch_size: images a step, over all devices.
        early_stopping: stop after so many epochs without a better early_stopping_metric.
        early_stopping_metric: metric of the validation images that has to become better. Default:
            accuracy.
        precision: Keras' dtype policy.
        seed: decides weights, order and draws.
        strategy: how devices work together: auto mirrors over all GPUs if there are several,
            none takes one device, mirrored always mirrors.
        devices: number of devices. Default: all GPUs, or one CPU.
        recording: activity of layers that is written down.
        checkpoint_steps: also keep a checkpoint every so many steps.
        max_steps: stop after so many steps in all.
        wandb_project: project of Weights & Biases that the training is recorded in.
            WANDB_MODE=offline in the environment keeps it on disk.
        runs_dir: folder of all runs.

    Raises:
        InputError: a value is out of range, or does not go with another.

    Example:
        >>> config = TrainingConfig(ModelConfig("b_cnn"), epochs=2)
        >>> config.model.name, config.data.name, config.optimizer.name
        ('b_cnn', 'shapes', 'adam')
        >>> TrainingConfig.from_json(config.as_json()) == config
        True
    """

    model: ModelConfig = option(ModelConfig())
    data: DataConfig = option(DataConfig())
    optimizer: OptimizerConfig = option(OptimizerConfig())
    noise: NoiseConfig = option(NoiseConfig())
    mode: Literal["train", "finetune", "readout"] = option("train")
    epochs: int = option(8, minimum=1)
    batch_size: int = option(32, minimum=1)
    early_stopping: int | None = option(minimum=1)
    early_stopping_metric: Literal["accuracy", "loss"] | None = option()
    precision: Literal["float32", "float64", "mixed_bfloat16", "mixed_float16"] = option("float32")
    seed: int = option(0, minimum=0, maximum=LARGEST_SEED)
    strategy: Literal["auto", "none", "mirrored"] = option("auto")
    devices: int | None = option()
    recording: RecordingConfig = option(RecordingConfig())
    checkpoint_steps: int | None = option(minimum=1, setting=False)
    max_steps: int | None = option(minimum=1, setting=False)
    wandb_project: str | None = option(setting=False)
    runs_dir: str = option("runs", setting=False, path=True)

    def __post_init__(self) -> None:
        check_options(self)
        if self.mode != "train" and self.model.weights is None and not self.model.fingerprint:
            raise InputError(
                f"Expected weights to start from with --mode={self.mode}: pass --weights."
            )
        if self.early_stopping is None and self.early_stopping_metric is not None:
            raise InputError(
                "Expected --early_stopping with --early_stopping_metric, received the latter alone."
            )

    @property
    def stopping_metric(self) -> str:
        """What makes an epoch better, for `early_stopping`."""
        return self.early_stopping_metric or "accuracy"

    def as_json(self) -> dict[str, Any]:
        """What is trained, as nested dicts of plain values: `config.json` of a run."""
        return {"version": CONFIG_VERSION, **as_json(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TrainingConfig:
        """A configuration out of what `as_json` gave; what is not there has its default.

        Raises:
            InputError: another version of tfbio wrote it, or a value is refused.
        """
        content = dict(content)
        version = content.pop("version", None)
        if version != CONFIG_VERSION:
            raise InputError(
                f"Expected a configuration of version {CONFIG_VERSION}, received {version!r}: it "
                "was written by another version of tfbio."
            )
        return from_json(cls, content)

    def same_settings(self, other: TrainingConfig) -> bool:
        """Whether two configurations train the same, wherever it is kept and however far it goes.

        Example:
            >>> from dataclasses import replace
            >>> config = TrainingConfig()
            >>> config.same_settings(replace(config, max_steps=5))
            True
            >>> config.same_settings(replace(config, epochs=5))
            False
        """
        return self.as_json() == other.as_json()

    def replace(self, **changes: Any) -> TrainingConfig:
        """A copy with other values of some fields."""
        return dataclasses.replace(self, **changes)
