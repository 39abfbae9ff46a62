"""State dicts of networks with learned divisive normalization."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfbio.layers.exponential_div_norm import ExponentialDivNorm
from tfbio.layers.pooled_div_norm import PooledDivNorm
from tfbio.weights.origin import Origin, Shapes, register_origin
from tfbio.weights.tensor_map import Tensor, by_variable_name

# The first that is there.
_MODELS = {
    "features.conv1_1.weight": "vgg16_divnorm",
    "features.conv1.weight": "alexnet_divnorm",
    "layer1.0.features.conv3.weight": "resnet50_divnorm",
    "layer1.0.features.conv1.weight": "resnet18_divnorm",
}
# Of a block's sum. Our layer is called `layer1_0_dn`; the original has the module in another one.
_AS_ACTIVATION = re.compile(r"^(layer\d+\.\d+)\.dn\.")


class DivisiveNormalizationOrigin(Origin):
    """Divisive normalization as the activation of a block is a module within `activation`."""

    def recognise(self, shapes: Shapes) -> tuple[str, ...]:
        """By the first convolutions."""
        return next(((model,) for tensor, model in _MODELS.items() if tensor in shapes), ())

    def file_names(self, expected: Mapping[str, Tensor]) -> dict[str, str]:
        """`layer1.0.activation.dn.gamma` for our `layer1.0.dn.gamma`."""
        names = {name: self.renamed(name) for name in expected}
        return {ours: theirs for ours, theirs in names.items() if ours != theirs}

    def renamed(self, name: str) -> str:
        """Older versions wrote the name of our layer."""
        return _AS_ACTIVATION.sub(r"\1.activation.dn.", name)


DIVISIVE_NORMALIZATION = register_origin(
    DivisiveNormalizationOrigin(
        "divisive normalization",
        tensor_maps={PooledDivNorm: by_variable_name, ExponentialDivNorm: by_variable_name},
        module_names=(r"(?<=features\.)(?:conv|bn|divnorm)\d_\d+",),
    )
)
