"""`config.json` of the project on shape-selective recurrent networks (Birkholz 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfbio.errors import InputError
from tfbio.training._foreign_keys import Key, Reading, number, one_of, switch, text, whole

PROJECT = "the shape-selective project"

# Images of its torchvision data sets are as they are; ffcv draws windows and mirrors them.
_DATASETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "imagenet": ("imagenet2012", ()),
    "imagenet_small": ("image_folder", ()),
    "imagenet_kaggle": ("imagenet_kaggle", ()),
    "cifar10": ("cifar10", ()),
    "cifar100": ("cifar100", ()),
    "ffcv": ("image_folder", ("random_resized_crop", "flip")),
}
_IMAGE_SIZE = 224
_OPTIMIZERS = {"adam": "adam", "adamw": "adamw", "sgd": "sgd", "rms": "rmsprop"}
_WITH_MOMENTUM = ("sgd", "rmsprop")
# PyTorch's, which the original leaves as it is.
_ADAMW_DECAY = 0.01
_CELLS = ("conv", "rnn", "gru", "lstm", "reciprocal", "hgru", "fgru")
_WITH_PRECONV = ("reciprocal", "hgru", "fgru")
_ACTIVATIONS = ("relu", "elu", "tanh", "sigmoid")
_NORMALIZATIONS = {"batchnorm": "batch", "layernorm": "layer", None: None}
_TOWER_TYPES = {
    "ff_tower": ("normal", "more", "wider", "deeper"),
    "gammanet": ("normal", "small"),
}
# What the original's cells compute otherwise than ours, as long as nothing else is asked for.
_INEXACT = {
    "gru": "the original's update gate stands on both sides; --upstream_exact computes so.",
    "lstm": "the original's output gate sees the cell state before its update; --upstream_exact "
    "computes so.",
    "hgru": "the original's states start from noise, and the biases of its gates without a "
    "logarithm; --upstream_exact does the latter.",
    "fgru": "the original's fgru tower has hGRUs, by a slip; --upstream_exact has them, too.",
}
# Networks of the original that are not here, and what is near.
_ABSENT = {
    "resnet18": "torchvision's ResNet18, which is not here; --model=resnet18_divnorm "
    "--divnorm=none is near, without batch normalization in its shortcuts",
    "dev_tower": "a network of six convolutions that is not here; --model=conv_tower is near, with "
    "smaller kernels and without its dense layer",
}
# "early-stop" is as many epochs at most, and ends after so many without a smaller loss.
_LONGEST, _WITHOUT_IMPROVEMENT = 400, 5
_LR_STEP = 30
_CLIP_VALUE = 0.7

KEYS: tuple[Key, ...] = (
    Key(
        "dataset",
        ("dataset", "image_size", "augment"),
        "imagenet is imagenet2012, imagenet_small and ffcv are image_folder; 224 pixels, without "
        "augmentation, with ffcv random_resized_crop and flip. Images keep their shape and are "
        "cropped, the original squashes them; pixels go in as [0, 1], there they are normalized.",
    ),
    Key(
        "dataset_path",
        ("data_dir",),
        "not with ffcv: .beton files are not read, the images that they were made of are.",
    ),
    Key(
        "dataset_val_path",
        (),
        "validation images are in the folder val beside train.",
        (None,),
    ),
    Key(
        "batch_size",
        ("batch_size", "accumulate_steps"),
        "divided by batch_frag; gradients of the parts are averaged, there they are summed.",
    ),
    Key(
        "batch_frag", ("batch_size", "accumulate_steps"), "accumulate_steps; 1 where it is absent."
    ),
    Key(
        "batch_max",
        ("batch_size", "accumulate_steps"),
        "batch_frag is then batch_size // batch_max.",
    ),
    Key(
        "epochs",
        ("epochs", "early_stopping", "early_stopping_metric"),
        '"early-stop" is 400 epochs at most, until the loss has not fallen for 5.',
    ),
    Key("learning_rate", ("learning_rate",), "as it is."),
    Key(
        "optimizer",
        ("optimizer", "nesterov", "weight_decay"),
        "rms is rmsprop; sgd has Nesterov's momentum, adamw PyTorch's weight decay of 0.01.",
    ),
    Key("momentum", ("momentum",), "with sgd and rms."),
    Key("weight_decay", ("weight_decay",), "not with adamw, where the original does not read it."),
    Key(
        "lr_scheduler",
        ("schedule", "decay_factor"),
        "step multiplies the rate by 0.1; without it the rate is constant.",
    ),
    Key("lr_step", ("decay_every",), "30 where it is absent."),
    Key(
        "do_gradient_clipping",
        ("clip_value",),
        "0.7, of the averaged gradient; there of the sum over batch_frag.",
    ),
    Key(
        "model_base",
        ("model",),
        "ff_tower is the tower of cell_type; resnet18 and dev_tower are not here.",
    ),
    Key(
        "cell_type",
        ("model",),
        "conv, rnn, gru, lstm, reciprocal, hgru, fgru: model {cell_type}_tower, conv where it is "
        "absent. Defects of the original's gru, lstm, hgru and fgru are left out.",
    ),
    Key("tower_type", ("tower_type",), "normal where it is absent."),
    Key("activation", ("activation",), "relu where it is absent; elu works here."),
    Key(
        "normalization",
        ("normalization",),
        "batchnorm is batch, layernorm is layer; batch where it is absent.",
    ),
    Key("time_steps", ("timesteps",), "1 where it is absent; not with cell_type conv."),
    Key(
        "cell_kernel",
        (),
        "the original ignores it, its cells have 3 x 3; --cell_kernel is what it says.",
        (3,),
    ),
    Key("dropout", ("dropout",), "0 where it is absent."),
    Key("dropout_recurrent", ("recurrent_dropout",), "false where it is absent."),
    Key("skip_first", ("skip_first",), "false where it is absent, tfbio's own default is true."),
    Key("do_preconv", ("preconv",), "true where it is absent; with reciprocal, hgru and fgru."),
    Key(
        "preconv_kernel",
        ("preconv_kernel",),
        "3 where it is absent, tfbio's own default is 1; with reciprocal, hgru and fgru.",
    ),
    Key("seed", ("seed",), "as it is; the draws are others."),
    Key(
        "do_reload",
        (),
        "an unfinished run of the same configuration goes on; another --runs_dir starts anew.",
        (True,),
    ),
    Key("save_dir", (), "a run is kept under the names of its model and data set, in --runs_dir."),
    Key(
        "wb_suppress",
        (),
        "Weights & Biases record with --wandb_project=shape-processing-rnns.",
        (True,),
    ),
    Key("wb_group", (), "WANDB_RUN_GROUP in the environment groups runs.", (None,)),
    Key("wb_run_name", (), "a run is named after its folder.", (None,)),
    Key("wb_sweep_id", (), "the agents of wandb run sweeps, see docs/sweeps.md.", (None,)),
    Key("entity", (), "WANDB_ENTITY in the environment is whom a run belongs to.", (None,)),
)


def read(content: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values of options, and the notes.

    Args:
        content: of the file.

    Raises:
        UnknownNameError: the project has no such key.
        InputError: a value is refused, or the network is not here.
    """
    reading = Reading(PROJECT, content, KEYS)
    has_cells = _read_model(reading)
    _read_data(reading)
    parts = _read_batches(reading)
    _read_optimizer(reading, parts)
    _read_schedule(reading)
    _read_length(reading)
    if "seed" in reading:
        reading.copy("seed", "seed", whole)
    reading.without_counterpart(*() if has_cells else ("cell_kernel",))
    return reading.values, reading.notes


