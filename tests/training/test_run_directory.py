from __future__ import annotations

import json
from dataclasses import replace

import pytest

import tfbio
from tfbio import (
    Constant,
    DataConfig,
    Framing,
    ModelConfig,
    OptimizerConfig,
    Plateau,
    RecordingConfig,
    Step,
    TrainingConfig,
)
from tfbio.errors import InputError
from tfbio.training import finished_run, newest_run, open_run


def test_the_same_settings_go_on_until_the_run_is_finished(tmp_path):
    run, resumed = open_run(tmp_path, "m-d", TrainingConfig(epochs=2), ["a", "b"])
    assert (run.path, resumed) == (tmp_path / "m-d", False)
    assert run.class_names() == ["a", "b"]
    assert run.settings()["epochs"] == "2"
    assert run.config() == TrainingConfig(epochs=2)
    assert open_run(tmp_path, "m-d", TrainingConfig(epochs=2)) == (run, True)

    other, resumed = open_run(tmp_path, "m-d", TrainingConfig(epochs=3))
    assert (other.path.name, resumed) == ("m-d-2", False)
    run.write_summary({"top1": 0.5})
    assert run.finished
    assert open_run(tmp_path, "m-d", TrainingConfig(epochs=2))[0].path.name == "m-d-3"
    assert open_run(tmp_path, "m-d", TrainingConfig(epochs=3)) == (other, True)


def test_a_finished_run_is_found_behind_those_of_other_settings(tmp_path):
    assert finished_run(tmp_path, "m-d", TrainingConfig(epochs=2)) is None
    open_run(tmp_path, "m-d", TrainingConfig(epochs=3))[0].write_summary({})
    run, _ = open_run(tmp_path, "m-d", TrainingConfig(epochs=2))
    assert finished_run(tmp_path, "m-d", TrainingConfig(epochs=2)) is None
    run.write_summary({})
    assert finished_run(tmp_path, "m-d", TrainingConfig(epochs=2)) == run
    assert run.path.name == "m-d-2"


def test_history_is_read_as_it_was_written(tmp_path):
    run, _ = open_run(tmp_path, "m-d")
    assert run.read_history() == []
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-12}]
    run.write_history(rows)
    assert run.read_history() == rows


def test_a_history_that_counts_from_0_is_read_from_1_on(tmp_path):
    run, _ = open_run(tmp_path, "m-d")
    run.write_history([{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}])
    assert [row["epoch"] for row in run.read_history()] == [1, 2]


FULL = TrainingConfig(
    ModelConfig("bl_rcnn", image_size=48, timesteps=4, width=0.125, weights="/w/bl.h5"),
    DataConfig(
        "image_folder",
        "/data",
        max_bad_images=2,
        cache="disk",
        augment=("crop", "flip"),
        framing=Framing(0.875, 224),
        condition="blur",
        condition_level=1.5,
        class_weights="balanced",
    ),
    OptimizerConfig(
        "sgd", 0.1, Step(milestones=(2, 4)), momentum=0.5, nesterov=True, clip_norm=1.0
    ),
    mode="readout",
    epochs=6,
    batch_size=8,
    early_stopping=3,
    early_stopping_metric="loss",
    precision="float64",
    seed=9,
    recording=RecordingConfig(("ReLU_*", "Conv*"), 5),
)


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        FULL,
        TrainingConfig(data=DataConfig(augment=(), framing=Framing(1.0, (64, 48)))),
        TrainingConfig(ModelConfig("alexnet_divnorm", divnorm=None, relu=False)),
        TrainingConfig(optimizer=OptimizerConfig(schedule=Plateau(2, threshold=0.5))),
        TrainingConfig(optimizer=OptimizerConfig(schedule=Constant())),
    ],
)
def test_a_configuration_is_read_as_it_was_written(config, tmp_path):
    run, _ = open_run(tmp_path, "m-d", config)
    assert run.config() == config
    # Runs of tfbio before 0.2 have a flag file alone.
    run.config_file.unlink()
    assert run.config() == config
    assert open_run(tmp_path, "m-d", config) == (run, True)


