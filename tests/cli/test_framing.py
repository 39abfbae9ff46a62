"""Which framing an image gets: the flags', or else the run's, or else the publication's."""

from __future__ import annotations

import pytest
from absl import flags
from tfbio.cli.framing import Framing, chosen_framing, define_framing_flags

import tfbio
from tfbio.errors import InputError


def _chosen(*given, **arguments):
    values = flags.FlagValues()
    define_framing_flags(values)
    values(["command", *given])
    return chosen_framing(values, **arguments)


def test_published_weights_see_images_as_published():
    info = tfbio.model_info("resnet50_composite_a")
    assert _chosen(info=info) == Framing(0.875, (224, 224))
    assert _chosen(info=tfbio.model_info("bl_rcnn")) == Framing(1.0, None)


def test_a_run_sees_whole_images_unless_it_says_otherwise():
    assert _chosen() == Framing(1.0, None)
    assert _chosen(settings={}) == Framing(1.0, None)
    settings = {"crop_ratio": "0.5", "resize_through": "96"}
    assert _chosen(settings=settings) == Framing(0.5, (96, 96))


def test_flags_come_first():
    info = tfbio.model_info("resnet50_composite_a")
    given = ["--crop_ratio=1", "--resize_through=64"]
    assert _chosen(*given, info=info) == Framing(1.0, (64, 64))
    assert _chosen(*given, settings={"crop_ratio": "0.5"}) == Framing(1.0, (64, 64))


def test_a_run_with_strange_settings_is_refused():
    with pytest.raises(InputError, match="Expected numbers in the flags of the run"):
        _chosen(settings={"crop_ratio": "half"})