# === Model ===


def _read_model(reading: Reading) -> bool:
    """The network and its arguments; returns whether it has cells of one kind."""
    if "model_base" not in reading:
        raise InputError(
            f"Expected model_base in a configuration of {PROJECT}, found none: add "
            '"model_base": "ff_tower", or "gammanet".'
        )
    names = [*_TOWER_TYPES, *_ABSENT]
    base = reading.get("model_base", one_of(dict(zip(names, names, strict=True))))
    if base in _ABSENT:
        raise InputError(
            f"Expected a network that is here, received model_base={base}, {_ABSENT[base]}."
        )
    if base == "gammanet":
        _read_gammanet(reading)
        return False
    return _read_tower(reading)


def _read_gammanet(reading: Reading) -> None:
    values = reading.values
    values["model"] = "gammanet"
    if "tower_type" in reading:
        values["tower_type"] = reading.get("tower_type", _same(_TOWER_TYPES["gammanet"]))
    values["timesteps"] = reading.get("time_steps", whole, 1)
    for name in (
        "cell_type",
        "cell_kernel",
        "activation",
        "normalization",
        "dropout",
        "dropout_recurrent",
        "skip_first",
        "do_preconv",
        "preconv_kernel",
    ):
        reading.idle(name, "model_base=gammanet")


