"""The logits of models of the registry, and of a user's own in several shapes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tfbio
from tfbio.errors import InputError
from tfbio.models import add_v1_front_end, logits_model

IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype("float32")
SHAPE = IMAGES.shape[1:]


def _trunk():
    return [
        keras.layers.Conv2D(5, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ]


def _sequential(*last):
    return keras.Sequential([keras.Input(SHAPE), *_trunk(), *last])


def _functional(*last):
    inputs = keras.Input(SHAPE)
    outputs = inputs
    for layer in (*_trunk(), *last):
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def _dense(activation):
    return keras.layers.Dense(3, activation=activation, bias_initializer="normal")


HEADS = {
    "softmax in the Dense": lambda: [_dense("softmax")],
    "no activation": lambda: [_dense(None)],
    "softmax as Activation": lambda: [_dense(None), keras.layers.Activation("softmax")],
    "softmax as Softmax": lambda: [_dense(None), keras.layers.Softmax()],
    "softmax after softmax is one softmax": lambda: [
        _dense("softmax"),
        keras.layers.Activation("softmax"),
    ],
    "nested": lambda: [keras.Sequential([keras.Input((5,)), _dense("softmax")])],
    "nested twice": lambda: [
        keras.Sequential(
            [
                keras.Input((5,)),
                keras.Sequential([keras.Input((5,)), _dense(None), keras.layers.Softmax()]),
            ]
        )
    ],
    "a linear convolution": lambda: [
        keras.layers.Reshape((1, 1, 5)),
        keras.layers.Conv2D(3, 1),
    ],
}


@pytest.mark.parametrize("build", [_sequential, _functional])
@pytest.mark.parametrize("head", HEADS)
def test_a_users_own_model(build, head):
    model = build(*HEADS[head]())
    logits = logits_model(model)
    assert logits.output_shape == model.output_shape
    expected = np.asarray(model(IMAGES))
    found = np.asarray(logits(IMAGES))
    if "softmax" in head or "nested" in head:
        np.testing.assert_allclose(keras.ops.softmax(found), expected, rtol=1e-5)
        # Logits are no probabilities.
        if not head.startswith("softmax after"):
            assert np.abs(found.sum(axis=-1) - 1).max() > 1e-3
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    # Every weight is shared.
    assert {id(weight) for weight in logits.weights} == {id(weight) for weight in model.weights}


def test_sigmoid_of_one_unit():
    model = _sequential(keras.layers.Dense(1, activation="sigmoid"))
    np.testing.assert_allclose(
        keras.ops.sigmoid(logits_model(model)(IMAGES)), model(IMAGES), rtol=1e-5
    )


def test_training_the_logits_trains_the_model():
    model = _sequential(_dense("softmax"))
    trainer = logits_model(model)
    trainer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = np.asarray(model(IMAGES))
    trainer.fit(IMAGES, np.array([0, 1, 2, 1]), verbose=0)
    assert np.abs(np.asarray(model(IMAGES)) - before).max() > 1e-6
    np.testing.assert_allclose(
        keras.ops.softmax(trainer(IMAGES)), model(IMAGES), rtol=1e-5, atol=1e-6
    )


def test_logits_of_a_dense_layer_are_saved(tmp_path):
    trainer = logits_model(_functional(_dense("softmax")))
    trainer.save(tmp_path / "logits.keras")
    again = keras.saving.load_model(tmp_path / "logits.keras")
    np.testing.assert_array_equal(again(IMAGES), trainer(IMAGES))


def test_a_dense_layer_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = _sequential(_dense("softmax"))
    logits = logits_model(model)(IMAGES)
    expected = np.asarray(keras.ops.cast(model(IMAGES), "float32"))
    np.testing.assert_allclose(
        keras.ops.softmax(keras.ops.cast(logits, "float32")), expected, atol=4e-3
    )
    assert keras.backend.standardize_dtype(logits.dtype) == "bfloat16"


@pytest.mark.parametrize("head", ["softmax in the Dense", "softmax as Activation", "nested"])
def test_behind_a_front_end(head):
    back_end = keras.Sequential([keras.Input((8, 8, 4)), *_trunk(), *HEADS[head]()])
    model = add_v1_front_end(
        back_end, (32, 32, 3), simple_channels=2, complex_channels=2, noise_mode=None
    )
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    probabilities = np.asarray(model(images))
    logits = logits_model(model)(images)
    np.testing.assert_allclose(keras.ops.softmax(logits), probabilities, rtol=1e-4)


class _Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: _sequential(_dense("relu")), "which ends in 'dense.*', a Dense: end it in"),
        (lambda: _sequential(), "a GlobalAveragePooling2D: end it in"),
        (lambda: _sequential(_dense(None), keras.layers.Activation("tanh")), "an? Activation: end"),
        (lambda: _sequential(_dense("softmax"), keras.layers.Dropout(0.5)), "a Dropout: end it in"),
        (lambda: keras.Sequential(_trunk()), "a known input and one output"),
        (lambda: _Subclassed(), "a known input and one output"),
        (
            lambda: keras.Model(image := keras.Input(SHAPE), [image, image]),
            "one output, received '.*' with 2 of them",
        ),
        (lambda: _functional(keras.layers.Flatten()), "a Flatten: end it in"),
    ],
)
def test_what_has_no_logits_is_refused(build, message):
    with pytest.raises(InputError, match=message):
        logits_model(build())


def test_registered_models_with_any_readout_activation():
    arguments = {"input_shape": (32, 32, 3), "classes": 3, "width": 1 / 32}
    for activation in ("softmax", "sigmoid", None):
        model = tfbio.create_model("b_cnn", classifier_activation=activation, **arguments)
        logits = logits_model(model)
        assert logits.output_shape == (None, 3)
        assert logits.layers[-1].name == "logits"
