"""Training of the classifier alone."""

from __future__ import annotations

import keras

from tfbio._keras_graph import all_layers
from tfbio.weights.readout import readout_variables


def train_classifier_only(model: keras.Model, batch_statistics: bool = True) -> None:
    """Freeze every variable but those of the classifier, the last layer with weights.

    Keras runs a batch normalization whose `trainable` is False in inference mode, so with
    `batch_statistics` variables are frozen here, and without it layers.

    What is frozen is not saved with a model: do it again after building or loading one.

    Args:
        model: a model of the registry, before it is compiled.
        batch_statistics: batch normalization goes on as in training, by the statistics of the
            batch, and updates its moving statistics. False freezes it as well.

    Reference:
        With batch statistics: Pogoncheff, Granley & Beyeler (2023),
        doi:10.48550/arXiv.2305.11275; without: Subramanian et al. (2022),
        doi:10.48550/arXiv.2206.08427.

    Upstream:
        The original looks for the classifier under a fixed name, which its network with cortical
        magnification does not have: there it trains nothing. Here that is trained too.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> train_classifier_only(model)
        >>> [variable.path for variable in model.trainable_variables]
        ['ReadoutDense/kernel', 'ReadoutDense/bias']
    """
    classifier = {id(variable) for variable in readout_variables(model)}
    for variable in model.trainable_variables:
        variable.trainable = id(variable) in classifier
    if not batch_statistics:
        for layer in all_layers(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