def _read_tower(reading: Reading) -> bool:
    values = reading.values
    cell = reading.get("cell_type", _same(_CELLS), "conv")
    values["model"] = f"{cell}_tower"
    values["tower_type"] = reading.get("tower_type", _same(_TOWER_TYPES["ff_tower"]), "normal")
    values["activation"] = reading.get("activation", _same(_ACTIVATIONS), "relu")
    values["normalization"] = reading.get("normalization", one_of(_NORMALIZATIONS), "batch")
    values["dropout"] = reading.get("dropout", number, 0.0)
    if values["activation"] == "elu":
        reading.differs(
            "activation", "the original stops when its weights are drawn; here it works."
        )
    if cell in _INEXACT:
        reading.differs("cell_type", _INEXACT[cell])
    if cell == "conv":
        for name in ("time_steps", "cell_kernel", "skip_first", "dropout_recurrent"):
            reading.idle(name, "cell_type=conv")
    else:
        values["timesteps"] = reading.get("time_steps", whole, 1)
        values["skip_first"] = reading.get("skip_first", switch, False)
        values["recurrent_dropout"] = reading.get("dropout_recurrent", switch, False)
    if cell in _WITH_PRECONV:
        values["preconv"] = reading.get("do_preconv", switch, True)
        values["preconv_kernel"] = reading.get("preconv_kernel", whole, 3)
    else:
        for name in ("do_preconv", "preconv_kernel"):
            reading.idle(name, f"cell_type={cell}")
    return cell != "conv"


# === Data ===


def _read_data(reading: Reading) -> None:
    found = reading.needed("dataset", one_of(_DATASETS))
    if found is None:
        if "dataset_path" in reading:
            reading.copy("dataset_path", "data_dir", text)
        return
    original = reading.get("dataset", text)
    dataset, augment = found
    reading.values |= {"dataset": dataset, "image_size": _IMAGE_SIZE, "augment": augment}
    reading.differs("dataset", _difference(original))
    if original == "ffcv":
        reading.lost("dataset_path", ".beton files are not read, images are, from --data_dir.")
    else:
        reading.copy("dataset_path", "data_dir", text)


def _difference(dataset: str) -> str:
    """What is otherwise with the images of a data set of the original."""
    if dataset.startswith("cifar"):
        return (
            "the last tenth of the training images is for validation, where the original takes the "
            "test images; pixels go in as [0, 1], where it takes 0.5 away and divides by 0.5."
        )
    pixels = "pixels go in as [0, 1], where it normalizes them."
    if dataset == "ffcv":
        return (
            "the images that .beton files were made of are read, --data_dir=DIR with DIR/train and "
            "DIR/val (--cache=disk decodes each once); validation images are not augmented, where "
            f"the original's are; {pixels}"
        )
    squashed = (
        f"images keep their shape and are cropped, where the original squashes them; {pixels}"
    )
    if dataset == "imagenet":
        return (
            f"imagenet2012 of TFDS is read, and with --dataset=image_folder folders of classes; "
            f"{squashed}"
        )
    if dataset == "imagenet_kaggle":
        return f"labels of validation images are those of LOC_val_solution.csv; {squashed}"
    return squashed


# === Training ===


