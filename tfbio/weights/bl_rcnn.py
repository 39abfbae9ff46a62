"""Weights files of BL-net and its feed-forward controls: of legacy Keras, with layers by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfbio.weights.origin import Origin, PublishedWeights, Shapes, register_origin
from tfbio.weights.tensor_map import Tensor, TensorRole

_READOUT_BIAS = "ReadoutDense/bias"
_FIRST_KERNEL = "Conv_Layer_0/kernel"
_LATERAL_KERNEL = re.compile(r"^RCL_\d+_LConv/")
_TIME_STEP = re.compile(r"_Time_(\d+)/")
# Of the first layer, where the published controls differ.
_FILTERS_OF_B_F, _KERNEL_OF_B_K = 192, 11


class BLOrigin(Origin):
    """One normalization for each time step, one readout for all."""

    def recognise(self, shapes: Shapes) -> tuple[str, ...]:
        """By the names of its layers, and the first kernel of the controls."""
        if "RCL_0_BConv/kernel" in shapes:
            return ("bl_rcnn",)
        if "Conv_Layer_13/kernel" in shapes:
            return ("b_d_cnn",)
        if _FIRST_KERNEL in shapes:
            size, *_, filters = shapes[_FIRST_KERNEL]
            if size == _KERNEL_OF_B_K:
                return ("b_k_cnn",)
            return ("b_f_cnn",) if filters == _FILTERS_OF_B_F else ("b_cnn",)
        if _READOUT_BIAS in shapes:
            return ("bl_rcnn", "b_cnn", "b_k_cnn", "b_f_cnn", "b_d_cnn")
        return ()

    def classes(self, shapes: Shapes) -> int | None:
        """By the bias of the readout."""
        bias = shapes.get(_READOUT_BIAS, ())
        return bias[0] if len(bias) == 1 else None

    def role_of_other(self, name: str, expected: Mapping[str, Tensor]) -> TensorRole | None:
        """Tensors of a time step after the model's last would fit otherwise."""
        later = None
        if time_step(name):
            later = _TIME_STEP.sub("_Time_0/", name)
        elif _LATERAL_KERNEL.match(name):
            # They act from the second time step on: a model of one step has none.
            later = name.replace("_LConv/", "_BConv/")
        return TensorRole.LATER_STEP if later in expected else None

    def advice(self, expected: Mapping[str, Tensor], received: Shapes) -> str:
        """If the model has more time steps than the file, and nothing else is missing."""
        missing = [name for name in expected if name not in received]
        steps = [step for name in received if (step := time_step(name)) is not None]
        if missing and steps and all(time_step(name) is not None for name in missing):
            return f" The file has {max(steps) + 1} time steps: build it with no more."
        return ""


def time_step(name: str) -> int | None:
    """The time step in a tensor's name, None for a tensor that all steps share.

    Example:
        >>> time_step("BatchNorm_Layer_3_Time_2/gamma"), time_step("RCL_3_BConv/kernel")
        (2, None)
    """
    found = _TIME_STEP.search(name)
    return None if found is None else int(found[1])


BL_RCNN = register_origin(
    BLOrigin(
        "BL-RCNN",
        trained_on={565: "ecoset", 1000: "ImageNet"},
        published={
            "bl_rcnn_ecoset": PublishedWeights(
                name="bl_rcnn_ecoset",
                model="bl_rcnn",
                url="https://osf.io/9td5p/download",
                classes=565,
                trained_on="ecoset",
                doi="10.1371/journal.pcbi.1008215",
                remark="It is bl_ecoset.h5, though some call it bl_imagenet.h5 when they save it.",
            )
        },
    )
)
