"""The JSON of the project "Modeling Divisive Normalization in Visual Cortex"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfbio.errors import InputError
from tfbio.training._foreign_keys import Key, Reading, number, one_of, switch, text, whole

PROJECT = "the divisive-normalization project"
SECTIONS = ("data", "training", "optimizer", "lr_scheduler", "model", "recorder")

_IMAGENET: dict[str, Any] = {"image_size": 224, "crop_ratio": 0.875}
_DATASETS: dict[str, dict[str, Any]] = {
    "cifar100": {"dataset": "cifar100", "image_size": 32, "augment": ("flip",)},
    "imagenet": {
        "dataset": "imagenet2012",
        **_IMAGENET,
        "augment": ("random_resized_crop", "flip"),
    },
    "custom": {"dataset": "image_folder", **_IMAGENET, "augment": ()},
}
_CLASSES = {"cifar100": 100, "imagenet": 1000}
_MODELS = ("alexnet", "resnet18", "resnet50", "vgg16")
_NORMALIZATIONS = {"ours": "pooled", "ken": "exponential", "nonorm": None}
_INITIALIZATIONS = (
    "default",
    "kaiming",
    "normal",
    "multivariate_gaussian",
    "kaiming_gaussian",
)
# Where the key is absent; the files of the project have 0.
_EPSILON = 1e-8
_POOLED = {
    "p": ("p", number),
    "power": ("power", number),
    "gamma": ("initial_gamma", number),
    "sigma": ("initial_sigma", number),
    "single_gamma": ("single_gamma", switch),
    "single_sigma": ("single_sigma", switch),
}
_EXPONENTIAL = {
    "lamb": ("initial_lambda", number),
    "alpha": ("initial_alpha", number),
    "beta": ("initial_beta", number),
    "k": ("initial_k", number),
    "fix_all": ("fix_all", switch),
}
_SPECS = "model.divnorm_specs"
_READ_NOWHERE = "the original reads it nowhere, either."

KEYS: tuple[Key, ...] = (
    Key("exp_name", (), "a run is named after its model and data set; --runs_dir is its folder."),
    Key("seed", ("seed",), "as it is; the draws are others."),
    Key("device_id", (), "CUDA_VISIBLE_DEVICES in the environment chooses a GPU.", (0,)),
    Key("visualize", (), "docs/figures has what is drawn here.", (False,)),
    Key("runs", (), "--seeds=0,1,2 trains several runs.", (1,)),
    Key("email_result", (), "nothing is sent; --wandb_project can notify.", (False,)),
    Key("email_recipents", (), "nothing is sent.", ([],)),
    Key(
        "data.dataset",
        ("dataset", "image_size", "augment", "crop_ratio"),
        "imagenet is imagenet2012, custom is image_folder; 224 pixels after a crop of 0.875, "
        "cifar100 32 pixels. random_resized_crop and flip, with cifar100 flip, with custom none. "
        "Of cifar100 the last tenth is for validation, there a fifth at random.",
    ),
    Key("data.path", ("data_dir",), "data sets of TFDS are kept there in a form of their own."),
    Key("data.bz", ("batch_size",), "as it is."),
    Key("data.num_workers", (), "tf.data reads with as many threads as the machine has cores."),
    Key("data.num_classes", (), "a readout has as many classes as the data set."),
    Key(
        "data.gpu",
        (),
        "random_resized_crop takes 0.08 to 1 of the area at aspect ratios from 3/4 to 4/3, where "
        "the original's loader on the GPU takes 0.2 to 1 at 0.8 to 1.25.",
        (False,),
    ),
    Key("training.epochs", ("epochs",), "as it is."),
    Key(
        "training.early_stop",
        ("early_stopping", "early_stopping_metric"),
        "training.patience epochs without a smaller loss than the smallest; there in a row, each "
        "with a larger loss than the one before.",
    ),
    Key("training.patience", ("early_stopping",), "with training.early_stop."),
    Key(
        "training.criterion",
        (),
        "the loss is the crossentropy.",
        ("cross_entropy",),
    ),
    Key("optimizer.name", ("optimizer",), "sgd, adam."),
    Key("optimizer.lr", ("learning_rate",), "as it is."),
    Key("optimizer.momentum", ("momentum",), "with sgd."),
    Key("optimizer.dampening", (), "momentum takes the whole gradient.", (0, 0.0)),
    Key("optimizer.nesterov", ("nesterov",), "with sgd."),
    Key("optimizer.weight_decay", ("weight_decay",), "as it is."),
    Key("optimizer.beta1", (), "Adam has 0.9.", (0.9,)),
    Key("optimizer.beta2", (), "Adam has 0.999.", (0.999,)),
    Key("optimizer.eps", (), "Adam has 1e-7.", (1e-7,)),
    Key("optimizer.amsgrad", (), "Adam is as first published.", (False,)),
    Key(
        "lr_scheduler.name",
        ("schedule", "warmup_fraction"),
        "steplr is step, plateau is plateau; cosinelr is cosine without warm-up, which falls at "
        "every step, there at every epoch.",
    ),
    Key("lr_scheduler.step_size", ("decay_every",), "with steplr."),
    Key("lr_scheduler.gamma", ("decay_factor",), "with steplr."),
    Key("lr_scheduler.patience", ("patience",), "with plateau."),
    Key("lr_scheduler.factor", ("decay_factor",), "with plateau."),
    Key("lr_scheduler.t_max", (), "the cosine ends at 0 with the last epoch."),
    Key("model.type", ("model",), "alexnet, resnet18, resnet50, vgg16: model {type}_divnorm."),
    Key("model.relu", ("relu",), "as it is."),
    Key("model.batchnorm", ("batchnorm",), "as it is."),
    Key("model.activation", (), _READ_NOWHERE),
    Key("model.weight_init", ("weight_init",), "the same names."),
    Key(
        "model.nonlinearity",
        (),
        "convolutions start with the gain of a rectification.",
        ("relu",),
    ),
    Key(
        "model.std",
        ("init_std", "init_variance"),
        "with normal init_std, none for input_size; with multivariate_gaussian init_variance.",
    ),
    Key("model.mean_std", ("init_mean_std",), "with multivariate_gaussian."),
    Key(
        "model.std_ratio",
        ("init_std_ratio",),
        "with kaiming_gaussian; there the ratio of a variance to a deviation, here of two "
        "deviations.",
    ),
    Key(
        "model.l1reg",
        (),
        f"{_READ_NOWHERE[:-1]}; --l1_activity and --l1_weights are penalties.",
        (0, 0.0),
    ),
    Key(
        "model.for_dataset",
        ("variant",),
        "with alexnet, its first two layers; cifar100 is cifar, all others imagenet.",
    ),
    Key("model.num_classes", (), "a readout has as many classes as the data set."),
    Key("model.divnorm", (), f"{_READ_NOWHERE[:-1]}; model.divnorm_specs.type decides."),
    Key("model.load_path", (), "--weights starts from a file."),
    Key(f"{_SPECS}.type", ("divnorm",), "ours is pooled, ken is exponential, nonorm is none."),
    Key(
        f"{_SPECS}.asact",
        ("divnorm_as_activation",),
        "with ResNets; the original does not read it with others.",
    ),
    Key(
        f"{_SPECS}.fix_all",
        ("fix_all", "fix_gamma", "fix_sigma"),
        "with ken; with ours it is fix_gamma and fix_sigma.",
    ),
    Key(f"{_SPECS}.single_gamma", ("single_gamma",), "with ours."),
    Key(f"{_SPECS}.single_sigma", ("single_sigma",), "with ours."),
    Key(f"{_SPECS}.fix_gamma", ("fix_gamma",), "with ours, if all pools share it."),
    Key(f"{_SPECS}.fix_sigma", ("fix_sigma",), "with ours, if all pools share it."),
    Key(
        f"{_SPECS}.normalize_gamma",
        ("normalize_gamma",),
        "with ours, unless all pools share it.",
    ),
    Key(
        f"{_SPECS}.normalize_sigma",
        ("normalize_sigma",),
        "with ours, unless all pools share it.",
    ),
    Key(f"{_SPECS}.eps", ("epsilon",), "with ours; 1e-8 where it is absent."),
    Key(f"{_SPECS}.sigma", ("initial_sigma",), "with ours."),
    Key(f"{_SPECS}.gamma", ("initial_gamma",), "with ours."),
    Key(f"{_SPECS}.lamb", ("initial_lambda",), "with ken."),
    Key(f"{_SPECS}.alpha", ("initial_alpha",), "with ken."),
    Key(f"{_SPECS}.beta", ("initial_beta",), "with ken."),
    Key(f"{_SPECS}.k", ("initial_k",), "with ken."),
    Key(f"{_SPECS}.p", ("p",), "with ours, and for the pools of initial filters."),
    Key(f"{_SPECS}.power", ("power",), "with ours."),
    Key("recorder.model_saving_flag", (), "the best model is always kept.", (True,)),
    Key(
        "recorder.neuron_activity_flag",
        (),
        f"{_READ_NOWHERE[:-1]}; --record_activity=default records activity.",
        (False,),
    ),
    Key("recorder.train_log", (), "history.csv has a line an epoch.", (False,)),
)


def read(content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values of options, and the notes.

    Args:
        content: of the file, overrides in it.

    Raises:
        UnknownNameError: the project has no such key.
        InputError: a value is refused, or the file is one for tests.
    """
    if "testing" in content:
        raise InputError(
            f"Expected a configuration of a training, received one for tests of {PROJECT}: "
            "evaluate.py --model --weights measures a model."
        )
    reading = Reading(PROJECT, _flat(content), KEYS)
    unread: list[str] = []
    _read_model(reading, unread)
    _read_data(reading, unread)
    _read_optimizer(reading, unread)
    _read_schedule(reading, unread)
    reading.copy("training.epochs", "epochs", whole)
    reading.get("training.criterion", _same(("cross_entropy",)))
    if reading.get("training.early_stop", switch, False):
        reading.copy("training.patience", "early_stopping", whole)
        if "early_stopping" in reading.values:
            reading.values["early_stopping_metric"] = "loss"
        reading.differs(
            "training.early_stop",
            "epochs count since the smallest validation loss, where the original counts those in a "
            "row whose loss is larger than the one before.",
        )
    if "seed" in reading:
        reading.copy("seed", "seed", whole)
    reading.without_counterpart(*unread)
    return reading.values, reading.notes


