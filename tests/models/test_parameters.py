"""What the registry says of arguments: enough to make flags of them."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from typing import Any, Literal

import keras
import pytest

import tfbio
from tfbio.errors import InputError
from tfbio.models import (
    DivisiveNormalizationConfig,
    FrontEndConfig,
    Parameter,
    alexnet_divnorm,
    registry,
    vone_block,
)
from tfbio.models.divisive_normalization_config import DivisiveNormalizationOptions
from tfbio.models.vone_front_end import FrontEndOptions

INTS = (
    "timesteps",
    "simple_channels",
    "complex_channels",
    "kernel_size",
    "filters",
    "cell_kernel",
    "preconv_kernel",
    "strides",
    "gabor_seed",
    "channel_seed",
)
FLOATS = (
    "width",
    "dropout",
    "k_exc",
    "visual_degrees",
    "sf_corr",
    "sf_max",
    "sf_min",
    "noise_scale",
    "noise_level",
    "p",
    "power",
    "initial_gamma",
    "initial_sigma",
    "epsilon",
    "initial_lambda",
    "initial_alpha",
    "initial_beta",
    "initial_k",
    "init_std",
    "init_mean_std",
    "init_variance",
    "init_std_ratio",
    "l1_activity",
    "l1_weights",
)
SWITCHES = (
    "cumulative_readout",
    "return_sequences",
    "skip_first",
    "preconv",
    "recurrent_dropout",
    "shared_kernel",
    "upstream_exact",
    "relu",
    "batchnorm",
    "divnorm_as_activation",
    "single_gamma",
    "single_sigma",
    "fix_gamma",
    "fix_sigma",
    "fix_all",
    "normalize_gamma",
    "normalize_sigma",
)
# Of all models together, with None where one takes it.
CHOICES = {
    "gabor_distribution": {"neuronal", "uniform"},
    "noise_mode": {"neuronal", "gaussian", None},
    "noise_sampling": {"sample", "fixed", "mean", "off"},
    "divnorm": {"pooled", "exponential", None},
    "weight_init": {
        "default",
        "kaiming",
        "normal",
        "multivariate_gaussian",
        "kaiming_gaussian",
    },
    "tower_type": {"normal", "more", "wider", "deeper", "small"},
    "normalization": {"batch", "layer", None},
    "activation": {"relu", "elu", "tanh", "sigmoid"},
    "hidden_init": {"zeros", "noise"},
    "variant": {"cifar", "imagenet", None},
}


def _members(annotation: Any) -> set[Any]:
    """The types or the literal values of which an annotation is the union."""
    if annotation is type(None):
        return {None}
    if typing.get_origin(annotation) is Literal:
        return set(typing.get_args(annotation))
    # `X | Y` and `Optional[X]`.
    if typing.get_origin(annotation) in (typing.Union, type(int | str)):
        return set().union(*(_members(each) for each in typing.get_args(annotation)))
    return {annotation}


def _parameters(name: str) -> list[Parameter]:
    """What the models that have an argument say of it."""
    found = [
        tfbio.model_info(model).parameters[name]
        for model in tfbio.list_models()
        if name in tfbio.model_info(model).arguments
    ]
    assert found, name
    return found


@pytest.mark.parametrize(
    ("names", "kind"),
    [(INTS, int), (FLOATS, float), (SWITCHES, bool)],
    ids=["int", "float", "bool"],
)
def test_numbers_and_switches(names, kind):
    for name in names:
        for parameter in _parameters(name):
            assert _members(parameter.annotation) - {None} == {kind}, name
            assert len(parameter.description) > 10, name


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name):
    found = set()
    for parameter in _parameters(name):
        values = _members(parameter.annotation)
        if values == {DivisiveNormalizationConfig, None}:
            continue
        assert all(value is None or isinstance(value, str) for value in values)
        # The published value is one of them, or the weights decide.
        assert parameter.default in {*values, "as trained"}
        assert len(parameter.description) > 10
        found |= values
    assert found == CHOICES[name]


def test_every_argument_of_every_model_is_typed_and_described():
    flag_kinds = {bool, int, float, str, Sequence[int], Sequence[float], None}
    not_flags = {
        "input_shape",
        "weights",
        "normalization",
        "front_end",
        "parameters",
        "channels",
        "hgru_layers",
    }
    for model in tfbio.list_models():
        info = tfbio.model_info(model)
        assert tuple(info.parameters) == info.arguments
        for name, parameter in info.parameters.items():
            assert parameter.name == name
            assert parameter.description, f"{model} {name}"
            assert parameter.default is not inspect.Parameter.empty
            if name not in not_flags:
                kinds = _members(parameter.annotation)
                assert all(each in flag_kinds or isinstance(each, str) for each in kinds), name


def test_descriptions_come_from_the_models_own_docstring_first():
    towers = {name: tfbio.model_info(f"{name}_tower").parameters for name in ("rnn", "gru", "fgru")}
    assert "the same for this cell" in towers["rnn"]["upstream_exact"].description
    assert "the update gate" in towers["gru"]["upstream_exact"].description
    assert towers["fgru"]["normalization"].description.startswith("normalization in the first")
    # gammanet is of the same family, but of another file.
    assert '"more"' in towers["gru"]["tower_type"].description
    # Of the same family.
    composite = tfbio.model_info("resnet50_composite_b").parameters
    assert composite["blocks"] == tfbio.model_info("resnet50").parameters["blocks"]


def test_builders_are_functions_that_can_be_read():
    for model in tfbio.list_models():
        builder = tfbio.model_info(model).builder
        source = inspect.getsource(builder)
        assert f"\ndef {model}(\n" in source
        assert builder.__qualname__ == model
        assert ">>>" in source
        assert "Reference:" in source
        assert "Upstream:" in source
        signature = inspect.signature(builder, follow_wrapped=False)
        assert not hasattr(builder, "__signature__")
        assert all(
            each.annotation is not inspect.Parameter.empty for each in signature.parameters.values()
        )


# === Configurations that can be given as keywords ===


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (DivisiveNormalizationConfig, DivisiveNormalizationOptions),
        (FrontEndConfig, FrontEndOptions),
    ],
)
def test_keywords_are_the_fields(config, options):
    """Type checkers see the fields with their types, and in the same order."""
    assert typing.get_type_hints(options) == typing.get_type_hints(config)
    assert list(options.__annotations__) == [each.name for each in dataclasses.fields(config)]


def test_a_configuration_or_its_fields():
    def built(**arguments):
        model = alexnet_divnorm((32, 32, 3), classes=2, width=1 / 16, **arguments)
        return [
            (layer.name, type(layer), getattr(layer, "initial_k", None)) for layer in model.layers
        ]

    config = DivisiveNormalizationConfig(divnorm="exponential", initial_k=5.0, relu=False)
    as_keywords = built(divnorm="exponential", initial_k=5.0, relu=False)
    assert built(normalization=config) == as_keywords
    # A field comes before that of the configuration.
    other = dataclasses.replace(config, initial_k=2.0)
    assert built(normalization=other, initial_k=5.0) == as_keywords
    assert built() != as_keywords
    front_end = FrontEndConfig(simple_channels=2, complex_channels=3)
    model = vone_block((32, 32, 3), front_end=front_end, complex_channels=1)
    assert model.output_shape == (None, 8, 8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"normalization": "batch"}, "Expected a DivisiveNormalizationConfig, received 'batch'"),
        ({"q": 0.5}, "alexnet_divnorm takes no argument 'q'; it takes relu, batchnorm, divnorm"),
        ({"divnorm": "local"}, "`divnorm` to be one of pooled, exponential, or None"),
    ],
)
def test_bad_configurations_are_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        alexnet_divnorm((32, 32, 3), **arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"p": 1.5}, "a pool exponent `p` from 0 to 1"),
        ({"divnorm": "exponential", "initial_k": 0.0}, "`initial_k` above 0"),
        ({"weight_init": "zeros"}, "`weight_init` to be one of default, kaiming, normal"),
        (
            {"divnorm": None, "divnorm_as_activation": True},
            "`divnorm` with `divnorm_as_activation`",
        ),
        ({"l1_activity": -1.0}, "received a negative one"),
        ({"normalize_gamma": True, "fix_gamma": True}, "received both"),
    ],
)
def test_a_configuration_is_checked_when_it_is_made(fields, message):
    with pytest.raises(InputError, match=message):
        DivisiveNormalizationConfig(**fields)


# === A user's own builders ===


@pytest.fixture
def register():
    """`register_model`, undone after the test."""
    before = dict(registry._REGISTRY)
    yield registry.register_model
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)


def test_a_builder_with_few_arguments(register):
    @register()
    def own_net(input_shape=(8, 8, 3), units: int = 4, kind: Literal["a", "b"] = "a", rate=0.5):
        """A net.

        Args:
            units: number of units.
        """
        inputs = keras.Input(input_shape)
        outputs = keras.layers.Dense(units)(keras.layers.Flatten()(inputs))
        return keras.Model(inputs, outputs)

    info = tfbio.model_info("own_net")
    assert info.input_shape == (8, 8, 3)
    assert info.framing == tfbio.framing.Framing()
    assert info.arguments == ("input_shape", "units", "kind", "rate")
    found = info.parameters
    assert found["units"] == Parameter("units", int, 4, "number of units.")
    assert found["kind"].annotation == Literal["a", "b"]
    # Without an annotation, that of the default; without a description, another model's or none.
    assert found["rate"] == Parameter("rate", float, 0.5, "")
    assert found["input_shape"].description.startswith("(H, W, 3)")
    assert tfbio.create_model("own_net", units=3).output_shape == (None, 3)
    with pytest.raises(InputError, match="own_net takes no argument 'classes'; it takes input_sha"):
        tfbio.create_model("own_net", classes=3)


def test_a_builder_is_replaced_when_its_file_runs_again(register):
    for units in (1, 2):

        @register(input_shape=(8, 8, 3))
        def own_net(units: int = units) -> keras.Model:
            inputs = keras.Input((8, 8, 3))
            return keras.Model(inputs, keras.layers.Dense(units)(inputs))

    assert tfbio.create_model("own_net").output_shape == (None, 8, 8, 2)


def test_a_builder_without_a_size_is_refused(register):
    with pytest.raises(InputError, match="'own_net' to say its input shape"):

        @register()
        def own_net(units: int = 1) -> keras.Model: ...


def test_a_builder_with_a_configuration_of_its_own(register):
    @dataclasses.dataclass(frozen=True)
    class OwnConfig:
        """Own.

        Args:
            depth: number of layers.
        """

        depth: int = 3
        sizes: Sequence[int] = dataclasses.field(default_factory=lambda: (1, 2))

    @register(input_shape=(8, 8, 3), options=OwnConfig)
    def own_net(width: float = 1.0, **options: Any) -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, keras.layers.Dense(OwnConfig(**options).depth)(inputs))

    info = tfbio.model_info("own_net")
    assert info.arguments == ("width", "depth", "sizes")
    assert info.parameters["depth"] == Parameter("depth", int, 3, "number of layers.")
    assert info.parameters["sizes"].default == (1, 2)
    assert info.published(["depth", "width"]) == {"depth": 3, "width": 1.0}
    assert tfbio.create_model("own_net", depth=5).output_shape == (None, 8, 8, 5)


def test_a_name_that_only_type_checkers_know_is_any(register):
    def own_net(size: "Unknown" = 3, width: float = 1.0) -> keras.Model: ...  # noqa: F821, UP037

    register(input_shape=(8, 8, 3))(own_net)
    found = tfbio.model_info("own_net").parameters
    assert found["size"].annotation is Any
    assert found["width"].annotation is float
