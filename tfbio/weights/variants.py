"""Which model a state dict is of."""

from __future__ import annotations

from collections.abc import Mapping

from tfbio.weights.errors import Shape

# A tensor that tells the back end of a VOneNet.
_VONENETS = {
    "model.V2.conv_input.weight": "vone_cornet_s",
    "model.features.0.weight": "vone_alexnet",
    "model.layer1.0.conv1.weight": "vone_resnet50",
}
# A tensor that tells a network with divisive normalization.
_DIVISIVE_NORMALIZATION = {
    "features.conv1_1.weight": "vgg16_divnorm",
    "features.conv1.weight": "alexnet_divnorm",
    "layer1.0.features.conv3.weight": "resnet50_divnorm",
    "layer1.0.features.conv1.weight": "resnet18_divnorm",
}
# Tensors that tell a shape-selective network, by a part of their names; the first that is there.
_SHAPE_SELECTIVE = {
    "hgru_units.": "vgg16_hgru",
    "h_units.": "gammanet",
    "unit1.w_gate_inh": "hconvgru",
    ".fgru.": "fgru_tower",
    ".hgru.": "hgru_tower",
    ".vf.": "lstm_tower",
    ".wr.": "gru_tower",
    ".whh.": "reciprocal_tower",
    ".x2h.": "rnn_tower",
    "cell_blocks.": "conv_tower",
}


def variant_of(shapes: Mapping[str, Shape]) -> str | None:
    """The model that a state dict belongs to, told by its tensors.

    Args:
        shapes: name to shape of the tensors.

    Returns:
        A registered name, or two whose files have the same tensors; None for another network.

    Example:
        >>> variant_of({"layer1.0.conv3.weight": (8, 2, 1, 1), "layer1.0.dn.A": (8, 8, 1, 1)})
        'resnet50_div_norm'
    """
    if "vone_block.simple_conv_q0.weight" in shapes:
        return next((name for tensor, name in _VONENETS.items() if tensor in shapes), "vone_block")
    if "V1.conv1.weight" in shapes and "V2.conv_input.weight" in shapes:
        return "cornet_s"
    for tensor, name in _DIVISIVE_NORMALIZATION.items():
        if tensor in shapes:
            return name
    for part, name in _SHAPE_SELECTIVE.items():
        if any(part in tensor for tensor in shapes):
            return name
    if "4.0.conv1.weight" in shapes:
        return "resnet50_cortical_magnification"
    if "layer1.0.conv3.weight" not in shapes:
        return None

    def any_name(part: str) -> bool:
        return any(part in name for name in shapes)

    local = any(len(shape) == 6 for shape in shapes.values())
    if any_name(".dn.sigmas"):
        if any_name(".dog_conv."):
            return "resnet50_composite_a or resnet50_composite_d"
        if local:
            return "resnet50_composite_b or resnet50_composite_g"
        return "resnet50_composite_e or resnet50_tuned_norm"
    if any_name(".dn.A"):
        return "resnet50_div_norm"
    if any_name(".conv2.dog."):
        return "resnet50_composite_c"
    if any_name(".dog_conv."):
        return "resnet50_center_surround"
    if local:
        return "resnet50_local_rf" if any_name(".conv2.1.weight") else "resnet50_composite_f"
    return "resnet50"
