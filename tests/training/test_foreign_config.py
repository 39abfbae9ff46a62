"""Configurations of two original projects, and of runs, become options.

Expected values are typed out by hand, from the originals' tables of keys.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

import tfbio
from tfbio._configuration import options_of
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing
from tfbio.models.registry import model_info
from tfbio.training.api import training_config
from tfbio.training.config import DataConfig, ModelConfig, NoiseConfig, TrainingConfig
from tfbio.training.foreign_config import (
    DIVISIVE_NORMALIZATION_KEYS,
    SHAPE_SELECTIVE_KEYS,
    read_config,
)
from tfbio.training.learning_rate import Constant, Cosine, Plateau, Step
from tfbio.training.optimizer import OptimizerConfig

PAGE = Path(__file__).parents[2] / "docs" / "configurations.md"
# A value that a change takes away.
GONE = object()


@pytest.fixture
def read(tmp_path):
    """Reads a configuration out of a file, and has `tfbio.train` take it."""

    def read_content(content, *overrides):
        file = tmp_path / "config.json"
        file.write_text(json.dumps(content))
        found = read_config(file, overrides)
        config = training_config(found.values)
        assert set(found.values) <= {
            *options_of(TrainingConfig),
            *model_info(config.model.name).arguments,
        }
        return found

    return read_content


def _changed(content, changes):
    """A copy with other values of keys; sections are in front of dots, GONE takes a key away."""
    content = copy.deepcopy(content)
    for path, value in changes.items():
        *sections, name = path.split(".")
        place = content
        for section in sections:
            place = place[section]
        if value is GONE:
            del place[name]
        else:
            place[name] = value
    return content


def _difference(before, after):
    return {
        name: after.get(name, GONE)
        for name in {*before, *after}
        if before.get(name, GONE) != after.get(name, GONE)
    }


# === The shape-selective project ===

# As its `config.json.template`, with the folder filled in.
TEMPLATE = {
    "dataset": "imagenet_small",
    "dataset_path": "/data/imagenet",
    "batch_size": 1024,
    "epochs": 20,
    "learning_rate": 0.001,
    "model_base": "ff_tower",
    "optimizer": "adam",
    "cell_type": "conv",
    "activation": "elu",
}
HGRU = {
    "dataset": "imagenet_kaggle",
    "dataset_path": "/data/kaggle",
    "batch_size": 1024,
    "batch_max": 256,
    "epochs": "early-stop",
    "learning_rate": 0.01,
    "lr_scheduler": "step",
    "lr_step": 20,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.0002,
    "do_gradient_clipping": True,
    "model_base": "ff_tower",
    "tower_type": "wider",
    "cell_type": "hgru",
    "cell_kernel": 3,
    "time_steps": 7,
    "normalization": "layernorm",
    "activation": "tanh",
    "dropout": 0.2,
    "dropout_recurrent": True,
    "skip_first": True,
    "do_preconv": True,
    "preconv_kernel": 1,
    "seed": 7,
    "wb_suppress": True,
}
# As the thesis' trainings: images in a .beton file.
LSTM = {
    "dataset": "ffcv",
    "dataset_path": "/data/imagenet_train.beton",
    "dataset_val_path": "/data/imagenet_val.beton",
    "batch_size": 256,
    "batch_frag": 2,
    "epochs": 90,
    "learning_rate": 0.001,
    "optimizer": "adamw",
    "model_base": "ff_tower",
    "cell_type": "lstm",
    "time_steps": 3,
    "wb_group": "lstm",
    "wb_suppress": False,
}
GAMMANET = {
    "dataset": "cifar100",
    "dataset_path": "/data/cifar",
    "batch_size": 64,
    "epochs": 10,
    "learning_rate": 0.001,
    "optimizer": "rms",
    "model_base": "gammanet",
    "tower_type": "small",
    "time_steps": 5,
}
SQUASHED = (
    "images keep their shape and are cropped, where the original squashes them; pixels go in as "
    "[0, 1], where it normalizes them."
)


def test_template_of_the_shape_selective_project(read):
    found = read(TEMPLATE)
    assert found.kind == "shape_selective"
    assert found.values == {
        "model": "conv_tower",
        "tower_type": "normal",
        "activation": "elu",
        "normalization": "batch",
        "dropout": 0.0,
        "dataset": "image_folder",
        "data_dir": "/data/imagenet",
        "image_size": 224,
        "augment": (),
        "batch_size": 1024,
        "accumulate_steps": 1,
        "epochs": 20,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
    }
    assert found.notes == (
        f"dataset=imagenet_small: {SQUASHED}",
        "activation=elu: the original stops when its weights are drawn; here it works.",
    )


def test_every_key_of_a_recurrent_tower(read):
    found = read(HGRU)
    assert found.kind == "shape_selective"
    assert found.values == {
        "model": "hgru_tower",
        "tower_type": "wider",
        "activation": "tanh",
        "normalization": "layer",
        "dropout": 0.2,
        "timesteps": 7,
        "skip_first": True,
        "recurrent_dropout": True,
        "preconv": True,
        "preconv_kernel": 1,
        "dataset": "imagenet_kaggle",
        "data_dir": "/data/kaggle",
        "image_size": 224,
        "augment": (),
        # 1024 // 256 parts of 256 images.
        "batch_size": 256,
        "accumulate_steps": 4,
        "epochs": 400,
        "early_stopping": 5,
        "early_stopping_metric": "loss",
        "optimizer": "sgd",
        "nesterov": True,
        "momentum": 0.9,
        "weight_decay": 0.0002,
        "clip_value": 0.7,
        "learning_rate": 0.01,
        "schedule": "step",
        "decay_every": 20,
        "decay_factor": 0.1,
        "seed": 7,
    }
    assert found.notes == (
        "dataset=imagenet_kaggle: labels of validation images are those of LOC_val_solution.csv; "
        f"{SQUASHED}",
        "batch_size=1024: the gradients of its 4 parts are averaged, where the original sums them; "
        "--learning_rate=0.04, --weight_decay=5e-05, --clip_value=0.175 would do as it does.",
        "cell_type=hgru: the original's states start from noise, and the biases of its gates "
        "without a logarithm; --upstream_exact does the latter.",
    )
    config = training_config(found.values)
    assert config.optimizer == OptimizerConfig(
        "sgd",
        learning_rate=0.01,
        schedule=Step(decay_every=20),
        momentum=0.9,
        nesterov=True,
        weight_decay=0.0002,
        clip_value=0.7,
        accumulate_steps=4,
    )


def test_images_in_a_beton_file(read):
    found = read(LSTM)
    assert found.values == {
        "model": "lstm_tower",
        "tower_type": "normal",
        "activation": "relu",
        "normalization": "batch",
        "dropout": 0.0,
        "timesteps": 3,
        "skip_first": False,
        "recurrent_dropout": False,
        # Without data_dir, so that the command asks for it.
        "dataset": "image_folder",
        "image_size": 224,
        "augment": ("random_resized_crop", "flip"),
        "batch_size": 128,
        "accumulate_steps": 2,
        "epochs": 90,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "learning_rate": 0.001,
        "schedule": "constant",
    }
    assert found.notes == (
        "dataset=ffcv: the images that .beton files were made of are read, --data_dir=DIR with "
        "DIR/train and DIR/val (--cache=disk decodes each once); validation images are not "
        "augmented, where the original's are; pixels go in as [0, 1], where it normalizes them.",
        "dataset_path=/data/imagenet_train.beton has no counterpart: .beton files are not read, "
        "images are, from --data_dir.",
        "dataset_val_path=/data/imagenet_val.beton has no counterpart: validation images are in "
        "the "
        "folder val beside train.",
        "batch_size=256: the gradients of its 2 parts are averaged, where the original sums them; "
        "the steps are the same.",
        "optimizer=adamw: PyTorch's weight decay of 0.01, as there.",
        "cell_type=lstm: the original's output gate sees the cell state before its update; "
        "--upstream_exact computes so.",
        "wb_suppress=false has no counterpart: Weights & Biases record with "
        "--wandb_project=shape-processing-rnns.",
        "wb_group=lstm has no counterpart: WANDB_RUN_GROUP in the environment groups runs.",
    )


def test_gammanet(read):
    found = read(GAMMANET)
    assert found.values == {
        "model": "gammanet",
        "tower_type": "small",
        "timesteps": 5,
        "dataset": "cifar100",
        "data_dir": "/data/cifar",
        "image_size": 224,
        "augment": (),
        "batch_size": 64,
        "accumulate_steps": 1,
        "epochs": 10,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "schedule": "constant",
    }
    assert found.notes == (
        "dataset=cifar100: the last tenth of the training images is for validation, where the "
        "original takes the test images; pixels go in as [0, 1], where it takes 0.5 away and "
        "divides "
        "by 0.5.",
    )


def test_defaults_of_the_original_not_ours(read):
    content = {name: TEMPLATE[name] for name in TEMPLATE if name != "activation"}
    values = read({**content, "cell_type": "reciprocal"}).values
    assert {
        name: values[name] for name in values if name in model_info("reciprocal_tower").arguments
    } == {
        "tower_type": "normal",
        "activation": "relu",
        "normalization": "batch",
        "dropout": 0.0,
        "timesteps": 1,
        "skip_first": False,
        "recurrent_dropout": False,
        "preconv": True,
        "preconv_kernel": 3,
    }


RECIPROCAL = {
    "dataset": "imagenet_small",
    "dataset_path": "/data/imagenet",
    "batch_size": 256,
    "epochs": 20,
    "learning_rate": 0.001,
    "optimizer": "adam",
    "model_base": "ff_tower",
    "cell_type": "reciprocal",
    "time_steps": 4,
}
NO_COUNTERPART = "has no counterpart:"
IMAGENET_SMALL = f"dataset=imagenet_small: {SQUASHED}"
# Key, change, what it changes of the values, and of the notes.
OF_SHAPE_SELECTIVE = [
    (
        "dataset",
        {"dataset": "cifar10"},
        {"dataset": "cifar10"},
        [
            "dataset=cifar10: the last tenth of the training images is for validation, where the "
            "original takes the test images; pixels go in as [0, 1], where it takes 0.5 away and "
            "divides by 0.5."
        ],
    ),
    (
        "dataset",
        {"dataset": "imagenet"},
        {"dataset": "imagenet2012"},
        [
            "dataset=imagenet: imagenet2012 of TFDS is read, and with --dataset=image_folder "
            "folders "
            f"of classes; {SQUASHED}"
        ],
    ),
    (
        "dataset",
        {"dataset": GONE},
        {"dataset": GONE, "image_size": GONE, "augment": GONE},
        ["dataset is not given, and the original has no default: tfbio's holds."],
    ),
    ("dataset_path", {"dataset_path": "/other"}, {"data_dir": "/other"}, []),
    (
        "dataset_path",
        {"dataset_path": GONE},
        {"data_dir": GONE},
        ["dataset_path is not given, and the original has no default: tfbio's holds."],
    ),
    ("dataset_val_path", {"dataset_val_path": None}, {}, []),
    (
        "dataset_val_path",
        {"dataset_val_path": "/val"},
        {},
        [
            f"dataset_val_path=/val {NO_COUNTERPART} validation images are in the folder val "
            "beside train."
        ],
    ),
    ("batch_size", {"batch_size": 128}, {"batch_size": 128}, []),
    (
        "batch_frag",
        {"batch_frag": 4},
        {"batch_size": 64, "accumulate_steps": 4},
        [
            "batch_size=256: the gradients of its 4 parts are averaged, where the original sums "
            "them; "
            "the steps are the same."
        ],
    ),
    ("batch_frag", {"batch_frag": 1}, {}, []),
    (
        "batch_frag",
        {"batch_frag": 3, "weight_decay": 0.3},
        {"batch_size": 85, "accumulate_steps": 3, "weight_decay": 0.3},
        [
            "batch_size=256: 3 parts of 85 images make an update, 255 in all, as in the original.",
            "batch_size=256: the gradients of its 3 parts are averaged, where the original sums "
            "them; "
            "--weight_decay=0.1 would do as it does.",
        ],
    ),
    # 256 // 100 parts.
    (
        "batch_max",
        {"batch_max": 100},
        {"batch_size": 128, "accumulate_steps": 2},
        [
            "batch_size=256: the gradients of its 2 parts are averaged, where the original sums "
            "them; "
            "the steps are the same."
        ],
    ),
    ("batch_max", {"batch_max": 256}, {}, []),
    ("batch_max", {"batch_max": 1000}, {}, []),
    (
        "batch_max",
        {"batch_max": 64, "batch_size": GONE},
        {"batch_size": GONE, "accumulate_steps": GONE},
        [
            "batch_size is not given, and the original has no default: tfbio's holds.",
            "batch_max=64 has no effect with no batch_size.",
        ],
    ),
    (
        "epochs",
        {"epochs": "early-stop"},
        {"epochs": 400, "early_stopping": 5, "early_stopping_metric": "loss"},
        [],
    ),
    ("learning_rate", {"learning_rate": 0.1}, {"learning_rate": 0.1}, []),
    ("optimizer", {"optimizer": "rms"}, {"optimizer": "rmsprop"}, []),
    (
        "optimizer",
        {"optimizer": "adamw"},
        {"optimizer": "adamw", "weight_decay": 0.01},
        ["optimizer=adamw: PyTorch's weight decay of 0.01, as there."],
    ),
    (
        "optimizer",
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "nesterov": True},
        ["momentum is not given, and the original has no default: tfbio's holds."],
    ),
    (
        "momentum",
        {"momentum": 0.5, "optimizer": "rms"},
        {"momentum": 0.5, "optimizer": "rmsprop"},
        [],
    ),
    ("momentum", {"momentum": 0.5}, {}, ["momentum=0.5 has no effect with optimizer=adam."]),
    ("weight_decay", {"weight_decay": 0.001}, {"weight_decay": 0.001}, []),
    (
        "weight_decay",
        {"weight_decay": 0.001, "optimizer": "adamw"},
        {"weight_decay": 0.01, "optimizer": "adamw"},
        [
            "optimizer=adamw: PyTorch's weight decay of 0.01, as there.",
            "weight_decay=0.001 has no effect with optimizer=adamw in the original.",
        ],
    ),
    (
        "lr_scheduler",
        {"lr_scheduler": "step"},
        {"schedule": "step", "decay_every": 30, "decay_factor": 0.1},
        [],
    ),
    (
        "lr_scheduler",
        {"lr_scheduler": "cosine"},
        {},
        ["lr_scheduler=cosine: the original knows none but step, its rate is constant."],
    ),
    ("lr_scheduler", {"lr_scheduler": None}, {}, []),
    (
        "lr_step",
        {"lr_scheduler": "step", "lr_step": 7},
        {"schedule": "step", "decay_every": 7, "decay_factor": 0.1},
        [],
    ),
    ("lr_step", {"lr_step": 7}, {}, ["lr_step=7 has no effect with a constant rate."]),
    ("do_gradient_clipping", {"do_gradient_clipping": True}, {"clip_value": 0.7}, []),
    ("do_gradient_clipping", {"do_gradient_clipping": False}, {}, []),
    (
        "model_base",
        {"model_base": "gammanet"},
        {
            "model": "gammanet",
            "tower_type": GONE,
            "activation": GONE,
            "normalization": GONE,
            "dropout": GONE,
            "skip_first": GONE,
            "recurrent_dropout": GONE,
            "preconv": GONE,
            "preconv_kernel": GONE,
        },
        ["cell_type=reciprocal has no effect with model_base=gammanet."],
    ),
    (
        "cell_type",
        {"cell_type": "rnn"},
        {"model": "rnn_tower", "preconv": GONE, "preconv_kernel": GONE},
        [],
    ),
    (
        "cell_type",
        {"cell_type": "gru"},
        {"model": "gru_tower", "preconv": GONE, "preconv_kernel": GONE},
        [
            "cell_type=gru: the original's update gate stands on both sides; --upstream_exact "
            "computes so."
        ],
    ),
    (
        "cell_type",
        {"cell_type": "fgru"},
        {"model": "fgru_tower"},
        [
            "cell_type=fgru: the original's fgru tower has hGRUs, by a slip; --upstream_exact has "
            "them, too."
        ],
    ),
    (
        "cell_type",
        {"cell_type": GONE},
        {
            "model": "conv_tower",
            "timesteps": GONE,
            "skip_first": GONE,
            "recurrent_dropout": GONE,
            "preconv": GONE,
            "preconv_kernel": GONE,
        },
        ["time_steps=4 has no effect with cell_type=conv."],
    ),
    ("tower_type", {"tower_type": "deeper"}, {"tower_type": "deeper"}, []),
    ("activation", {"activation": "sigmoid"}, {"activation": "sigmoid"}, []),
    ("normalization", {"normalization": "layernorm"}, {"normalization": "layer"}, []),
    ("normalization", {"normalization": None}, {"normalization": None}, []),
    ("time_steps", {"time_steps": 15}, {"timesteps": 15}, []),
    ("cell_kernel", {"cell_kernel": 3}, {}, []),
    (
        "cell_kernel",
        {"cell_kernel": 5},
        {},
        [
            f"cell_kernel=5 {NO_COUNTERPART} the original ignores it, its cells have 3 x 3; "
            "--cell_kernel is what it says."
        ],
    ),
    ("dropout", {"dropout": 0.5}, {"dropout": 0.5}, []),
    ("dropout_recurrent", {"dropout_recurrent": True}, {"recurrent_dropout": True}, []),
    ("skip_first", {"skip_first": True}, {"skip_first": True}, []),
    ("do_preconv", {"do_preconv": False}, {"preconv": False}, []),
    ("preconv_kernel", {"preconv_kernel": 1}, {"preconv_kernel": 1}, []),
    (
        "preconv_kernel",
        {"preconv_kernel": 1, "cell_type": "rnn"},
        {"model": "rnn_tower", "preconv": GONE, "preconv_kernel": GONE},
        ["preconv_kernel=1 has no effect with cell_type=rnn."],
    ),
    ("seed", {"seed": 5}, {"seed": 5}, []),
    ("do_reload", {"do_reload": True}, {}, []),
    (
        "do_reload",
        {"do_reload": False},
        {},
        [
            f"do_reload=false {NO_COUNTERPART} an unfinished run of the same configuration goes "
            "on; "
            "another --runs_dir starts anew."
        ],
    ),
    (
        "save_dir",
        {"save_dir": "a.weights"},
        {},
        [
            f"save_dir=a.weights {NO_COUNTERPART} a run is kept under the names of its model and "
            "data "
            "set, in --runs_dir."
        ],
    ),
    ("wb_suppress", {"wb_suppress": True}, {}, []),
    (
        "wb_suppress",
        {"wb_suppress": False},
        {},
        [
            f"wb_suppress=false {NO_COUNTERPART} Weights & Biases record with "
            "--wandb_project=shape-processing-rnns."
        ],
    ),
    (
        "wb_group",
        {"wb_group": "a"},
        {},
        [f"wb_group=a {NO_COUNTERPART} WANDB_RUN_GROUP in the environment groups runs."],
    ),
    (
        "wb_run_name",
        {"wb_run_name": "a"},
        {},
        [f"wb_run_name=a {NO_COUNTERPART} a run is named after its folder."],
    ),
    (
        "wb_sweep_id",
        {"wb_sweep_id": "a"},
        {},
        [f"wb_sweep_id=a {NO_COUNTERPART} the agents of wandb run sweeps, see docs/sweeps.md."],
    ),
    (
        "entity",
        {"entity": "a"},
        {},
        [f"entity=a {NO_COUNTERPART} WANDB_ENTITY in the environment is whom a run belongs to."],
    ),
]


@pytest.mark.parametrize(("key", "change", "values", "notes"), OF_SHAPE_SELECTIVE)
def test_each_key_of_the_shape_selective_project(read, key, change, values, notes):
    assert key in change
    before, after = read(RECIPROCAL), read(_changed(RECIPROCAL, change))
    assert _difference(before.values, after.values) == values
    assert [note for note in after.notes if note not in before.notes] == notes


def test_no_key_of_the_shape_selective_project_is_left_out():
    assert {case[0] for case in OF_SHAPE_SELECTIVE} == {key.name for key in SHAPE_SELECTIVE_KEYS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_base": "resnet18"},
            "Expected a network that is here, received model_base=resnet18, torchvision's "
            "ResNet18, "
            "which is not here; --model=resnet18_divnorm --divnorm=none is near",
        ),
        (
            {"model_base": "dev_tower"},
            "received model_base=dev_tower, .*--model=conv_tower is near",
        ),
        (
            {"model_base": "vgg"},
            "Expected model_base to be one of ff_tower, gammanet, resnet18, dev_",
        ),
        ({"model_base": GONE}, "Expected model_base in a configuration of the shape-selective"),
        ({"cell_type": "cgru"}, "Expected cell_type to be one of conv, rnn, .* received 'cgru'"),
        ({"tower_type": "small"}, "Expected tower_type to be one of normal, more, wider, deeper"),
        ({"activation": "gelu"}, "Expected activation to be one of relu, elu, tanh, sigmoid"),
        (
            {"normalization": "none"},
            "Expected normalization to be one of batchnorm, layernorm, null",
        ),
        ({"normalization": ["layernorm"]}, "Expected normalization to be one of batchnorm"),
        ({"optimizer": "nadam"}, "Expected optimizer to be one of adam, adamw, sgd, rms"),
        ({"dataset": "voc"}, "Expected dataset to be one of imagenet, imagenet_small"),
        ({"dataset_path": 3}, "Expected dataset_path to be a text, received 3"),
        ({"epochs": "early_stop"}, "Expected epochs to be a whole number, received 'early_stop'"),
        ({"batch_size": 12.5}, "Expected batch_size to be a whole number, received 12.5"),
        ({"batch_size": True}, "Expected batch_size to be a whole number, received True"),
        ({"skip_first": 1}, "Expected skip_first to be true or false, received 1"),
        ({"learning_rate": "0.1"}, "Expected learning_rate to be a number, received '0.1'"),
        ({"batch_frag": 2, "batch_max": 64}, "Expected batch_frag or batch_max, received 2 and 64"),
        ({"batch_frag": 0}, "Expected batch_frag of 1 or more, received 0"),
        ({"batch_frag": 512}, "at least batch_frag=512 images, received 256"),
    ],
)
def test_what_the_shape_selective_project_does_not_have(read, changes, message):
    with pytest.raises(InputError, match=message):
        read(_changed(RECIPROCAL, changes))


# === The divisive-normalization project ===

ALEXNET = {
    "exp_name": "alexnet_cifar100",
    "seed": 42,
    "device_id": 0,
    "visualize": False,
    "runs": 1,
    "email_result": False,
    "email_recipents": [],
    "data": {
        "path": "/inputdata",
        "dataset": "cifar100",
        "bz": 128,
        "num_workers": 8,
        "num_classes": 100,
        "gpu": False,
    },
    "training": {"patience": 5, "early_stop": False, "epochs": 90, "criterion": "cross_entropy"},
    "optimizer": {
        "name": "sgd",
        "lr": 0.05,
        "momentum": 0.9,
        "dampening": 0,
        "nesterov": True,
        "weight_decay": 1e-4,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-7,
        "amsgrad": False,
    },
    "lr_scheduler": {
        "name": "steplr",
        "step_size": 30,
        "gamma": 0.1,
        "patience": 5,
        "factor": 0.1,
        "t_max": 90,
    },
    "model": {
        "type": "alexnet",
        "mean_std": 0.01,
        "std": 0.01,
        "std_ratio": 0.01,
        "batchnorm": True,
        "activation": "half-square",
        "weight_init": "kaiming",
        "nonlinearity": "relu",
        "l1reg": 0,
        "relu": True,
        "for_dataset": "cifar100",
        "num_classes": 100,
        "divnorm_specs": {
            "type": "ours",
            "fix_all": False,
            "single_gamma": False,
            "single_sigma": False,
            "fix_gamma": False,
            "fix_sigma": False,
            "normalize_gamma": False,
            "normalize_sigma": False,
            "eps": 0,
            "sigma": 1.0,
            "gamma": 1.0,
            "lamb": 10.0,
            "alpha": 0.1,
            "beta": 1.0,
            "k": 10.0,
            "p": 0.5,
            "power": 2,
        },
    },
    "recorder": {"model_saving_flag": True, "neuron_activity_flag": False, "train_log": False},
}
RESNET = _changed(
    ALEXNET,
    {
        "exp_name": "resnet_ken",
        "data.dataset": "imagenet",
        "data.bz": 64,
        "data.num_classes": 1000,
        "training.epochs": 60,
        "training.early_stop": True,
        "training.patience": 4,
        "optimizer.name": "adam",
        "optimizer.lr": 0.001,
        "lr_scheduler.name": "plateau",
        "model.type": "resnet50",
        "model.for_dataset": "imagenet",
        "model.num_classes": 1000,
        "model.relu": False,
        "model.weight_init": "normal",
        "model.std": "input_size",
        "model.divnorm_specs.type": "ken",
        "model.divnorm_specs.asact": True,
        "model.divnorm_specs.k": 2.0,
    },
)
HALF_SQUARE = (
    f"model.activation=half-square {NO_COUNTERPART} the original reads it nowhere, either."
)
WORKERS = (
    f"data.num_workers=8 {NO_COUNTERPART} tf.data reads with as many threads as the machine has "
    "cores."
)
CIFAR100 = (
    "data.dataset=cifar100: the last tenth of the training images is for validation, where the "
    "original draws a fifth at random, and mirrors them, too."
)


def test_alexnet_on_cifar100(read):
    found = read(ALEXNET)
    assert found.kind == "divisive_normalization"
    assert found.values == {
        "model": "alexnet_divnorm",
        "variant": "cifar",
        "relu": True,
        "batchnorm": True,
        "weight_init": "kaiming",
        "divnorm": "pooled",
        "p": 0.5,
        "power": 2.0,
        "epsilon": 0.0,
        "initial_gamma": 1.0,
        "initial_sigma": 1.0,
        "single_gamma": False,
        "single_sigma": False,
        "fix_gamma": False,
        "fix_sigma": False,
        "normalize_gamma": False,
        "normalize_sigma": False,
        "dataset": "cifar100",
        "data_dir": "/inputdata",
        "image_size": 32,
        "augment": ("flip",),
        "batch_size": 128,
        "epochs": 90,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 1e-4,
        "schedule": "step",
        "decay_every": 30,
        "decay_factor": 0.1,
        "seed": 42,
    }
    assert found.notes == (
        f"exp_name=alexnet_cifar100 {NO_COUNTERPART} a run is named after its model and data set; "
        "--runs_dir is its folder.",
        CIFAR100,
        WORKERS,
        HALF_SQUARE,
    )


def test_resnet50_on_imagenet(read):
    found = read(RESNET)
    assert found.values == {
        "model": "resnet50_divnorm",
        "relu": False,
        "batchnorm": True,
        "weight_init": "normal",
        "init_std": None,
        "divnorm": "exponential",
        "divnorm_as_activation": True,
        "initial_lambda": 10.0,
        "initial_alpha": 0.1,
        "initial_beta": 1.0,
        "initial_k": 2.0,
        "fix_all": False,
        "dataset": "imagenet2012",
        "data_dir": "/inputdata",
        "image_size": 224,
        "crop_ratio": 0.875,
        "augment": ("random_resized_crop", "flip"),
        "batch_size": 64,
        "epochs": 60,
        "early_stopping": 4,
        "early_stopping_metric": "loss",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "weight_decay": 1e-4,
        "schedule": "plateau",
        "patience": 5,
        "decay_factor": 0.1,
        "seed": 42,
    }
    assert found.notes == (
        f"exp_name=resnet_ken {NO_COUNTERPART} a run is named after its model and data set; "
        "--runs_dir is its folder.",
        "data.path=/inputdata: imagenet2012 of TFDS is kept there; --dataset=image_folder reads "
        "folders of classes, DIR/train and DIR/val.",
        WORKERS,
        "training.early_stop=true: epochs count since the smallest validation loss, where the "
        "original counts those in a row whose loss is larger than the one before.",
        HALF_SQUARE,
    )


def test_the_command_line_of_the_original(read):
    """`train_model.py test_p_1 cifar100 alexnet` and its pairs."""
    found = read(
        ALEXNET,
        "test_p_1",
        "cifar100",
        "alexnet",
        "data-bz=64",
        "optimizer-lr=1e-2",
        "model-relu=False",
        "model-divnorm_specs-type=ours",
        "model-divnorm_specs-p=1",
        "data-path=/data/a=b",
        "email_result=True",
    )
    assert _difference(read(ALEXNET).values, found.values) == {
        "batch_size": 64,
        "learning_rate": 0.01,
        "relu": False,
        "p": 1.0,
        "data_dir": "/data/a=b",
    }
    assert found.notes[:2] == (
        f"exp_name=test_p_1 {NO_COUNTERPART} a run is named after its model and data set; "
        "--runs_dir is its folder.",
        f"email_result=true {NO_COUNTERPART} nothing is sent; --wandb_project can notify.",
    )


def test_what_the_recorder_of_the_original_wrote(read):
    recorded = {"configs": ALEXNET, "device": "cpu", "train_acc": [1.0], "best_acc": 1.0}
    assert read(recorded) == read(ALEXNET)


def test_changes_of_the_shape_selective_project(read):
    found = read(RECIPROCAL, "epochs=early-stop", "seed=3", "skip_first=true")
    assert _difference(read(RECIPROCAL).values, found.values) == {
        "epochs": 400,
        "early_stopping": 5,
        "early_stopping_metric": "loss",
        "seed": 3,
        "skip_first": True,
    }


SPECS = "model.divnorm_specs"
KEN = {f"{SPECS}.type": "ken"}
KEN_VALUES = {
    "divnorm": "exponential",
    **dict.fromkeys(
        [
            "p",
            "power",
            "epsilon",
            "initial_gamma",
            "initial_sigma",
            "single_gamma",
            "single_sigma",
            "fix_gamma",
            "fix_sigma",
            "normalize_gamma",
            "normalize_sigma",
        ],
        GONE,
    ),
    "initial_lambda": 10.0,
    "initial_alpha": 0.1,
    "initial_beta": 1.0,
    "initial_k": 10.0,
    "fix_all": False,
}
ADAM = {"optimizer.name": "adam"}
ADAM_VALUES = {"optimizer": "adam", "momentum": GONE, "nesterov": GONE}
PLATEAU = {"lr_scheduler.name": "plateau"}
PLATEAU_VALUES = {"schedule": "plateau", "patience": 5, "decay_every": GONE}
COSINE = {"lr_scheduler.name": "cosinelr"}
COSINE_VALUES = {
    "schedule": "cosine",
    "warmup_fraction": 0.0,
    "decay_every": GONE,
    "decay_factor": GONE,
}
COSINE_NOTE = (
    "lr_scheduler.name=cosinelr: the rate falls at every step, where the original's does at every "
    "epoch."
)
TRAINED = (
    "as in the original, {} is trained, since only one that all pools share is fixed there; "
    "--fix_all fixes any."
)
ON_IMAGENET = {"data.dataset": "imagenet", "data.num_classes": 1000, "model.num_classes": 1000}
ON_IMAGENET_VALUES = {
    "dataset": "imagenet2012",
    "image_size": 224,
    "crop_ratio": 0.875,
    "augment": ("random_resized_crop", "flip"),
}
IMAGENET_PATH = (
    "data.path=/inputdata: imagenet2012 of TFDS is kept there; --dataset=image_folder reads "
    "folders "
    "of classes, DIR/train and DIR/val."
)
OF_DIVISIVE_NORMALIZATION = [
    (
        "exp_name",
        {"exp_name": "a"},
        {},
        [
            f"exp_name=a {NO_COUNTERPART} a run is named after its model and data set; --runs_dir "
            "is "
            "its folder."
        ],
    ),
    ("seed", {"seed": 1}, {"seed": 1}, []),
    (
        "device_id",
        {"device_id": 1},
        {},
        [f"device_id=1 {NO_COUNTERPART} CUDA_VISIBLE_DEVICES in the environment chooses a GPU."],
    ),
    (
        "visualize",
        {"visualize": True},
        {},
        [f"visualize=true {NO_COUNTERPART} docs/figures has what is drawn here."],
    ),
    ("runs", {"runs": 3}, {}, [f"runs=3 {NO_COUNTERPART} --seeds=0,1,2 trains several runs."]),
    (
        "email_result",
        {"email_result": True},
        {},
        [f"email_result=true {NO_COUNTERPART} nothing is sent; --wandb_project can notify."],
    ),
    (
        "email_recipents",
        {"email_recipents": ["a@b"]},
        {},
        [f'email_recipents=["a@b"] {NO_COUNTERPART} nothing is sent.'],
    ),
    ("data.dataset", ON_IMAGENET, ON_IMAGENET_VALUES, [IMAGENET_PATH]),
    (
        "data.dataset",
        {"data.dataset": "custom", "data.num_classes": GONE, "model.num_classes": GONE},
        {"dataset": "image_folder", "image_size": 224, "crop_ratio": 0.875, "augment": ()},
        ["data.dataset=custom: the original measures on it and does not train on it."],
    ),
    (
        "data.dataset",
        {"data.dataset": GONE},
        {"dataset": GONE, "image_size": GONE, "augment": GONE},
        [
            "data.dataset is not given, and the original has no default: tfbio's holds.",
            f"data.num_classes=100 {NO_COUNTERPART} a readout has as many classes as the data set.",
            f"model.num_classes=100 {NO_COUNTERPART} a readout has as many classes as the data "
            "set.",
        ],
    ),
    ("data.path", {"data.path": "/a"}, {"data_dir": "/a"}, []),
    ("data.path", {"data.path": GONE}, {"data_dir": GONE}, []),
    ("data.bz", {"data.bz": 16}, {"batch_size": 16}, []),
    (
        "data.num_workers",
        {"data.num_workers": 2},
        {},
        [
            f"data.num_workers=2 {NO_COUNTERPART} tf.data reads with as many threads as the "
            "machine "
            "has cores."
        ],
    ),
    (
        "data.num_classes",
        {"data.num_classes": 20},
        {},
        [f"data.num_classes=20 {NO_COUNTERPART} a readout has as many classes as the data set."],
    ),
    (
        "data.gpu",
        {**ON_IMAGENET, "data.gpu": True},
        ON_IMAGENET_VALUES,
        [
            IMAGENET_PATH,
            f"data.gpu=true {NO_COUNTERPART} random_resized_crop takes 0.08 to 1 of the area at "
            "aspect ratios from 3/4 to 4/3, where the original's loader on the GPU takes 0.2 to 1 "
            "at "
            "0.8 to 1.25.",
        ],
    ),
    # Not read with CIFAR-100.
    ("data.gpu", {"data.gpu": True}, {}, []),
    ("training.epochs", {"training.epochs": 3}, {"epochs": 3}, []),
    (
        "training.early_stop",
        {"training.early_stop": True},
        {"early_stopping": 5, "early_stopping_metric": "loss"},
        [
            "training.early_stop=true: epochs count since the smallest validation loss, where the "
            "original counts those in a row whose loss is larger than the one before."
        ],
    ),
    # Not read without early_stop.
    ("training.patience", {"training.patience": 2}, {}, []),
    (
        "training.patience",
        {"training.patience": 2, "training.early_stop": True},
        {"early_stopping": 2, "early_stopping_metric": "loss"},
        [
            "training.early_stop=true: epochs count since the smallest validation loss, where the "
            "original counts those in a row whose loss is larger than the one before."
        ],
    ),
    ("training.criterion", {"training.criterion": "cross_entropy"}, {}, []),
    ("optimizer.name", ADAM, ADAM_VALUES, []),
    ("optimizer.lr", {"optimizer.lr": 1}, {"learning_rate": 1.0}, []),
    ("optimizer.momentum", {"optimizer.momentum": 0.5}, {"momentum": 0.5}, []),
    (
        "optimizer.dampening",
        {"optimizer.dampening": 0.5},
        {},
        [f"optimizer.dampening=0.5 {NO_COUNTERPART} momentum takes the whole gradient."],
    ),
    ("optimizer.dampening", {**ADAM, "optimizer.dampening": 0.5}, ADAM_VALUES, []),
    ("optimizer.nesterov", {"optimizer.nesterov": False}, {"nesterov": False}, []),
    ("optimizer.weight_decay", {"optimizer.weight_decay": 0}, {"weight_decay": 0.0}, []),
    (
        "optimizer.beta1",
        {**ADAM, "optimizer.beta1": 0.8},
        ADAM_VALUES,
        [f"optimizer.beta1=0.8 {NO_COUNTERPART} Adam has 0.9."],
    ),
    ("optimizer.beta1", {"optimizer.beta1": 0.8}, {}, []),
    (
        "optimizer.beta2",
        {**ADAM, "optimizer.beta2": 0.99},
        ADAM_VALUES,
        [f"optimizer.beta2=0.99 {NO_COUNTERPART} Adam has 0.999."],
    ),
    (
        "optimizer.eps",
        {**ADAM, "optimizer.eps": 0.1},
        ADAM_VALUES,
        [f"optimizer.eps=0.1 {NO_COUNTERPART} Adam has 1e-7."],
    ),
    (
        "optimizer.amsgrad",
        {**ADAM, "optimizer.amsgrad": True},
        ADAM_VALUES,
        [f"optimizer.amsgrad=true {NO_COUNTERPART} Adam is as first published."],
    ),
    ("lr_scheduler.name", PLATEAU, PLATEAU_VALUES, []),
    ("lr_scheduler.name", COSINE, COSINE_VALUES, [COSINE_NOTE]),
    (
        "lr_scheduler.name",
        {"lr_scheduler.name": GONE},
        {"schedule": GONE, "decay_every": GONE, "decay_factor": GONE},
        ["lr_scheduler.name is not given, and the original has no default: tfbio's holds."],
    ),
    ("lr_scheduler.step_size", {"lr_scheduler.step_size": 7}, {"decay_every": 7}, []),
    ("lr_scheduler.gamma", {"lr_scheduler.gamma": 0.5}, {"decay_factor": 0.5}, []),
    (
        "lr_scheduler.patience",
        {**PLATEAU, "lr_scheduler.patience": 3},
        {**PLATEAU_VALUES, "patience": 3},
        [],
    ),
    (
        "lr_scheduler.factor",
        {**PLATEAU, "lr_scheduler.factor": 0.5},
        {**PLATEAU_VALUES, "decay_factor": 0.5},
        [],
    ),
    (
        "lr_scheduler.t_max",
        {**COSINE, "lr_scheduler.t_max": 50},
        COSINE_VALUES,
        [
            COSINE_NOTE,
            f"lr_scheduler.t_max=50 {NO_COUNTERPART} the cosine ends at 0 with the last epoch.",
        ],
    ),
    (
        "model.type",
        {"model.type": "resnet18", f"{SPECS}.asact": False},
        {"model": "resnet18_divnorm", "divnorm_as_activation": False, "variant": GONE},
        [],
    ),
    (
        "model.type",
        {"model.type": "vgg16"},
        {"model": "vgg16_divnorm", "variant": GONE},
        [
            "model.type=vgg16: its readout has as many classes as the data set, where the "
            "original's "
            "has 1000."
        ],
    ),
    ("model.relu", {"model.relu": False}, {"relu": False}, []),
    ("model.batchnorm", {"model.batchnorm": False}, {"batchnorm": False}, []),
    (
        "model.activation",
        {"model.activation": "relu"},
        {},
        [f"model.activation=relu {NO_COUNTERPART} the original reads it nowhere, either."],
    ),
    ("model.weight_init", {"model.weight_init": "default"}, {"weight_init": "default"}, []),
    (
        "model.nonlinearity",
        {"model.nonlinearity": "linear"},
        {},
        [
            f"model.nonlinearity=linear {NO_COUNTERPART} convolutions start with the gain of a "
            "rectification."
        ],
    ),
    (
        "model.nonlinearity",
        {"model.nonlinearity": "linear", "model.weight_init": "default"},
        {"weight_init": "default"},
        [],
    ),
    (
        "model.std",
        {"model.weight_init": "normal", "model.std": 0.02},
        {"weight_init": "normal", "init_std": 0.02},
        [],
    ),
    (
        "model.std",
        {"model.weight_init": "multivariate_gaussian", "model.std": 0.02},
        {"weight_init": "multivariate_gaussian", "init_variance": 0.02, "init_mean_std": 0.01},
        [],
    ),
    (
        "model.mean_std",
        {"model.weight_init": "multivariate_gaussian", "model.mean_std": 0.02},
        {"weight_init": "multivariate_gaussian", "init_variance": 0.01, "init_mean_std": 0.02},
        [],
    ),
    (
        "model.std_ratio",
        {"model.weight_init": "kaiming_gaussian", "model.std_ratio": 0.02},
        {"weight_init": "kaiming_gaussian", "init_std_ratio": 0.02},
        [
            "model.std_ratio=0.02: filters have so many times Kaiming's deviation around their "
            "mean; "
            "in the original that is their variance."
        ],
    ),
    (
        "model.l1reg",
        {"model.l1reg": 0.1},
        {},
        [
            f"model.l1reg=0.1 {NO_COUNTERPART} the original reads it nowhere, either; "
            "--l1_activity "
            "and --l1_weights are penalties."
        ],
    ),
    ("model.for_dataset", {"model.for_dataset": "imagenet"}, {"variant": "imagenet"}, []),
    (
        "model.num_classes",
        {"model.num_classes": 10},
        {},
        [f"model.num_classes=10 {NO_COUNTERPART} a readout has as many classes as the data set."],
    ),
    (
        "model.divnorm",
        {"model.divnorm": "ours"},
        {},
        [
            f"model.divnorm=ours {NO_COUNTERPART} the original reads it nowhere, either; "
            "model.divnorm_specs.type decides."
        ],
    ),
    (
        "model.load_path",
        {"model.load_path": "/models"},
        {},
        [f"model.load_path=/models {NO_COUNTERPART} --weights starts from a file."],
    ),
    (f"{SPECS}.type", KEN, KEN_VALUES, []),
    (
        f"{SPECS}.type",
        {f"{SPECS}.type": "nonorm"},
        {
            **{name: value for name, value in KEN_VALUES.items() if value is GONE},
            "divnorm": None,
        },
        [],
    ),
    (
        f"{SPECS}.asact",
        {f"{SPECS}.asact": True},
        {},
        [f"{SPECS}.asact=true has no effect with AlexNet and VGG16 in the original."],
    ),
    (
        f"{SPECS}.asact",
        {f"{SPECS}.asact": True, "model.type": "resnet50"},
        {"model": "resnet50_divnorm", "divnorm_as_activation": True, "variant": GONE},
        [],
    ),
    (f"{SPECS}.fix_all", {**KEN, f"{SPECS}.fix_all": True}, {**KEN_VALUES, "fix_all": True}, []),
    (
        f"{SPECS}.fix_all",
        {f"{SPECS}.fix_all": True, f"{SPECS}.p": 1},
        {"fix_gamma": True, "fix_sigma": True, "p": 1.0},
        [],
    ),
    (
        f"{SPECS}.fix_all",
        {f"{SPECS}.fix_all": True},
        {},
        [
            f"{SPECS}.fix_all=true: {TRAINED.format('gamma')}",
            f"{SPECS}.fix_all=true: {TRAINED.format('sigma')}",
        ],
    ),
    (f"{SPECS}.single_gamma", {f"{SPECS}.single_gamma": True}, {"single_gamma": True}, []),
    (f"{SPECS}.single_sigma", {f"{SPECS}.single_sigma": True}, {"single_sigma": True}, []),
    (
        f"{SPECS}.fix_gamma",
        {f"{SPECS}.fix_gamma": True, f"{SPECS}.single_gamma": True},
        {"fix_gamma": True, "single_gamma": True},
        [],
    ),
    (
        f"{SPECS}.fix_gamma",
        {f"{SPECS}.fix_gamma": True},
        {},
        [f"{SPECS}.fix_gamma=true: {TRAINED.format('gamma')}"],
    ),
    (
        f"{SPECS}.fix_sigma",
        {f"{SPECS}.fix_sigma": True, f"{SPECS}.p": 1.0},
        {"fix_sigma": True, "p": 1.0},
        [],
    ),
    (
        f"{SPECS}.fix_sigma",
        # Refused by the layer, but in the original only one of them has an effect.
        {f"{SPECS}.fix_sigma": True, f"{SPECS}.normalize_sigma": True},
        {"normalize_sigma": True},
        [f"{SPECS}.fix_sigma=true: {TRAINED.format('sigma')}"],
    ),
    (f"{SPECS}.normalize_gamma", {f"{SPECS}.normalize_gamma": True}, {"normalize_gamma": True}, []),
    (
        f"{SPECS}.normalize_gamma",
        {f"{SPECS}.normalize_gamma": True, f"{SPECS}.single_gamma": True},
        {"single_gamma": True},
        [f"{SPECS}.normalize_gamma=true has no effect with one gamma for all pools."],
    ),
    (f"{SPECS}.normalize_sigma", {f"{SPECS}.normalize_sigma": True}, {"normalize_sigma": True}, []),
    (f"{SPECS}.eps", {f"{SPECS}.eps": 0.5}, {"epsilon": 0.5}, []),
    (f"{SPECS}.eps", {f"{SPECS}.eps": GONE}, {"epsilon": 1e-8}, []),
    (f"{SPECS}.sigma", {f"{SPECS}.sigma": 2}, {"initial_sigma": 2.0}, []),
    (f"{SPECS}.gamma", {f"{SPECS}.gamma": 2}, {"initial_gamma": 2.0}, []),
    (f"{SPECS}.lamb", {**KEN, f"{SPECS}.lamb": 5}, {**KEN_VALUES, "initial_lambda": 5.0}, []),
    (f"{SPECS}.alpha", {**KEN, f"{SPECS}.alpha": 5}, {**KEN_VALUES, "initial_alpha": 5.0}, []),
    (f"{SPECS}.beta", {**KEN, f"{SPECS}.beta": 5}, {**KEN_VALUES, "initial_beta": 5.0}, []),
    (f"{SPECS}.k", {**KEN, f"{SPECS}.k": 5}, {**KEN_VALUES, "initial_k": 5.0}, []),
    (f"{SPECS}.p", {f"{SPECS}.p": 0.25}, {"p": 0.25}, []),
    (
        f"{SPECS}.p",
        {**KEN, "model.weight_init": "multivariate_gaussian", f"{SPECS}.p": 0.25},
        {
            **KEN_VALUES,
            "p": 0.25,
            "weight_init": "multivariate_gaussian",
            "init_variance": 0.01,
            "init_mean_std": 0.01,
        },
        [],
    ),
    (f"{SPECS}.power", {f"{SPECS}.power": 4}, {"power": 4.0}, []),
    (
        "recorder.model_saving_flag",
        {"recorder.model_saving_flag": False},
        {},
        [f"recorder.model_saving_flag=false {NO_COUNTERPART} the best model is always kept."],
    ),
    (
        "recorder.neuron_activity_flag",
        {"recorder.neuron_activity_flag": True},
        {},
        [
            f"recorder.neuron_activity_flag=true {NO_COUNTERPART} the original reads it nowhere, "
            "either; --record_activity=default records activity."
        ],
    ),
    (
        "recorder.train_log",
        {"recorder.train_log": True},
        {},
        [f"recorder.train_log=true {NO_COUNTERPART} history.csv has a line an epoch."],
    ),
]


@pytest.mark.parametrize(("key", "change", "values", "notes"), OF_DIVISIVE_NORMALIZATION)
def test_each_key_of_the_divisive_normalization_project(read, key, change, values, notes):
    assert key in change
    before, after = read(ALEXNET), read(_changed(ALEXNET, change))
    assert _difference(before.values, after.values) == values
    assert [note for note in after.notes if note not in before.notes] == notes


def test_no_key_of_the_divisive_normalization_project_is_left_out():
    covered = {case[0] for case in OF_DIVISIVE_NORMALIZATION}
    assert covered == {key.name for key in DIVISIVE_NORMALIZATION_KEYS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.type": "resnet34"},
            "Expected model.type to be one of alexnet, resnet18, resnet50",
        ),
        ({"model.type": GONE}, "Expected model.type in a configuration of the divisive-normal"),
        ({f"{SPECS}.type": "Ours"}, "divnorm_specs.type to be one of ours, ken, nonorm"),
        (
            {"model.weight_init": "xavier"},
            "Expected model.weight_init to be one of default, kaiming",
        ),
        (
            {"data.dataset": "cifar10"},
            "Expected data.dataset to be one of cifar100, imagenet, custom",
        ),
        ({"optimizer.name": "rms"}, "Expected optimizer.name to be one of sgd, adam"),
        ({"lr_scheduler.name": "step"}, "lr_scheduler.name to be one of steplr, plateau, cosinelr"),
        ({"training.criterion": "mse"}, "Expected training.criterion to be one of cross_entropy"),
        ({"data.bz": "128"}, "Expected data.bz to be a whole number, received '128'"),
        ({f"{SPECS}.p": "half"}, "divnorm_specs.p to be a number, received 'half'"),
        (
            {"testing": {"result_path": "/a"}},
            "Expected a configuration of a training, received one",
        ),
    ],
)
def test_what_the_divisive_normalization_project_does_not_have(read, changes, message):
    with pytest.raises(InputError, match=message):
        read(_changed(ALEXNET, changes))


# === Changes and unknown keys ===


@pytest.mark.parametrize(
    ("content", "overrides", "message"),
    [
        (
            RECIPROCAL,
            ["cell_typ=gru"],
            "Unknown key of the shape-selective project 'cell_typ'. Nearest: cell_type",
        ),
        (
            ALEXNET,
            ["optimizer-momentun=0.9"],
            "Unknown key of the divisive-normalization project 'optimizer.momentun'. Nearest: "
            "optimizer.momentum",
        ),
        (ALEXNET, ["optimiser-lr=0.9"], "'optimiser.lr'. Nearest: optimizer.lr"),
        (
            ALEXNET,
            ["model-divnorm_specs=ours"],
            "'model.divnorm_specs'. Nearest: model.divnorm_specs",
        ),
    ],
)
def test_unknown_keys_have_the_nearest_named(read, content, overrides, message):
    with pytest.raises(UnknownNameError, match=message):
        read(content, *overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["seed-a=1"],
            "a section in front of each hyphen, received 'seed-a=1', where seed is a value",
        ),
        (["=1"], "Expected key=value or key1-key2=value, received '=1'"),
        (["optimizer-=1"], "Expected key=value or key1-key2=value"),
        (["data-bz=1", "alexnet"], "Expected key=value or key1-key2=value, received 'alexnet'"),
        (
            ["a", "imagenet", "alexnet"],
            "Expected data.dataset=cifar100, .* received imagenet: give ",
        ),
        (
            ["a", "cifar100", "resnet18"],
            "Expected model.type=alexnet, as the file has it, received res",
        ),
        (["a", "cifar100", "alexnet", "b"], "Expected the name of an experiment, a data set and a"),
    ],
)
def test_changes_that_are_none(read, overrides, message):
    with pytest.raises(InputError, match=message):
        read(ALEXNET, *overrides)


def test_words_are_not_changes_of_the_shape_selective_project(read):
    with pytest.raises(InputError, match="Expected changes such as epochs=30, received gru"):
        read(RECIPROCAL, "gru")


# === Runs ===


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(
            ModelConfig("bl_rcnn", image_size=64, timesteps=4, width=0.125),
            DataConfig(
                "image_folder",
                data_dir="/data",
                augment=("random_resized_crop", "flip"),
                framing=Framing(0.875, 224),
                condition="blur",
                condition_level=2.0,
            ),
            OptimizerConfig(
                "sgd", learning_rate=0.1, schedule=Step((2, 4)), momentum=0.5, nesterov=True
            ),
            epochs=6,
            early_stopping=2,
            early_stopping_metric="loss",
            seed=3,
        ),
        TrainingConfig(
            ModelConfig("alexnet_divnorm", divnorm=None, relu=False),
            DataConfig("cifar100", augment=()),
            OptimizerConfig("adamw", schedule=Plateau(patience=2), weight_decay=0.0),
        ),
        TrainingConfig(
            ModelConfig("vone_resnet50"),
            optimizer=OptimizerConfig(schedule=Cosine(0.0), accumulate_steps=2),
            noise=NoiseConfig("fixed", seed=4),
        ),
        TrainingConfig(optimizer=OptimizerConfig("rmsprop", schedule=Constant())),
    ],
    ids=lambda config: config.model.name,
)
def test_the_configuration_of_a_run_repeats_it(read, config):
    found = read(config.as_json())
    assert found.kind == "tfbio"
    assert found.notes == ()
    assert training_config(found.values) == config


def test_the_configuration_of_a_run_as_options(read):
    config = TrainingConfig(
        ModelConfig("b_cnn", width=0.5), DataConfig("shapes", augment=("flip",)), epochs=3
    )
    assert read(config.as_json()).values == {
        "model": "b_cnn",
        "width": 0.5,
        "import": (),
        "dataset": "shapes",
        "max_bad_images": 0,
        "cache": "none",
        "augment": ("flip",),
        "crop_ratio": 1.0,
        "class_weights": "equal",
        "optimizer": "adam",
        "learning_rate": 0.003,
        "schedule": "cosine",
        "warmup_fraction": 0.05,
        "nesterov": False,
        "accumulate_steps": 1,
        "mode": "train",
        "epochs": 3,
        "batch_size": 32,
        "precision": "float32",
        "seed": 0,
        "strategy": "auto",
    }


def test_a_run_of_ones_own_model_has_no_names(read):
    content = TrainingConfig(ModelConfig("mine", fingerprint="0123")).as_json()
    with pytest.raises(InputError, match=r"a model or data of your own: call tfbio\.train with"):
        read(content)


def test_a_run_of_another_version(read):
    content = {**TrainingConfig().as_json(), "version": 99}
    with pytest.raises(
        InputError, match=r"config.json cannot be read. Expected a configuration of v"
    ):
        read(content)


def test_a_run_of_a_model_that_is_to_be_imported_first(read):
    content = TrainingConfig(ModelConfig("b_cnn", imports=("my_models",))).as_json()
    content["model"]["name"] = "my_net"
    with pytest.raises(InputError, match=r"Unknown model 'my_net'.* Import my_models first\."):
        read(content)


def test_changes_of_a_run_are_flags(read):
    with pytest.raises(InputError, match="received epochs=3: give flags or keywords"):
        read(TrainingConfig().as_json(), "epochs=3")


# === What is given beside a file ===


@pytest.mark.parametrize(
    ("given", "difference"),
    [
        ({"epochs": 3}, {"epochs": 3}),
        ({"decay_every": 5}, {"decay_every": 5}),
        (
            {"schedule": "cosine"},
            {"schedule": "cosine", "decay_every": GONE, "decay_factor": GONE},
        ),
        # Both have a factor.
        ({"schedule": "plateau"}, {"schedule": "plateau", "decay_every": GONE}),
        ({"optimizer": "adam"}, {"optimizer": "adam", "momentum": GONE, "nesterov": GONE}),
        ({"optimizer": "rmsprop"}, {"optimizer": "rmsprop", "nesterov": GONE}),
        ({"model": "fgru_tower", "timesteps": 2}, {"model": "fgru_tower", "timesteps": 2}),
        (
            {"model": "rnn_tower"},
            {"model": "rnn_tower", "preconv": GONE, "preconv_kernel": GONE},
        ),
    ],
)
def test_what_is_given_beside_a_file_comes_first(read, given, difference):
    found = read(HGRU)
    values = found.beside(given)
    assert _difference(found.values, values) == difference
    training_config(values)


# === Files ===


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("--model=b_cnn\n", "Expected JSON, received .*, which is none"),
        ("[]", "Expected one configuration in .*, received a list"),
        ("{}", "Expected the config.json of a run, or a configuration .* with nothing"),
        ('{"seed": 1, "lr": 2}', "with model, data, ...., received .* with seed, lr"),
        (
            '{"version": 1, "model": "b_cnn"}',
            "Expected the config.json of a run, or a configuration",
        ),
    ],
)
def test_files_that_are_no_configuration(tmp_path, written, message):
    file = tmp_path / "a.json"
    file.write_text(written)
    with pytest.raises(InputError, match=message):
        read_config(file)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "a.json", tmp_path):
        with pytest.raises(InputError, match="Expected a file with a configuration, found none at"):
            read_config(path)


# === Tables ===


def _rows(keys):
    rows = []
    for key in keys:
        options = ", ".join(f"`{name}`" for name in key.options) or "none"
        rows.append(f"| `{key.name}` | {options} | {key.remark} |")
    return rows


def test_the_page_has_every_key():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    expected = [*_rows(SHAPE_SELECTIVE_KEYS), *_rows(DIVISIVE_NORMALIZATION_KEYS)]
    assert rows == expected, "\n".join(expected)


def test_every_option_of_the_tables_exists():
    arguments = {name for model in tfbio.list_models() for name in model_info(model).arguments}
    options = {*options_of(TrainingConfig), *arguments}
    for key in (*SHAPE_SELECTIVE_KEYS, *DIVISIVE_NORMALIZATION_KEYS):
        assert set(key.options) <= options, key
        assert key.remark.endswith("."), key