def test_paths_lead_to_the_same_place_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = TrainingConfig(ModelConfig(weights="bl.h5"), DataConfig("image_folder", "pictures"))
    run, _ = open_run(tmp_path / "runs", "m-d", here)
    kept = run.config()
    assert (kept.model.weights, kept.data.data_dir) == tuple(
        str(tmp_path / name) for name in ("bl.h5", "pictures")
    )
    assert f"--data_dir={tmp_path / 'pictures'}\n" in run.flags.read_text()
    assert open_run(tmp_path / "runs", "m-d", here) == (run, True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert not kept.same_settings(here)


def test_an_option_that_came_later_does_not_stop_a_run_from_going_on(tmp_path):
    run, _ = open_run(tmp_path, "m-d", FULL)
    content = json.loads(run.config_file.read_text())
    del content["data"]["class_weights"], content["optimizer"]["accumulate_steps"]
    del content["recording"]
    run.config_file.write_text(json.dumps(content))
    assert run.config() == replace(
        FULL, data=replace(FULL.data, class_weights="equal"), recording=RecordingConfig()
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content.update(version=2), "of version 1, received 2: .* another version"),
        (lambda content: content.update(epoch=3), "Unknown field of TrainingConfig 'epoch'"),
        (lambda content: content["model"].update(name="nothing"), "Unknown model 'nothing'"),
        (
            lambda content: content["model"].update(name="mine", imports=["my_models"]),
            "Import my_models first",
        ),
        (lambda content: content["optimizer"].update(learning_rate=-1), "a learning rate above 0"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(change, sentence, tmp_path):
    run, _ = open_run(tmp_path, "m-d", FULL)
    content = json.loads(run.config_file.read_text())
    change(content)
    run.config_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=sentence):
        run.config()
    # It is no reason not to train: another folder is taken.
    assert open_run(tmp_path, "m-d", FULL)[0].path.name == "m-d-2"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--crop_ratio=half\n", "a value of --crop_ratio in .*, received 'half'"),
        ("--modle=b_cnn\n", "flags of train.py in .*, received --modle"),
    ],
)
def test_flags_of_an_old_run_that_do_not_fit_are_named(flags, sentence, tmp_path):
    run, _ = open_run(tmp_path, "m-d")
    run.config_file.unlink()
    run.flags.write_text(flags)
    with pytest.raises(InputError, match=sentence):
        run.config()


def test_the_newest_checkpoints_are_kept(tmp_path):
    run, _ = open_run(tmp_path, "m-d")
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), width=1 / 32)
    for epoch, step in ((0, 5), (0, 10), (1, 0), (12, 3)):
        run.save_checkpoint(model, epoch, step)
    assert [(kept.epoch, kept.step) for kept in run.checkpoints()] == [(1, 0), (12, 3)]
    # What a kill during writing leaves behind is no checkpoint.
    (run.path / "checkpoints" / ".partial.weights.h5").write_bytes(b"half")
    assert len(run.checkpoints()) == 2


def test_the_newest_run_is_the_one_whose_model_was_written_last(tmp_path):
    with pytest.raises(InputError, match=r"Expected a trained run in .*, found none: train one"):
        newest_run(tmp_path)
    for name in ("a", "b"):
        open_run(tmp_path, name)[0].model.write_bytes(b"")
    open_run(tmp_path, "c")
    import os

    os.utime(tmp_path / "b" / "model.keras", (1, 1))
    assert newest_run(tmp_path).path.name == "a"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"The run cannot be written to .*: pass a folder"):
        open_run(tmp_path / "file", "m-d")
    with pytest.raises(InputError, match="found a file: pass another folder of runs"):
        open_run(tmp_path, "file")
