"""Weights files into named arrays: formats, and no model; no pickle is executed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from tfbio.weights.errors import Shape, WeightsError
from tfbio.weights.model_tensors import origin_of_model
from tfbio.weights.origin import Origin, origin_of, registered_origins
from tfbio.weights.pytorch import plain_arrays, read_checkpoint

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# A zip archive, or a bare pickle, as PyTorch wrote before 1.6.
_TORCH_SIGNATURES = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True)
class Tensors:
    """Named arrays and where they come from.

    Attributes:
        arrays: `layer/variable`, or `module.tensor`, to array.
        origin: the path, or a description of the source.
        format: what kind of file it is.
        settings: of the training, if the file has them.
    """

    arrays: Mapping[str, np.ndarray]
    origin: str
    format: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_state_dict(self) -> bool:
        """Whether tensors are named as PyTorch does, `module.tensor`, not as Keras does."""
        return bool(self.arrays) and not any("/" in name for name in self.arrays)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Name to shape of every tensor."""
        return {name: array.shape for name, array in self.arrays.items()}

    @property
    def family(self) -> Origin:
        """The origin that recognises the tensors."""
        return origin_of(self.shapes)

    @property
    def classes(self) -> int | None:
        """The number of readouts, or None if the names do not tell."""
        return self.family.classes(self.shapes)

    @property
    def description(self) -> str:
        """Origin and format, with the data set it was trained on where the readouts tell it."""
        classes = self.classes
        if classes is None:
            return f"{self.origin} ({self.format})"
        trained_on = self.family.trained_on.get(classes)
        variant = f", the {trained_on} variant" if trained_on else ""
        return f"{self.origin} ({self.format}, {classes} readouts{variant})"


def read_tensors(source: str | os.PathLike | Mapping[str, Any] | Tensors) -> Tensors:
    """Read a weights file, or name a dict of arrays as a file's tensors would be named.

    Args:
        source: path of an HDF5 file that legacy Keras wrote (`save_weights("x.h5")` or
            `save("x.h5")`, TensorFlow 1.13 or later), of a `.keras` file, of a file that
            `torch.save` wrote with a state dict or a checkpoint (needs PyTorch), or a dict of
            arrays, named as Keras does or as PyTorch does.

    Returns:
        `Tensors`.

    Raises:
        WeightsError: there is no such file, or it is damaged or of another format.

    Example:
        >>> import numpy as np
        >>> read_tensors({"ReadoutDense/bias:0": np.zeros(565)}).description
        'a dict of arrays (given in memory, 565 readouts, the ecoset variant)'
    """
    if isinstance(source, Tensors):
        return source
    if isinstance(source, Mapping):
        arrays = plain_arrays(source, "a dict of arrays")
        arrays = {_plain_name(name): array for name, array in arrays.items()}
        return Tensors(arrays, "a dict of arrays", "given in memory", _settings_in(source))
    path = Path(source)
    if not path.is_file():
        raise WeightsError(
            f"Expected a weights file at {path}, found "
            f"{'a folder' if path.is_dir() else 'nothing'}: check the path."
        )
    try:
        with path.open("rb") as file:
            signature = file.read(len(_HDF5_SIGNATURE))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    if signature == _HDF5_SIGNATURE:
        return Tensors(_read_legacy_h5(path), str(path), "legacy Keras h5")
    if zipfile.is_zipfile(path) and path.suffix == ".keras":
        arrays, settings = _read_keras(path)
        return Tensors(arrays, str(path), "Keras 3", settings)
    if signature.startswith(_TORCH_SIGNATURES):
        content = read_checkpoint(path)
        arrays = plain_arrays(content, str(path))
        return Tensors(arrays, str(path), "PyTorch state dict", _settings_in(content))
    raise WeightsError(
        f"Expected an HDF5 file of legacy Keras, a .keras file or a file of PyTorch, received "
        f"{path}, which is {'empty' if not signature else 'none of them'}: download it again, or "
        "check the path."
    )


def _plain_name(name: str) -> str:
    """A variable's name without TensorFlow's output number."""
    return name.removesuffix(":0")


def _settings_in(content: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training that a checkpoint of one of the families keeps."""
    for origin in registered_origins():
        settings = content.get(origin.settings_key) if origin.settings_key else None
        if isinstance(settings, Mapping):
            return dict(settings)
    return {}


def _read_keras(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras raises whatever the damaged part raises.
        raise WeightsError(f"{path} cannot be read as a Keras model: {error}") from error
    arrays = {v.path: keras.ops.convert_to_numpy(v.value) for v in model.weights}
    return arrays, origin_of_model(model).settings(model)


def _read_legacy_h5(path: Path) -> dict[str, np.ndarray]:
    try:
        with h5py.File(path, "r") as file:
            # `save` puts the weights one level down, `save_weights` at the top.
            root = file.get("model_weights", file)
            if "layer_names" not in root.attrs and "layer_names0" not in root.attrs:
                raise WeightsError(
                    f"Expected the weights of a legacy Keras model, received {path}, an HDF5 file "
                    "without layer names; a `.weights.h5` file of Keras 3 is read by "
                    "`model.load_weights`."
                )
            return _read_layers(root)
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path} is a damaged or truncated HDF5 file ({error}): download or copy it again."
        ) from error


def _read_layers(root: h5py.Group) -> dict[str, np.ndarray]:
    arrays = {}
    listed = set()
    for layer in _names(root, "layer_names"):
        for name in _names(root[layer], "weight_names"):
            dataset = root[layer][name]
            listed.add(dataset.name)
            # A variable is named after its layer; its last part is what it is in the layer.
            short = f"{layer}/{_plain_name(name.rsplit('/', 1)[-1])}"
            arrays[_plain_name(f"{layer}/{name}") if short in arrays else short] = dataset[()]

    def keep_unlisted(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.name not in listed:
            arrays[_plain_name(item.name.lstrip("/"))] = item[()]

    # What no layer lists is kept too, so that a strict reader can report it.
    root.visititems(keep_unlisted)
    return arrays


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list attribute, whole or in the numbered pieces Keras cuts long ones into, as text."""
    if attribute in group.attrs:
        pieces = [group.attrs[attribute]]
    else:
        pieces = []
        while f"{attribute}{len(pieces)}" in group.attrs:
            pieces.append(group.attrs[f"{attribute}{len(pieces)}"])
        if not pieces:
            raise KeyError(f"no attribute {attribute} in {group.name}")
    return [
        name.decode("utf-8") if isinstance(name, bytes) else str(name)
        for piece in pieces
        for name in piece
    ]
