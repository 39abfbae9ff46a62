"""Which time step a tensor of a BL network belongs to, by its name."""

from __future__ import annotations

import re
from collections.abc import Container

_TIME_STEP = re.compile(r"_Time_(\d+)/")
_LATERAL_KERNEL = re.compile(r"^RCL_\d+_LConv/")


def time_step(name: str) -> int | None:
    """The time step in a tensor's name, None for a tensor that all steps share.

    Example:
        >>> time_step("BatchNorm_Layer_3_Time_2/gamma"), time_step("RCL_3_BConv/kernel")
        (2, None)
    """
    found = _TIME_STEP.search(name)
    return None if found is None else int(found[1])


def is_of_later_step(name: str, model_names: Container[str]) -> bool:
    """Whether a tensor belongs to a time step after the model's last, and would fit otherwise.

    Args:
        name: of a tensor of the file.
        model_names: names of the model's variables.

    Example:
        >>> model_names = {"BatchNorm_Layer_0_Time_0/beta"}
        >>> is_of_later_step("BatchNorm_Layer_0_Time_5/beta", model_names)
        True
    """
    if name in model_names:
        return False
    if time_step(name):
        return _TIME_STEP.sub("_Time_0/", name) in model_names
    # The lateral kernels act from the second time step on: a model of one step has none.
    return bool(_LATERAL_KERNEL.match(name)) and name.replace("_LConv/", "_BConv/") in model_names