def check_command(content: Mapping[str, Any], words: Sequence[str]) -> None:
    """Check that the words of the original's command are about this file.

    There the second and the third word, data set and model, choose one of the project's files;
    here the file is given.

    Args:
        content: of the file, without overrides.
        words: at most three: name of the experiment, data set, model.

    Raises:
        InputError: the words are about another file, or too many.
    """
    if len(words) > 3:
        raise InputError(
            f"Expected the name of an experiment, a data set and a model, then key1-key2=value, "
            f"received {' '.join(words)}."
        )
    flat = _flat(content)
    for word, name in zip(words[1:], ("data.dataset", "model.type"), strict=False):
        if name in flat and flat[name] != word:
            raise InputError(
                f"Expected {name}={flat[name]}, as the file has it, received {word}: give the "
                f"project's file for {' '.join(words[1:])}."
            )


def _flat(content: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Sections written out: `optimizer.lr`."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{section}{name}.")
        else:
            found[f"{section}{name}"] = value
    return found


# === Model ===


def _read_model(reading: Reading, unread: list[str]) -> None:
    if "model.type" not in reading:
        raise InputError(
            f"Expected model.type in a configuration of {PROJECT}, found none: it is one of "
            f"{', '.join(_MODELS)}."
        )
    kind = reading.get("model.type", _same(_MODELS))
    values = reading.values
    values["model"] = f"{kind}_divnorm"
    for name in ("relu", "batchnorm"):
        reading.copy(f"model.{name}", name, switch)
    _read_initialization(reading, unread)
    _read_divisive_normalization(reading, kind.startswith("resnet"))
    if kind == "alexnet" and "model.for_dataset" in reading:
        small = reading.get("model.for_dataset", text) == "cifar100"
        values["variant"] = "cifar" if small else "imagenet"


