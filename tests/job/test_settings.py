import json
from pathlib import Path

import pytest

from fedvox.config import to_mapping
from fedvox.errors import ConfigError
from fedvox.job.settings import job_from, read_job

ROOT = Path(__file__).parents[2]
JOBS = sorted(ROOT.glob("jobs/*/app/config/training.json"))
MINIMAL = {"name": "j", "data": {"organs": ["liver"]}}


def test_repository_has_jobs():
    assert "fedgin" in [path.parts[-4] for path in JOBS]


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.parts[-4])
def test_job_of_the_repository_is_valid_and_named_like_its_folder(path):
    assert read_job(path).name == path.parts[-4]


def test_settings_survive_json():
    job = job_from(MINIMAL)
    assert job_from(json.loads(json.dumps(to_mapping(job)))) == job


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("training", "epochs"),
        ("data", "voxel_size"),
        ("network", "depth"),
        ("augmentation", "blur"),
        ("evaluation", "hd"),
        ("phantom", "size"),
    ],
)
def test_unknown_key_is_named_with_file_and_allowed_keys(tmp_path, section, key):
    path = tmp_path / "training.json"
    content = {**MINIMAL, section: {**MINIMAL.get(section, {}), key: 1}}
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as error:
        read_job(path)
    named = {"network": "network 'unet'", "augmentation": "intensity augmentation 'gin'"}
    of = f" of {named[section]}" if section in named else ""
    assert str(error.value).startswith(f"{path}: unknown key '{section}.{key}'{of}; ")
    assert " allowed: " in str(error.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"training": {"rounds": 0}}, "'training.rounds' is 0; it must be at least 1"),
        ({"training": {"steps": 2.5}}, "'training.steps' must be a whole number, not 2.5"),
        (
            {"training": {"loss": "hinge"}},
            "'training.loss': unknown loss 'hinge'; choose one",
        ),
        ({"training": {"warmup": 0.9}}, "'training.warmup' is 0.9; it must be at most 0.5"),
        ({"training": {"threads": True}}, "'training.threads' must be a whole number, not True"),
        ({"training": {"learning_rate": float("nan")}}, "'training.learning_rate' is nan"),
        ({"evaluation": {"overlap": 1.0}}, "'evaluation.overlap' is 1.0; it must be at most 0.9"),
        ({"training": 3}, "'training' must be an object with named keys"),
    ],
)
def test_value_out_of_range_is_named_with_what_is_allowed(section, message):
    with pytest.raises(ConfigError) as error:
        job_from(MINIMAL | section, "training.json")
    assert f"training.json: {message}" in str(error.value)


@pytest.mark.parametrize("missing", ["name", "data"])
def test_missing_key_is_named(missing):
    content = {key: value for key, value in MINIMAL.items() if key != missing}
    with pytest.raises(ConfigError, match=f"key '{missing}' is missing; add it"):
        job_from(content)


def test_whole_number_is_accepted_where_a_number_is_meant():
    rate = job_from(MINIMAL | {"training": {"learning_rate": 1}}).training.learning_rate
    assert rate == 1.0
    assert isinstance(rate, float)


def test_patch_that_the_levels_do_not_divide_is_refused():
    job = {
        "name": "x",
        "data": {"organs": ["liver"], "patch": [40, 56, 40]},
        "network": {"channels": [8, 16, 32, 64, 64]},
    }
    with pytest.raises(ConfigError, match=r"\[40, 56, 40\].*5 levels of.*multiple of 16"):
        job_from(job)


def test_normalisation_that_holds_nothing_cannot_stay_at_the_sites():
    job = MINIMAL | {"training": {"personal": ["norm"]}}
    with pytest.raises(
        ConfigError, match=r"'training.personal' is norm.*set 'network.norm' to batch"
    ):
        job_from(job)
    assert job_from(job | {"network": {"norm": "batch"}}).training.personal == ("norm",)


def test_subsets_are_scored_where_channels_may_be_missing_only():
    data = {"modalities": ["t1", "t2"], "channels": ["t1", "t2"]}
    job = MINIMAL | {"data": MINIMAL["data"] | data, "evaluation": {"subsets": True}}
    with pytest.raises(ConfigError, match=r"'data.missing_channels' is not.*set both to true"):
        job_from(job)
    job["data"]["missing_channels"] = True
    assert job_from(job).evaluation.subsets
