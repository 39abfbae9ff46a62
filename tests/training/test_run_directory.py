from __future__ import annotations

import pytest

import tfbio
from tfbio.errors import InputError
from tfbio.training import finished_run, newest_run, open_run


def test_the_same_settings_go_on_until_the_run_is_finished(tmp_path):
    run, resumed = open_run(tmp_path, "m-d", "--epochs=2\n", ["a", "b"])
    assert (run.path, resumed) == (tmp_path / "m-d", False)
    assert run.class_names() == ["a", "b"]
    assert run.settings() == {"epochs": "2"}
    assert open_run(tmp_path, "m-d", "--epochs=2\n") == (run, True)

    other, resumed = open_run(tmp_path, "m-d", "--epochs=3\n")
    assert (other.path.name, resumed) == ("m-d-2", False)
    run.write_summary({"top1": 0.5})
    assert run.finished
    assert open_run(tmp_path, "m-d", "--epochs=2\n")[0].path.name == "m-d-3"
    assert open_run(tmp_path, "m-d", "--epochs=3\n") == (other, True)


def test_a_finished_run_is_found_behind_those_of_other_settings(tmp_path):
    assert finished_run(tmp_path, "m-d", "--epochs=2\n") is None
    open_run(tmp_path, "m-d", "--epochs=3\n")[0].write_summary({})
    run, _ = open_run(tmp_path, "m-d", "--epochs=2\n")
    assert finished_run(tmp_path, "m-d", "--epochs=2\n") is None
    run.write_summary({})
    assert finished_run(tmp_path, "m-d", "--epochs=2\n") == run
    assert run.path.name == "m-d-2"


def test_history_is_read_as_it_was_written(tmp_path):
    run, _ = open_run(tmp_path, "m-d")
    assert run.read_history() == []
    rows = [{"epoch": 0, "loss": 0.1 + 0.2}, {"epoch": 1, "loss": 1e-12}]
    run.write_history(rows)
    assert run.read_history() == rows


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