def _read_initialization(reading: Reading, unread: list[str]) -> None:
    reading.copy("model.weight_init", "weight_init", _same(_INITIALIZATIONS))
    match reading.values.get("weight_init"):
        case "normal":
            reading.copy("model.std", "init_std", _deviation)
        case "multivariate_gaussian":
            # There it is the covariance's diagonal.
            reading.copy("model.std", "init_variance", number)
            reading.copy("model.mean_std", "init_mean_std", number)
        case "kaiming_gaussian":
            reading.copy("model.std_ratio", "init_std_ratio", number)
            if "model.std_ratio" in reading:
                reading.differs(
                    "model.std_ratio",
                    "filters have so many times Kaiming's deviation around their mean; in the "
                    "original that is their variance.",
                )
    if reading.values.get("weight_init") != "kaiming":
        unread.append("model.nonlinearity")


def _deviation(name: str, value: Any) -> float | None:
    return None if value == "input_size" else number(name, value)


def _read_divisive_normalization(reading: Reading, is_resnet: bool) -> None:
    values = reading.values
    reading.copy(f"{_SPECS}.type", "divnorm", one_of(_NORMALIZATIONS))
    divnorm = values.get("divnorm")
    specs = {"pooled": _POOLED, "exponential": _EXPONENTIAL}.get(str(divnorm), {})
    for name, (option, convert) in specs.items():
        reading.copy(f"{_SPECS}.{name}", option, convert)
    if divnorm == "pooled":
        values["epsilon"] = reading.get(f"{_SPECS}.eps", number, _EPSILON)
        for parameter in ("gamma", "sigma"):
            _read_parameter(reading, parameter)
    if "p" not in values and str(values.get("weight_init")).endswith("_gaussian"):
        reading.copy(f"{_SPECS}.p", "p", number)
    as_activation = reading.get(f"{_SPECS}.asact", switch)
    if not is_resnet:
        if as_activation:
            reading.idle(f"{_SPECS}.asact", "AlexNet and VGG16 in the original")
    elif divnorm is not None:
        reading.copy(f"{_SPECS}.asact", "divnorm_as_activation", switch)


