"""Files that PyTorch wrote; those of these tests are left out where PyTorch is not installed."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import tfbio
from tfbio.weights import WeightsError, to_torch_state_dict

SMALL = {"width": 1 / 16, "blocks": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is an extra")


@pytest.fixture(scope="module")
def model():
    return tfbio.create_model("resnet50_tuned_norm", classes=4, **SMALL)


def _checkpoint(state_dict):
    """What the original's training saves."""
    return {
        "model": state_dict,
        "current_epoch": 83,
        "best_acc": 0.5,
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
    }


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_and_plain_state_dicts_are_read(torch, model, tmp_path, whole, zipped):
    state_dict = to_torch_state_dict(model)
    assert all(isinstance(tensor, torch.Tensor) for tensor in state_dict.values())
    path = tmp_path / "model.pt"
    torch.save(
        _checkpoint(state_dict) if whole else state_dict,
        path,
        _use_new_zipfile_serialization=zipped,
    )
    other = tfbio.create_model("resnet50_tuned_norm", weights=path, **SMALL)
    assert other.output_shape == (None, 4)
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    described = tfbio.weights.read_tensors(path).description
    assert described == f"{path} (PyTorch state dict, 4 readouts)"


def test_half_precision_is_read(torch, model, tmp_path):
    state_dict = to_torch_state_dict(model)
    for kind in (torch.float16, torch.bfloat16):
        halves = {
            name: tensor.to(kind) if tensor.dtype == torch.float32 else tensor
            for name, tensor in state_dict.items()
        }
        torch.save(halves, tmp_path / "half.pt")
        other = tfbio.create_model("resnet50_tuned_norm", weights=tmp_path / "half.pt", **SMALL)
        for ours, theirs in zip(other.weights, model.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-3)


def test_the_original_loads_what_we_write(torch, tmp_path):
    """Modules of PyTorch, with the names of the first block, take the tensors strictly."""
    ours = tfbio.create_model("resnet50", classes=4, **SMALL)
    state_dict = to_torch_state_dict(ours)
    block = torch.nn.ModuleDict(
        {
            "conv1": torch.nn.Conv2d(4, 4, 1, bias=False),
            "bn1": torch.nn.BatchNorm2d(4),
            "conv2": torch.nn.Conv2d(4, 4, 3, padding=1, bias=False),
            "bn2": torch.nn.BatchNorm2d(4),
            "conv3": torch.nn.Conv2d(4, 16, 1, bias=False),
            "bn3": torch.nn.BatchNorm2d(16),
            "downsample": torch.nn.Sequential(
                torch.nn.Conv2d(4, 16, 1, bias=False), torch.nn.BatchNorm2d(16)
            ),
        }
    )
    prefix = "layer1.0."
    block.load_state_dict(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in state_dict.items()
            if name.startswith(prefix)
        }
    )
    image = np.random.default_rng(0).standard_normal((2, 16, 16, 4)).astype("float32")
    x = torch.from_numpy(image.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        block.eval()
        out = torch.relu(block["bn1"](block["conv1"](x)))
        out = torch.relu(block["bn2"](block["conv2"](out)))
        theirs = torch.relu(block["bn3"](block["conv3"](out)) + block["downsample"](x))
    import keras

    inside = keras.Model(ours.get_layer("maxpool").output, ours.get_layer("layer1_0_relu").output)(
        image
    )
    np.testing.assert_allclose(inside, theirs.numpy().transpose(0, 2, 3, 1), atol=1e-5)


class _Bomb:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_executed(torch, model, tmp_path, zipped):
    path, trace = tmp_path / "model.pt", tmp_path / "executed"
    content = _checkpoint({"fc.bias": torch.zeros(4), "extra": _Bomb(trace)})
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    before = [np.array(weight) for weight in model.weights]
    with pytest.raises(
        WeightsError,
        match=r"pickle asks for [\w.]*exec\. It was refused and no code in it was exec",
    ):
        tfbio.load_weights(model, path)
    assert not trace.exists()
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_bare_pickle_with_code_is_refused_and_not_executed(torch, model, tmp_path):
    path, trace = tmp_path / "model.pth", tmp_path / "executed"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"model": _Bomb(trace)}, protocol))
        with pytest.raises(WeightsError, match=r"model\.pth.* refused"):
            tfbio.load_weights(model, path)
    assert not trace.exists()


def test_other_contents_are_named(torch, model, tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match=r"Expected a state dict .* which holds a list"):
        tfbio.load_weights(model, tmp_path / "list.pt")
    torch.save({"fc.bias": torch.zeros(3), "note": "hello"}, tmp_path / "note.pt")
    with pytest.raises(WeightsError, match=r"Expected tensors only, received .* with note"):
        tfbio.load_weights(model, tmp_path / "note.pt")


def test_numbers_of_numpy_in_a_checkpoint_are_data(torch, model, tmp_path):
    """Best accuracies are such; they are no reason to refuse the weights."""
    content = _checkpoint(to_torch_state_dict(model))
    for number in (np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True)):
        torch.save({**content, "best_acc": number}, tmp_path / "best.pt")
        other = tfbio.create_model("resnet50_tuned_norm", classes=4, **SMALL)
        assert len(tfbio.load_weights(other, tmp_path / "best.pt").loaded) == len(model.weights)


def test_a_torchscript_archive_is_named(torch, model, tmp_path):
    """PyTorch's own error advises executing it."""
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/constants.pkl", b"\x80\x02).")
        archive.writestr("script/data.pkl", b"\x80\x02}.")
    with pytest.raises(WeightsError, match=r"a TorchScript archive, which is a program: save its"):
        tfbio.load_weights(model, tmp_path / "script.pt")


def test_damaged_files_are_told(torch, model, tmp_path):
    torch.save(to_torch_state_dict(model), tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for part in (content[:100], content[: len(content) // 2]):
        (tmp_path / "part.pt").write_bytes(part)
        with pytest.raises(WeightsError, match="damaged"):
            tfbio.load_weights(model, tmp_path / "part.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("readme.txt", "no tensors here")
    with pytest.raises(WeightsError, match="damaged"):
        tfbio.load_weights(model, tmp_path / "other.pt")


def test_without_pytorch_one_sentence_says_what_to_do(tmp_path):
    """In a process where torch cannot be imported; a dict of arrays still loads."""
    script = f"""
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch is not installed here")

sys.meta_path.insert(0, NoTorch())
import tfbio
model = tfbio.create_model("resnet50", classes=4, width=1 / 16, blocks=(1, 1, 1, 1))
arrays = tfbio.weights.to_torch_state_dict(model, as_arrays=True)
print(len(tfbio.load_weights(model, arrays).loaded) == len(model.weights))
for attempt in (
    lambda: tfbio.load_weights(model, {str(tmp_path / "model.pt")!r}),
    lambda: tfbio.weights.to_torch_state_dict(model),
):
    try:
        attempt()
    except tfbio.WeightsError as error:
        print(error)
"""
    (tmp_path / "model.pt").write_bytes(b"\x80\x02}q\x00.")
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    fits, *sentences = answer.stdout.strip().splitlines()
    assert fits == "True"
    sentence = (
        "Expected PyTorch for a file of PyTorch, found none: pip install 'tfbio[torch]', or pass "
        "the tensors as a dict of NumPy arrays."
    )
    assert sentences == [sentence, sentence]
