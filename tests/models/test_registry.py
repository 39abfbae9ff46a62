from __future__ import annotations

import re

import keras
import pytest

import tfbio
from tfbio.errors import InputError, UnknownNameError
from tfbio.models import registry


def test_every_model_tells_its_facts():
    for name in tfbio.list_models():
        info = tfbio.model_info(name)
        assert info.name == name == info.builder.__name__
        # A DOI, or the page of a paper that has none.
        assert re.fullmatch(r"10\.\d{4,}/\S+|https://openreview\.net/forum\?id=\w+", info.reference)
        assert len(info.input_shape) == 3
        # The arguments of keras.applications, on every model; those of the readout where one is.
        of_readout = {"classes", "classifier_activation"} & set(info.arguments)
        assert len(of_readout) == (2 if info.classifier else 0)
        of_all = {"input_shape", "weights", "include_preprocessing", "name"}
        assert of_all <= set(info.arguments)
        assert info.recurrent == ("return_sequences" in info.arguments)


def test_a_model_can_be_given_another_name():
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), width=1 / 32, name="control")
    assert model.name == "control"


def test_names_are_globs():
    assert tfbio.list_models("bl_*") == ["bl_rcnn"]
    assert tfbio.list_models("nothing*") == []


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown model 'bl_rnn'. Nearest: bl_rcnn"):
        tfbio.create_model("bl_rnn")


def test_an_unknown_argument_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"b_cnn takes no argument 'timesteps'; it takes input_sh"):
        tfbio.create_model("b_cnn", timesteps=3)


def test_a_name_registers_once():
    def b_cnn() -> keras.Model:
        return keras.Model()

    with pytest.raises(ValueError, match="'b_cnn', registered already"):
        registry.register_model(family="", input_shape=(1, 1, 3), reference="")(b_cnn)
