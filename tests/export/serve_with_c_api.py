r"""Runs an exported model through TensorFlow's C API, whose loader TensorFlow Serving uses.

    python -I serve_with_c_api.py LIBTENSORFLOW_CC SAVED_MODEL SIGNATURES.json \
        INPUTS.npz OUTPUTS.npz

No TensorFlow of Python is imported. The JSON file holds, for each signature, the tensor names of
`inputs` and `outputs`; the arrays are named as in `serve_without_keras.py`.
"""

import ctypes
import json
import sys

import numpy as np

TF_FLOAT, TF_UINT8, TF_STRING = 1, 4, 7
NUMBER_TYPES = {TF_FLOAT: np.float32, TF_UINT8: np.uint8}
STRING_BYTES = 24  # sizeof(TF_TString)

RETURNS_POINTER = (
    "TF_NewStatus TF_NewSessionOptions TF_NewGraph TF_LoadSessionFromSavedModel TF_AllocateTensor "
    "TF_TensorData TF_GraphOperationByName TF_StringGetDataPointer"
)


class Output(ctypes.Structure):
    """TF_Output: one output of an operation."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """A SavedModel loaded with the tag `serve`."""

    def __init__(self, library, saved_model):
        self.tf = ctypes.CDLL(library)
        for name in RETURNS_POINTER.split():
            getattr(self.tf, name).restype = ctypes.c_void_p
        self.tf.TF_Message.restype = ctypes.c_char_p
        for name in ("TF_Dim", "TF_StringGetSize"):
            getattr(self.tf, name).restype = ctypes.c_size_t
        self.status = ctypes.c_void_p(self.tf.TF_NewStatus())
        self.graph = ctypes.c_void_p(self.tf.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        session = self.tf.TF_LoadSessionFromSavedModel(
            ctypes.c_void_p(self.tf.TF_NewSessionOptions()),
            None,
            saved_model.encode(),
            tags,
            1,
            self.graph,
            None,
            self.status,
        )
        self.check()
        self.session = ctypes.c_void_p(session)

    def check(self):
        if self.tf.TF_GetCode(self.status):
            raise RuntimeError(self.tf.TF_Message(self.status).decode())

    def run(self, input_name, batch, output_names):
        inputs = (Output * 1)(self.tensor(input_name))
        values = (ctypes.c_void_p * 1)(self.from_array(batch))
        outputs = (Output * len(output_names))(*map(self.tensor, output_names))
        results = (ctypes.c_void_p * len(output_names))()
        self.tf.TF_SessionRun(
            self.session,
            None,
            inputs,
            values,
            1,
            outputs,
            results,
            len(output_names),
            None,
            0,
            None,
            self.status,
        )
        self.check()
        return [self.to_array(ctypes.c_void_p(result)) for result in results]

    def tensor(self, name):
        operation, _, index = name.partition(":")
        found = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
        if not found:
            raise KeyError(name)
        return Output(found, int(index))

    def from_array(self, array):
        if array.dtype.kind == "S":
            kind, size = TF_STRING, array.size * STRING_BYTES
        else:
            kind = next(kind for kind, dtype in NUMBER_TYPES.items() if dtype == array.dtype)
            size = array.nbytes
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self.tf.TF_AllocateTensor(kind, shape, array.ndim, ctypes.c_size_t(size))
        data = self.tf.TF_TensorData(ctypes.c_void_p(tensor))
        if kind == TF_STRING:
            for index, text in enumerate(array.tolist()):
                place = ctypes.c_void_p(data + index * STRING_BYTES)
                self.tf.TF_StringInit(place)
                self.tf.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
        else:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
        return tensor

    def to_array(self, tensor):
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        kind = self.tf.TF_TensorType(tensor)
        data = self.tf.TF_TensorData(tensor)
        if kind == TF_STRING:
            places = [ctypes.c_void_p(data + n * STRING_BYTES) for n in range(int(np.prod(shape)))]
            texts = [
                ctypes.string_at(
                    self.tf.TF_StringGetDataPointer(place), self.tf.TF_StringGetSize(place)
                )
                for place in places
            ]
            return np.array(texts).reshape(shape)
        dtype = np.dtype(NUMBER_TYPES[kind])
        size = int(np.prod(shape)) * dtype.itemsize
        return np.frombuffer(ctypes.string_at(data, size), dtype).reshape(shape)


def main(library, saved_model, signatures_file, inputs_file, outputs_file):
    session = Session(library, saved_model)
    with open(signatures_file, encoding="utf-8") as file:
        signatures = json.load(file)
    outputs = {}
    for key, batch in np.load(inputs_file).items():
        signature = signatures[key.partition("/")[0]]
        (input_name,) = signature["inputs"].values()
        results = session.run(input_name, batch, list(signature["outputs"].values()))
        for name, array in zip(signature["outputs"], results, strict=True):
            outputs[f"{key}/{name}"] = array
    np.savez(outputs_file, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