def _read_parameter(reading: Reading, parameter: str) -> None:
    """What is done with gamma or sigma of the pools, as far as the original does it."""
    values = reading.values
    shared = bool(values.get(f"single_{parameter}")) or values.get("p") == 1
    fixed = [
        name
        for name in (f"{_SPECS}.fix_all", f"{_SPECS}.fix_{parameter}")
        if reading.needed(name, switch)
    ]
    normalize = f"{_SPECS}.normalize_{parameter}"
    normalized = bool(reading.needed(normalize, switch))
    values[f"fix_{parameter}"] = bool(fixed) and shared
    values[f"normalize_{parameter}"] = normalized and not shared
    if not shared:
        for name in fixed:
            reading.differs(
                name,
                f"as in the original, {parameter} is trained, since only one that all pools share "
                "is fixed there; --fix_all fixes any.",
            )
    elif normalized:
        reading.idle(normalize, f"one {parameter} for all pools")


# === Data ===


def _read_data(reading: Reading, unread: list[str]) -> None:
    chosen = reading.needed("data.dataset", one_of(_DATASETS))
    reading.copy("data.bz", "batch_size", whole)
    if "data.path" in reading:
        reading.copy("data.path", "data_dir", text)
    if chosen is None:
        return
    reading.values |= chosen
    dataset = reading.get("data.dataset", text)
    match dataset:
        case "cifar100":
            reading.differs(
                "data.dataset",
                "the last tenth of the training images is for validation, where the original draws "
                "a fifth at random, and mirrors them, too.",
            )
        case "imagenet":
            if "data.path" in reading:
                reading.differs(
                    "data.path",
                    "imagenet2012 of TFDS is kept there; --dataset=image_folder reads folders of "
                    "classes, DIR/train and DIR/val.",
                )
        case "custom":
            reading.differs("data.dataset", "the original measures on it and does not train on it.")
    classes = _CLASSES.get(dataset)
    unread += [
        name
        for name in ("data.num_classes", "model.num_classes")
        if reading.get(name, whole) == classes
    ]
    if dataset != "imagenet":
        # Only ImageNet has a loader on the GPU.
        unread.append("data.gpu")
    if dataset != "imagenet" and reading.values.get("model") == "vgg16_divnorm":
        reading.differs(
            "model.type",
            "its readout has as many classes as the data set, where the original's has 1000.",
        )


# === Training ===


def _read_optimizer(reading: Reading, unread: list[str]) -> None:
    reading.copy("optimizer.name", "optimizer", _same(("sgd", "adam")))
    reading.copy("optimizer.lr", "learning_rate", number)
    reading.copy("optimizer.weight_decay", "weight_decay", number)
    if reading.values.get("optimizer") == "sgd":
        reading.copy("optimizer.momentum", "momentum", number)
        reading.copy("optimizer.nesterov", "nesterov", switch)
        unread += [f"optimizer.{name}" for name in ("beta1", "beta2", "eps", "amsgrad")]
    else:
        unread.append("optimizer.dampening")


def _read_schedule(reading: Reading, unread: list[str]) -> None:
    values = reading.values
    schedules = {"steplr": "step", "plateau": "plateau", "cosinelr": "cosine"}
    reading.copy("lr_scheduler.name", "schedule", one_of(schedules))
    match values.get("schedule"):
        case "step":
            reading.copy("lr_scheduler.step_size", "decay_every", whole)
            reading.copy("lr_scheduler.gamma", "decay_factor", number)
        case "plateau":
            reading.copy("lr_scheduler.patience", "patience", whole)
            reading.copy("lr_scheduler.factor", "decay_factor", number)
        case "cosine":
            values["warmup_fraction"] = 0.0
            reading.differs(
                "lr_scheduler.name",
                "the rate falls at every step, where the original's does at every epoch.",
            )
    epochs = reading.get("training.epochs", whole)
    if values.get("schedule") != "cosine" or reading.get("lr_scheduler.t_max", whole) == epochs:
        unread.append("lr_scheduler.t_max")


def _same(names: tuple[str, ...]) -> Any:
    return one_of({name: name for name in names})
