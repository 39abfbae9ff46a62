"""ResNet50s with several components of primary visual cortex each (Pogoncheff et al. 2023).

`v1_components.py` has those with one; the network of all is in `_v1_network.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfbio.models._v1_network import BLOCKS, FACTS, Components, resnet50_with
from tfbio.models.construction import CommonArguments, InputShape
from tfbio.models.registry import register_model


@register_model(**FACTS)
def resnet50_composite_a(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_a",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with all components: polar map, centre-surround, local fields, tuned normalization.

    After the polar map the first stage has difference-of-Gaussians filters in all blocks but the
    last, local receptive fields in the last, and tuned normalization after each.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_a; the state dict has the polar
        map's masks whether the map is used or not, so its files fit `resnet50_composite_d`, and the
        other way round.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_a", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> [name for name in ("lpp", "layer1_0_conv2_dog", "layer1_2_conv2", "layer1_2_dn")
        ...  if model.get_layer(name)]
        ['lpp', 'layer1_0_conv2_dog', 'layer1_2_conv2', 'layer1_2_dn']
    """
    components = Components(
        cortical_magnification=True,
        center_surround="but the last",
        local_receptive_fields=True,
        normalization="tuned",
    )
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_composite_b(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_b",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with polar map, local receptive fields and tuned normalization.

    Composite a without difference-of-Gaussians filters.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_b; the state dict has the polar
        map's masks whether the map is used or not, so its files fit `resnet50_composite_g`, and the
        other way round.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_b", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components(
        cortical_magnification=True, local_receptive_fields=True, normalization="tuned"
    )
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_composite_c(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_c",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with polar map, centre-surround filters and local receptive fields.

    Composite a without tuned normalization.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_c. Built after composite d or
        g, it silently had max-pooling in place of the polar map; here that cannot be.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_c", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components(
        cortical_magnification=True, center_surround="but the last", local_receptive_fields=True
    )
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_composite_d(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_d",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with centre-surround filters, local receptive fields and tuned normalization.

    Composite a without the polar map.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_d; the state dict has the polar
        map's masks whether the map is used or not, so its files fit `resnet50_composite_a`, and the
        other way round.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_d", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components(
        center_surround="but the last", local_receptive_fields=True, normalization="tuned"
    )
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_composite_e(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_e",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with polar map and tuned normalization.

    Composite b without local receptive fields.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_e; the state dict has the polar
        map's masks whether the map is used or not, so its files fit `resnet50_tuned_norm`, and the
        other way round.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_e", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components(cortical_magnification=True, normalization="tuned")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_composite_f(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_f",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with polar map and local receptive fields.

    Composite b without tuned normalization.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_f. No known difference.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_f", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components(cortical_magnification=True, local_receptive_fields=True)
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_composite_g(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_composite_g",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with local receptive fields and tuned normalization.

    Composite b without the polar map.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; composite_g; the state dict has the polar
        map's masks whether the map is used or not, so its files fit `resnet50_composite_b`, and the
        other way round.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_composite_g", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components(local_receptive_fields=True, normalization="tuned")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)
