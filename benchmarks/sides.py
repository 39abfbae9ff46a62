"""The two sides of a measurement: the same work, with the same numbers, in either library.

A side lives in a process of its own (`processes.py`), which imports one library only. Arrays go
between the sides in PyTorch's layouts and under the names of the original's state dict.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import FORWARD, FORWARD_BACKWARD, Case

Arrays = dict[str, np.ndarray]
OURS, OURS_JIT, THEIRS = "tfbio", "tfbio, jit_compile", "PyTorch"


class Side(abc.ABC):
    """One side of a case: built, with its inputs, ready to run.

    Forward is inference. Forward and backward is training: the gradients of
    sum(output x cotangent), of the input, of every trainable weight, or of both, as the case says.
    """

    def work(self, mode: str) -> Callable[[], Any]:
        """What is timed."""
        return {FORWARD: self.forward, FORWARD_BACKWARD: self.forward_backward}[mode]

    @property
    @abc.abstractmethod
    def version(self) -> str:
        """Of the library."""

    @abc.abstractmethod
    def state(self) -> Arrays:
        """All weights and constants."""

    @abc.abstractmethod
    def load(self, state: Arrays) -> None:
        """Take the other side's weights, and make sure that the constants are the same."""

    @abc.abstractmethod
    def forward(self) -> Any:
        """The output, as the library holds it."""

    @abc.abstractmethod
    def forward_backward(self) -> Any:
        """The gradients, as the library holds them."""

    @abc.abstractmethod
    def output(self) -> Arrays:
        """The output of inference, as an array to compare; noise is the same on both sides."""

    @abc.abstractmethod
    def gradients(self) -> Arrays:
        """Every gradient in training, as arrays to compare."""


def make_side(name: str, case: Case, threads: int) -> Side:
    """A side by its name."""
    if name == THEIRS:
        return PyTorchSide(case, threads)
    return TensorFlowSide(case, threads, jit_compile=name == OURS_JIT)


def draw_inputs(case: Case) -> np.ndarray:
    """The same numbers on both sides, (N, H, W, C)."""
    generator = np.random.default_rng(0)
    draw = generator.random if case.inputs == "rates" else generator.standard_normal
    return draw(case.input_shape, np.float32)


def draw_cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """The weights of the output in the loss, in our layout."""
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def draw_noise(shape: tuple[int, ...]) -> np.ndarray:
    """What a noisy case takes in place of drawn numbers, in our layout."""
    return np.random.default_rng(2).standard_normal(shape, np.float32)


