"""`fedvox export`: two forms, and one line where it cannot write."""

import json

import pytest

from fedvox.commands.main import main


@pytest.mark.parametrize(("form", "name"), [("bundle", "out"), ("torchscript", "out.ts")])
def test_both_forms_are_written_and_never_replaced(tiny_model, tmp_path, capsys, form, name):
    words = ["export", "--model", str(tiny_model), "--format", form, "--out", str(tmp_path / name)]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "trained on phantom data" in output
    assert str(tmp_path / name) in output
    assert main(words) == 1
    assert "exists already" in capsys.readouterr().err


def test_json_names_what_was_written(tiny_model, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", "--model", str(tiny_model), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["output"], result["format"]) == (str(out), "bundle")
    assert len(result["model_hash"]) == 64


def test_a_wrong_model_file_is_refused_before_anything_is_written(tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"no model")
    (tmp_path / "model.json").write_text("{}")
    words = ["--model", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out")]
    assert main(["export", *words]) == 1
    assert "not a whole safetensors file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["bundle", "torchscript"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tiny_model, tmp_path, capsys, form, full_disk):
    words = ["export", "--model", str(tiny_model), "--format", form]
    with full_disk():
        assert main([*words, "--out", str(tmp_path / "new/out.ts")]) == 1
    error = capsys.readouterr().err
    assert "it cannot be written" in error and error.count("\n") == 1
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("form", ["bundle", "torchscript"])
def test_a_place_that_cannot_be_written_is_one_line_about_out(tiny_model, tmp_path, capsys, form):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "below"
    assert main(["export", "--model", str(tiny_model), "--format", form, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"fedvox: error: --out {out}: {tmp_path / 'file'} is a file")
    assert error.endswith("choose another\n") and error.count("\n") == 1
