import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fedvox
from fedvox.errors import ModelError
from fedvox.inference.model_files.model_file import describe_model, read_model, write_model
from fedvox.job.model import initial_model
from fedvox.job.weights import weights_of
from fedvox.networks.parts import norm_tensors


@pytest.fixture
def written(job, tmp_path):
    weights = weights_of(initial_model(job))
    return write_model(tmp_path, weights, describe_model(job, weights, 3, True, ["ct", "mr"]))


def change_description(path, **values) -> None:
    file = path.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_model_comes_back_with_everything_that_prediction_needs(written, job):
    model = read_model(written)
    assert model.job == job
    expected = weights_of(initial_model(job))
    assert model.weights.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(model.weights[name], array)


def test_description_says_what_the_model_is(written):
    description = json.loads(written.with_suffix(".json").read_text())
    assert description["fedvox_version"] == fedvox.__version__
    assert description["organs"] == ["liver", "spleen"]
    assert description["modalities"] == ["ct", "mr"]
    assert (description["round"], description["phantom"]) == (3, True)
    assert description["network"]["channels"] == [4, 8]
    assert description["preprocessing"]["spacing"] == [12.0, 12.0, 12.0]
    assert description["normalisation"] == {"centre": 0.25, "scale": 0.25}


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_truncated_file_is_an_error_with_a_remedy(written, keep):
    written.write_bytes(written.read_bytes()[:keep])
    with pytest.raises(ModelError, match="not a whole safetensors file; copy it again"):
        read_model(written)


def test_pickle_is_never_read(written, tmp_path):
    class Canary:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").touch, ())

    written.write_bytes(pickle.dumps(Canary()))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_model(written)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("bit", range(8))
def test_flipped_bit_in_the_weights_is_an_error_with_a_remedy(written, bit):
    content = bytearray(written.read_bytes())
    content[-5] ^= 1 << bit
    written.write_bytes(content)
    with pytest.raises(ModelError, match=r"not those that model\.json describes; copy both"):
        read_model(written)


def test_description_of_another_model_is_an_error_with_a_remedy(written):
    change_description(written, hash="0" * 64)
    with pytest.raises(ModelError, match=r"not those that model\.json describes; copy both"):
        read_model(written)


@pytest.mark.parametrize("key", ["organs", "network", "preprocessing"])
def test_changed_description_is_an_error_with_a_remedy(written, key):
    change_description(written, **{key: []})
    with pytest.raises(ModelError, match=r"not those that model\.json describes; copy both"):
        read_model(written)


def test_organs_in_another_order_are_noticed(written):
    settings = json.loads(written.with_suffix(".json").read_text())["settings"]
    settings["data"]["organs"] = settings["data"]["organs"][::-1]
    change_description(written, settings=settings, organs=settings["data"]["organs"])
    with pytest.raises(ModelError, match=r"not those that model\.json describes; copy both"):
        read_model(written)


@pytest.mark.parametrize("value", [0, 3, "2", None])
def test_other_format_is_an_error(written, value):
    change_description(written, format=value)
    with pytest.raises(ModelError, match=r"model\.json: not a model description of fedvox"):
        read_model(written)


def test_a_model_of_the_older_preprocessing_is_refused_with_what_to_do(written):
    change_description(written, format=1)
    with pytest.raises(ModelError, match=r"every window by itself.* that version, or train again"):
        read_model(written)


def test_missing_description_is_an_error_with_a_remedy(written):
    written.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"model\.json: missing beside the weights; copy both"):
        read_model(written)


def test_broken_description_is_an_error_with_a_remedy(written):
    written.with_suffix(".json").write_text('{"format": 1,')
    with pytest.raises(ModelError, match=r"model\.json: not valid JSON at line 1"):
        read_model(written)


@pytest.mark.parametrize("settings", [{}, [], {"name": "x", "data": {"organs": ["liver"]}, "y": 1}])
def test_description_with_other_settings_is_an_error_that_names_the_file(written, settings):
    change_description(written, settings=settings)
    with pytest.raises(ModelError, match=r"model\.json: "):
        read_model(written)


def test_description_without_settings_is_an_error_that_names_the_key(written):
    file = written.with_suffix(".json")
    content = json.loads(file.read_text())
    del content["settings"]
    file.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"model\.json: key 'name' is missing"):
        read_model(written)


def test_a_renamed_model_is_told_from_one_without_description(written):
    renamed = written.rename(written.with_name("best.safetensors"))
    with pytest.raises(ModelError, match=r"no best\.json but a model\.json; if that describes it"):
        read_model(renamed)
    written.with_suffix(".json").rename(renamed.with_suffix(".json"))
    assert read_model(renamed).job.name


@pytest.mark.parametrize(
    ("key", "value"),
    [("job", None), ("round", "x"), ("phantom", "no"), ("modalities", 5), ("modalities", [["ct"]])],
)
def test_what_the_hash_does_not_protect_must_be_of_its_kind(written, key, value):
    change_description(written, **{key: value})
    with pytest.raises(
        ModelError, match=r"not a model description of fedvox; copy both files again"
    ):
        read_model(written)


@pytest.mark.parametrize("key", ["job", "round", "phantom", "modalities"])
def test_description_without_its_run_is_an_error(written, key):
    path = written.with_suffix(".json")
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="not a model description of fedvox"):
        read_model(written)


def test_weights_of_a_number_type_that_numpy_lacks_are_an_error(written):
    save_file({"x": torch.zeros(2, dtype=torch.bfloat16)}, str(written))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_model(written)


def test_missing_model_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(ModelError, match=r"no such model file; give the model\.safetensors of a"):
        read_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_with_what_to_do(tiny_model, value):
    trained = read_model(tiny_model)
    weights = {name: array.copy() for name, array in trained.weights.items()}
    next(iter(weights.values())).flat[-1] = value
    write_model(tiny_model.parent, weights, describe_model(trained.job, weights, 1, True, ["ct"]))
    with pytest.raises(ModelError, match=r"1 of \d+ weight tensors hold NaN or inf.*; take the"):
        read_model(tiny_model)


@pytest.mark.parametrize("whole", [False, True])
def test_the_shared_part_of_a_model_is_refused_with_the_place_of_whole_ones(
    make_job, tmp_path, whole
):
    job = make_job(network={"norm": "batch"}, training={"personal": ["norm"]})
    model = initial_model(job)
    weights = {
        name: array
        for name, array in weights_of(model).items()
        if whole or name not in norm_tensors(model)
    }
    site = "site-1" if whole else ""
    described = describe_model(job, weights, 3, True, ["ct"], site)
    path = write_model(tmp_path, weights, described)
    if whole:
        assert read_model(path).description["site"] == "site-1"
        return
    with pytest.raises(ModelError, match=r"is norm\).*take fedvox/own_model/round_3/ there$"):
        read_model(path)


def test_model_of_a_run_without_personal_tensors_names_no_site(written):
    assert "site" not in read_model(written).description


def test_a_model_says_how_tables_call_it(tiny_model):
    trained = read_model(tiny_model)
    assert trained.name == "global_best" and "model" not in trained.description
    for name, read in (("global_last", True), ("=1+1", False), (["global_last"], False)):
        write_model(tiny_model.parent, trained.weights, {**trained.description, "model": name})
        if read:
            assert read_model(tiny_model).name == name
            continue
        with pytest.raises(ModelError, match="not a model description"):
            read_model(tiny_model)