def _read_batches(reading: Reading) -> int:
    """Batch size and accumulation; returns how many parts make a batch."""
    # As in the original, -1 is the same as absent.
    parts = reading.get("batch_frag", whole, -1)
    largest = reading.get("batch_max", whole, -1)
    for name, size in (("batch_frag", parts), ("batch_max", largest)):
        if size == 0 or size < -1:
            raise InputError(f"Expected {name} of 1 or more, received {size}.")
    if parts > 0 and largest > 0:
        raise InputError(
            f"Expected batch_frag or batch_max, received {parts} and {largest}: the original "
            "refuses both, leave one out."
        )
    size = reading.needed("batch_size", whole)
    if size is None:
        for name in ("batch_frag", "batch_max"):
            reading.idle(name, "no batch_size")
        return 1
    if 0 < largest < size:
        parts = size // largest
    parts = max(parts, 1)
    if size < parts:
        raise InputError(
            f"Expected a batch_size of at least batch_frag={parts} images, received {size}."
        )
    reading.values |= {"batch_size": size // parts, "accumulate_steps": parts}
    if size % parts:
        reading.differs(
            "batch_size",
            f"{parts} parts of {size // parts} images make an update, {size // parts * parts} in "
            "all, as in the original.",
        )
    return parts


def _read_optimizer(reading: Reading, parts: int) -> None:
    values = reading.values
    reading.copy("learning_rate", "learning_rate", number)
    name = reading.needed("optimizer", one_of(_OPTIMIZERS))
    if name is not None:
        values["optimizer"] = name
        if name == "sgd":
            values["nesterov"] = True
    if name is None or name in _WITH_MOMENTUM:
        if "momentum" in reading:
            values["momentum"] = reading.get("momentum", number)
        elif name == "sgd":
            reading.needed("momentum", number)
    else:
        reading.idle("momentum", f"optimizer={name}")
    if name == "adamw":
        values["weight_decay"] = _ADAMW_DECAY
        reading.differs("optimizer", f"PyTorch's weight decay of {_ADAMW_DECAY}, as there.")
        reading.idle("weight_decay", "optimizer=adamw in the original")
    elif "weight_decay" in reading:
        values["weight_decay"] = reading.get("weight_decay", number)
    clipped = reading.get("do_gradient_clipping", switch, False)
    if clipped:
        values["clip_value"] = _CLIP_VALUE
    if parts > 1:
        _compare_sums(reading, name, clipped, parts)


def _compare_sums(reading: Reading, optimizer: str | None, clipped: bool, parts: int) -> None:
    """Note what makes the mean over the parts of a batch equal to the original's sum."""
    same = []
    rate, decay = (reading.values.get(each) for each in ("learning_rate", "weight_decay"))
    if optimizer == "sgd" and rate is not None:
        same.append(f"--learning_rate={rate * parts:.6g}")
    if optimizer != "adamw" and decay:
        same.append(f"--weight_decay={decay / parts:.6g}")
    if clipped:
        same.append(f"--clip_value={_CLIP_VALUE / parts:.6g}")
    equal = f"{', '.join(same)} would do as it does" if same else "the steps are the same"
    reading.differs(
        "batch_size",
        f"the gradients of its {parts} parts are averaged, where the original sums them; {equal}.",
    )


def _read_schedule(reading: Reading) -> None:
    values = reading.values
    name = reading.get("lr_scheduler", lambda _, value: value)
    if name == "step":
        values |= {
            "schedule": "step",
            "decay_every": reading.get("lr_step", whole, _LR_STEP),
            "decay_factor": 0.1,
        }
        return
    values["schedule"] = "constant"
    if name is not None:
        reading.differs("lr_scheduler", "the original knows none but step, its rate is constant.")
    reading.idle("lr_step", "a constant rate")


def _read_length(reading: Reading) -> None:
    if reading.get("epochs", lambda _, value: value) == "early-stop":
        reading.values |= {
            "epochs": _LONGEST,
            "early_stopping": _WITHOUT_IMPROVEMENT,
            "early_stopping_metric": "loss",
        }
    else:
        reading.copy("epochs", "epochs", whole)


def _same(names: tuple[str, ...]) -> Any:
    return one_of({name: name for name in names})
