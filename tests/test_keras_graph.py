"""One file touches the graph that Keras keeps to itself."""

from __future__ import annotations

import re
from pathlib import Path

import keras

from tfbio._keras_graph import all_layers, call_behind, calls_of, nodes_of

PACKAGE = Path(__file__).parent.parent / "tfbio"
PRIVATE = re.compile(
    r"\._(flatten_layers|nodes_by_depth|nodes|inbound_nodes|outbound_nodes|keras_history|"
    r"operations|operations_by_depth|layers|functional|run_through_graph)\b"
)


def test_no_other_file_does():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if PRIVATE.search(path.read_text())
    }
    assert users == {"_keras_graph.py"}


def _diamond():
    """Two calls of one layer, added; the layer belongs to another model as well."""
    inputs = keras.Input((4,), name="image")
    shared = keras.layers.Dense(4, name="shared")
    before = shared(keras.Input((4,)))
    once = shared(inputs)
    twice = shared(once)
    model = keras.Model(inputs, keras.layers.Add(name="sum")([once, twice]))
    return model, shared, before


def test_nodes_come_after_those_that_they_depend_on():
    model, _, _ = _diamond()
    nodes = nodes_of(model)
    assert [node.operation.name for node in nodes] == ["image", "shared", "shared", "sum"]
    known = set()
    for node in nodes:
        assert all(id(tensor) in known for tensor in node.input_tensors)
        known.update(id(tensor) for tensor in node.output_tensors)


def test_calls_of_other_models_are_left_out():
    model, shared, before = _diamond()
    first, second = calls_of(shared, model)
    assert first.input_tensors[0] is model.input
    assert second.input_tensors[0] is first.output_tensors[0]
    assert before is not first.output_tensors[0]


def test_the_call_behind_a_tensor_of_a_shared_layer_is_its_own():
    model, shared, before = _diamond()
    first, second = calls_of(shared, model)
    assert call_behind(before) not in (first, second)
    last = call_behind(model.output)
    assert last.operation is model.get_layer("sum")
    assert [call_behind(tensor) for tensor in last.input_tensors] == [first, second]
    assert call_behind(model.input).input_tensors == []


def test_layers_inside_layers_are_found_once():
    outer = keras.Sequential([_diamond()[0], keras.layers.Dense(1, name="readout")])
    names = [layer.name for layer in all_layers(outer)]
    assert names.count("shared") == 1
    assert names.count("readout") == 1
