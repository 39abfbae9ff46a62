"""Networks with divisive normalization: the original's logits, and every choice they have."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from models.divnorm_golden import CASES, logits_error, make_model, state_dict

import tfbio
from tfbio.errors import InputError
from tfbio.layers import ExponentialDivNorm, PooledDivNorm
from tfbio.layers.filter_initializers import PooledGaussian
from tfbio.models import logits_model
from tfbio.weights import WeightsError, load_weights, to_torch_state_dict

NAMES = ("alexnet_divnorm", "vgg16_divnorm", "resnet18_divnorm", "resnet50_divnorm")
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
LABELS = np.array([0, 1, 2, 1])


def _small(name="alexnet_divnorm", **arguments):
    """Pools of 2^int(0.5 log2(8)) = 2 channels and up."""
    return tfbio.create_model(
        name, **{"input_shape": (32, 32, 3), "classes": 3, "width": 1 / 8, **arguments}
    )


# === The original's numbers ===


# The four normalizations of VGG16 take half a minute.
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.slow)
        if case.startswith("vgg16") and "p05" not in case
        else case
        for case in CASES
    ],
)
def test_logits_are_the_originals(case):
    assert logits_error(case) < 1e-4


@pytest.mark.parametrize("case", ["alexnet_cifar100_ken", "resnet18_imagenet_ours_p05"])
def test_the_way_back_to_pytorch(case):
    theirs = state_dict(case)
    ours = to_torch_state_dict(make_model(case), as_arrays=True)
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor)


def test_a_checkpoint_of_another_network_is_named():
    with pytest.raises(WeightsError, match="It is a checkpoint of resnet18_divnorm"):
        load_weights(_small("resnet50_divnorm"), state_dict("resnet18_imagenet_nonorm"))


# === Choices ===


CHOICES = {
    "without relu": {"relu": False},
    "without batch normalization": {"batchnorm": False},
    "without divisive normalization": {"divnorm": None},
    "exponential": {"divnorm": "exponential"},
    "as activation": {"divnorm_as_activation": True},
    "as activation, alone": {"divnorm_as_activation": True, "relu": False, "batchnorm": False},
    "one pool": {"p": 1},
    "every channel alone": {"p": 0},
    "cubes": {"power": 3, "epsilon": 1e-3},
    "normalized": {"normalize_sigma": True, "normalize_gamma": True, "upstream_exact": False},
    "fixed": {"fix_all": True},
}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["alexnet_divnorm", "resnet18_divnorm"])
def test_every_choice_trains_a_step_with_finite_gradients(name, choice):
    model = _small(name, **CHOICES[choice])
    trainer = logits_model(model)
    trainer.compile(
        keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    before = [weight.numpy() for weight in model.trainable_weights]
    loss = trainer.train_on_batch(IMAGES, LABELS)
    assert np.isfinite(loss)
    after = [weight.numpy() for weight in model.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((one != other).any() for one, other in zip(before, after, strict=True))


def _kinds(model):
    return [type(layer) for layer in model.layers]


@pytest.mark.parametrize(
    ("name", "convolutions", "normalized"),
    [
        ("alexnet_divnorm", 5, 5),
        ("vgg16_divnorm", 13, 13),
        ("resnet18_divnorm", 20, 17),
        ("resnet50_divnorm", 53, 49),
    ],
)
def test_what_stands_where(name, convolutions, normalized):
    """Shortcuts are bare; everything else is normalized."""
    model = _small(name)
    kinds = _kinds(model)
    assert kinds.count(keras.layers.Conv2D) == convolutions
    assert kinds.count(PooledDivNorm) == normalized
    assert kinds.count(keras.layers.BatchNormalization) == normalized
    kinds = _kinds(_small(name, divnorm="exponential", batchnorm=False))
    assert kinds.count(ExponentialDivNorm) == normalized
    assert keras.layers.BatchNormalization not in kinds
    assert not {PooledDivNorm, ExponentialDivNorm} & set(_kinds(_small(name, divnorm=None)))


def test_divisive_normalization_as_the_activation():
    blocks = 8
    kinds = _kinds(_small("resnet18_divnorm", divnorm_as_activation=True))
    # Of the head, of each block's first convolution, and of each block's sum.
    assert kinds.count(PooledDivNorm) == 1 + 2 * blocks
    model = _small("resnet18_divnorm", divnorm_as_activation=True)
    order = [layer.name for layer in model.layers]
    assert order.index("layer1_0_add") < order.index("layer1_0_dn") < order.index("layer1_0_relu")
    assert "layer1_0_features_dn2" not in order
    alone = [layer.name for layer in _small(divnorm_as_activation=True).layers]
    assert "features_relu1" not in alone
    assert "features_divnorm1" in alone


def test_the_variant_follows_the_size():
    assert _small().get_layer("features_conv1").kernel_size == (3, 3)
    assert _small(variant="imagenet", input_shape=(64, 64, 3)).get_layer(
        "features_conv1"
    ).kernel_size == (11, 11)
    published = tfbio.create_model("alexnet_divnorm", width=1 / 32)
    assert published.get_layer("features_conv1").strides == (4, 4)


def test_what_is_fixed():
    def trained(**arguments):
        names = [variable.path for variable in _small(**arguments).trainable_variables]
        return [name for name in names if "divnorm" in name]

    assert len(trained()) == 10
    assert trained(fix_all=True) == trained(divnorm="exponential", fix_all=True) == []
    assert len(trained(fix_gamma=True, single_gamma=True)) == 5
    assert len(trained(fix_gamma=True, upstream_exact=False)) == 5


# === Initial weights and penalties ===


def test_initial_weights():
    fan_in = 3 * 3 * 24

    def kernel(**arguments):
        return _small(**arguments).get_layer("features_conv3").kernel.numpy()

    kaiming = np.sqrt(2 / fan_in)
    number = 3 * 3 * 24 * 48
    for arguments, std in (
        ({"weight_init": "kaiming"}, kaiming),
        ({"weight_init": "default"}, 1 / np.sqrt(3 * fan_in)),
        ({"weight_init": "normal"}, 1 / np.sqrt(fan_in)),
        ({"weight_init": "normal", "init_std": 0.01}, 0.01),
    ):
        # Five standard errors of a normal deviation's.
        assert kernel(**arguments).std() == pytest.approx(std, rel=5 / np.sqrt(2 * number))
    assert not _small(weight_init="kaiming").get_layer("features_conv3").bias.numpy().any()
    assert _small(weight_init="default").get_layer("features_conv3").bias.numpy().any()


@pytest.mark.parametrize(
    ("arguments", "mean_std", "std"),
    [
        ({"std": 0.1, "mean_std": 0.5}, 0.5, 0.1),
        ({"std": 0.05, "relative": True}, np.sqrt(2 / 900), 0.05 * np.sqrt(2 / 900)),
    ],
)
def test_filters_of_a_pool_resemble_each_other(arguments, mean_std, std):
    kernel = np.asarray(PooledGaussian(p=0.5, seed=1, **arguments)((3, 3, 100, 64)))
    pools = kernel.reshape(900, 8, 8)
    within = pools.std(axis=2, ddof=1)
    assert np.sqrt((within**2).mean()) == pytest.approx(std, rel=0.03)
    assert pools.mean(axis=2).std() == pytest.approx(mean_std, rel=0.05)
    again = np.asarray(PooledGaussian(p=0.5, seed=1, **arguments)((3, 3, 100, 64)))
    np.testing.assert_array_equal(kernel, again)


def test_penalties():
    model = _small(l1_weights=0.1, batchnorm=False, divnorm=None)
    kernels = [
        layer.kernel.numpy()
        for layer in model.layers
        if "conv" in layer.name and hasattr(layer, "kernel")
    ]
    expected = 0.1 * sum(np.abs(kernel).sum(dtype=np.float64) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    model = _small(l1_activity=0.1)
    model(IMAGES)
    activity = tfbio.features(model, IMAGES, "features_divnorm*")
    expected = 0.1 * sum(np.abs(each).sum(dtype=np.float64) for each in activity.values())
    assert float(sum(model.losses)) == pytest.approx(expected / len(IMAGES), rel=1e-5)


# === Bad input ===


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"p": 0.9, "width": 0.2}, "Expected a number of channels that pools of"),
        ({"p": 1.5}, "Expected a pool exponent `p` from 0 to 1, received 1.5"),
        ({"power": -2}, "Expected a `power` above 0, received -2"),
        ({"normalize_gamma": True, "fix_gamma": True}, "received both: a fixed gamma"),
        ({"divnorm": "heeger"}, "Expected `divnorm` to be one of pooled, exponential"),
        ({"divnorm": "exponential", "initial_lambda": 0}, "Expected `initial_lambda` above 0"),
        ({"divnorm_as_activation": True, "divnorm": None}, "Expected a `divnorm` with"),
        ({"weight_init": "xavier"}, "Expected `weight_init` to be one of default, kaiming"),
        ({"variant": "mnist"}, "Expected `variant` to be one of cifar, imagenet"),
        ({"l1_weights": -1}, "received a negative one"),
        ({"input_shape": (None, None, 3)}, "known height and width"),
        ({"init_std": -1}, "received a negative one"),
        ({"variant": "imagenet"}, "Expected an input of at least 63 x 63 pixels"),
        ({"blocks": (1, 1, 1, 1)}, "takes no argument 'blocks'"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        _small(**arguments)