def channels_first(array: np.ndarray) -> np.ndarray:
    """(N, H, W, C) to (N, C, H, W); other arrays as they are."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array


class TensorFlowSide(Side):
    """Ours: a layer or a model in a `tf.function`."""

    def __init__(self, case: Case, threads: int, jit_compile: bool):
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        keras.utils.set_random_seed(0)
        self.computes = case.ours.build()
        inputs = tf.constant(draw_inputs(case))
        if not self.computes.built:
            self.computes.build(inputs.shape)
        output_shape = self.computes.compute_output_shape(inputs.shape)
        cotangent = tf.constant(draw_cotangent(output_shape))
        self._watches_input = "input" in case.gradients_of
        self._weights = self.computes.trainable_weights if "weights" in case.gradients_of else []
        weights = [weight.value for weight in self._weights]
        self._given = {"noise": tf.constant(draw_noise(output_shape))} if case.noisy else {}

        @tf.function(jit_compile=jit_compile or None, autograph=False)
        def forward(inputs, **given):
            return self.computes(inputs, training=False, **given)

        @tf.function(jit_compile=jit_compile or None, autograph=False)
        def forward_backward(inputs, cotangent):
            watched = [inputs, *weights] if self._watches_input else weights
            with tf.GradientTape() as tape:
                if self._watches_input:
                    tape.watch(inputs)
                loss = tf.reduce_sum(self.computes(inputs, training=True) * cotangent)
            return tape.gradient(loss, watched)

        self._forward = lambda **given: forward(inputs, **given)
        self._forward_backward = lambda: forward_backward(inputs, cotangent)

    @property
    def version(self):
        import keras
        import tensorflow as tf

        import tfbio

        return f"tfbio {tfbio.__version__}, Keras {keras.__version__}, TensorFlow {tf.__version__}"

    def state(self):
        import keras

        from tfbio.weights.origin import tensors_of
        from tfbio.weights.state_dict import to_torch_state_dict

        if isinstance(self.computes, keras.Model):
            return to_torch_state_dict(self.computes, as_arrays=True)
        return {name: tensor.value() for name, tensor in tensors_of(self.computes)}

    def load(self, state):
        raise NotImplementedError("Weights go from tfbio to PyTorch.")

    def forward(self):
        return self._forward()

    def forward_backward(self):
        return self._forward_backward()

    def output(self):
        return {"output": channels_first(self._forward(**self._given).numpy())}

    def gradients(self):
        import keras

        from tfbio.weights.model_tensors import state_dict_tensors
        from tfbio.weights.origin import tensors_of
        from tfbio.weights.tensor_map import Target

        if isinstance(self.computes, keras.Model):
            targets = state_dict_tensors(self.computes).targets
        else:
            tensors = dict(tensors_of(self.computes))
            targets = {name: each for name, each in tensors.items() if isinstance(each, Target)}
        found = [gradient.numpy() for gradient in self.forward_backward()]
        gradients = {}
        if self._watches_input:
            gradients["gradient of the input"] = channels_first(found.pop(0))
        of_variable = {
            id(weight): gradient for weight, gradient in zip(self._weights, found, strict=True)
        }
        for name, target in targets.items():
            if id(target.variable) in of_variable:
                gradient = target.in_file(of_variable[id(target.variable)])
                gradients[f"gradient of {name}"] = np.ascontiguousarray(gradient)
        return gradients


class PyTorchSide(Side):
    """Theirs: the original's algorithm in plain PyTorch."""

    def __init__(self, case: Case, threads: int):
        import torch

        torch.set_num_threads(threads)
        self.computes = case.theirs.build()
        # The weights are loaded later; batch normalization may not see what is in them before.
        self._inputs = torch.from_numpy(channels_first(draw_inputs(case)))
        self._watched: dict[str, Any] = {}
        if "input" in case.gradients_of:
            self._watched["the input"] = self._inputs.requires_grad_()
        if "weights" in case.gradients_of:
            self._watched.update(
                (name, weight)
                for name, weight in self.computes.named_parameters()
                if weight.requires_grad
            )
        self._noisy = case.noisy
        self._given: dict[str, Any] = {}
        self._cotangent: Any = None

    @property
    def version(self):
        import torch

        return f"PyTorch {torch.__version__}"

    def state(self):
        raise NotImplementedError("Weights go from tfbio to PyTorch.")

    def load(self, state):
        import torch

        own = self.computes.state_dict()
        # Some of the original's networks keep masks that they do not use.
        state = {name: array for name, array in state.items() if not _unused(name, own)}
        constants = {name for name, _ in self.computes.named_buffers() if "running" not in name}
        for name in constants & set(state):
            ours, theirs = state[name].astype(np.float64), own[name].numpy().astype(np.float64)
            if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=1e-3, atol=1e-6):
                raise ValueError(f"Expected the same constants on both sides: {name} differs.")
        self.computes.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        )
        with torch.inference_mode():
            shape = tuple(self.computes.eval()(self._inputs[:1]).shape)
        shape = (len(self._inputs), *shape[1:])
        ours = shape if len(shape) == 2 else (shape[0], *shape[2:], shape[1])
        self._cotangent = torch.from_numpy(channels_first(draw_cotangent(ours)))
        if self._noisy:
            self._given = {"noise": torch.from_numpy(channels_first(draw_noise(ours)))}

    def forward(self, **given):
        import torch

        self.computes.eval()
        with torch.inference_mode():
            return self.computes(self._inputs, **given)

    def forward_backward(self):
        import torch

        self.computes.train()
        loss = (self.computes(self._inputs) * self._cotangent).sum()
        return torch.autograd.grad(loss, list(self._watched.values()))

    def output(self):
        return {"output": self.forward(**self._given).numpy()}

    def gradients(self):
        found = self.forward_backward()
        return {
            f"gradient of {name}": gradient.numpy()
            for name, gradient in zip(self._watched, found, strict=True)
        }


def _unused(name: str, own: Any) -> bool:
    return name.startswith("lpp.") and name not in own
