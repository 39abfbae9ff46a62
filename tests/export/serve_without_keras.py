"""Runs an exported model as a stranger would, with TensorFlow and NumPy and nothing of ours.

    python -I serve_without_keras.py SAVED_MODEL INPUTS.npz OUTPUTS.npz

Every input is an array named `signature/case`; its outputs are named `signature/case/output`.
"""

import importlib.abc
import importlib.machinery
import sys


class RefuseKeras(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes every import of tfbio and Keras fail; TensorFlow asks where Keras is, and may."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in ("tfbio", "keras", "tf_keras"):
            return importlib.machinery.ModuleSpec(fullname, self)
        return None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)


def main(saved_model, inputs_file, outputs_file):
    sys.meta_path.insert(0, RefuseKeras())
    import numpy as np
    import tensorflow as tf

    signatures = tf.saved_model.load(saved_model).signatures
    outputs = {}
    for key, batch in np.load(inputs_file).items():
        signature = signatures[key.partition("/")[0]]
        (input_name,) = signature.structured_input_signature[1]
        for name, value in signature(**{input_name: tf.constant(batch)}).items():
            array = value.numpy()
            outputs[f"{key}/{name}"] = array.astype("S") if array.dtype == object else array
    if {"tfbio", "keras"} & set(sys.modules):
        raise RuntimeError("tfbio or Keras was imported after all.")
    np.savez(outputs_file, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
