import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.commands.places import require_folder
from fedvox.errors import ConfigError
from fedvox.flare.jobs.overrides import apply_overrides
from fedvox.manifest import MANIFEST

ROOT = Path(__file__).parents[2]
JOBS = ["--jobs", str(ROOT / "jobs")]


def settings(job: Path) -> dict:  # type: ignore[type-arg]
    return dict(json.loads((job / "app/config/training.json").read_text()))


def test_list_names_the_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "list", "--json", *JOBS]) == 0
    assert {"fedavg", "fedgin"} <= set(json.loads(capsys.readouterr().out))
    assert main(["job", "list", *JOBS]) == 0
    output = capsys.readouterr().out
    assert "fedgin       augmentation gin" in output
    assert "plan         plans spacing, patch, batch and CT window" in output


def test_show_prints_defaults_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "show", "fedgin", *JOBS]) == 0
    output = capsys.readouterr().out
    assert "augmentation.gin.probability = 1.0" in output
    assert 'name = "fedgin"' in output
    assert main(["job", "show", "fedgin", "--json", *JOBS]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["seed"] == 0


def test_preinstalled_export_carries_no_code(tmp_path: Path) -> None:
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), *JOBS]) == 0
    assert not (tmp_path / "fedgin/app/custom").exists()
    assert not list((tmp_path / "fedgin").rglob("*.py"))


def test_carried_export_holds_the_package_and_a_manifest_of_every_file(tmp_path: Path) -> None:
    assert (
        main(["job", "export", "fedgin", "--out", str(tmp_path), "--code", "carried", *JOBS]) == 0
    )
    job = tmp_path / "fedgin"
    assert (job / "app/custom/fedvox/augment/gin.py").is_file()
    assert not [path for path in job.rglob("*") if path.is_symlink() or path.name == "__pycache__"]
    lines = (job / "app/custom" / MANIFEST).read_text().splitlines()
    listed = dict(reversed(line.split("  ", 1)) for line in lines)
    files = {str(p.relative_to(job)) for p in job.rglob("*") if p.is_file()}
    assert set(listed) == files - {f"app/custom/{MANIFEST}"}
    for name, digest in listed.items():
        assert hashlib.sha256((job / name).read_bytes()).hexdigest() == digest


def test_manifest_is_read_by_sha256sum(tmp_path: Path) -> None:
    assert (
        main(["job", "export", "fedgin", "--out", str(tmp_path), "--code", "carried", *JOBS]) == 0
    )
    command = ["sha256sum", "--check", "--quiet", f"app/custom/{MANIFEST}"]
    assert subprocess.run(command, cwd=tmp_path / "fedgin").returncode == 0


def test_overrides_reach_the_exported_job(tmp_path: Path) -> None:
    changes = ["training.rounds=3", "data.organs=liver,spleen", "augmentation.gin.probability=0.5"]
    arguments = [word for change in changes for word in ("--set", change)]
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), *arguments, *JOBS]) == 0
    result = settings(tmp_path / "fedgin")
    assert result["training"]["rounds"] == 3
    assert result["data"]["organs"] == ["liver", "spleen"]
    assert result["augmentation"]["gin"]["probability"] == 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("training.roundz=3", "unknown key 'training.roundz'"),
        ("training.rounds=0", "at least 1"),
        ("training.rounds=many", "a whole number"),
        ("data.organs=heartt,liver", "unknown organ 'heartt'"),
        ("training.rounds", "key.path=value"),
        ("augmentation.name=blur", "choose one of: gin, none"),
        ("name.first=x", "'name' holds a value"),
        ("min_clients=3", "write it as waiting.sites=3"),
        ("train_timeout=3", "write it as waiting.round=3"),
    ],
)
def test_wrong_override_is_named_and_leaves_nothing(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["job", "export", "fedgin", "--out", str(tmp_path), "--set", change, *JOBS]
    assert main(arguments) == 1
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["0.1", ".1", "1e-1", "+.1", "1.E-1"])
def test_a_number_as_people_write_it(text: str, tmp_path: Path) -> None:
    change = f"training.learning_rate={text}"
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), "--set", change, *JOBS]) == 0
    result = json.loads((tmp_path / "fedgin/app/config/training.json").read_text())
    assert result["training"]["learning_rate"] == 0.1


def test_min_clients_is_said_to_the_scheduler_and_to_the_workflow(tmp_path: Path) -> None:
    given = ["--min-clients", "3"]
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), *given, *JOBS]) == 0
    job = tmp_path / "fedgin"
    assert json.loads((job / "app/config/training.json").read_text())["waiting"] == {"sites": 3}
    meta = json.loads((job / "meta.json").read_text())
    assert (meta["min_clients"], meta["deploy_map"]) == (3, {"app": ["@ALL"]})


@pytest.mark.parametrize("count", ["0", "-3", "99999999999999999999"])
def test_a_job_without_sites_or_with_too_many_is_refused(
    count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--min-clients", count]
    assert main(["job", "export", "fedgin", "--out", str(tmp_path / "new"), *given, *JOBS]) == 1
    assert f"--min-clients {count}: a job needs 1 to 10000 sites" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_export_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), *JOBS]) == 0
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), *JOBS]) == 1
    assert "exists already" in capsys.readouterr().err


def test_unknown_job_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "show", "fedgen", *JOBS]) == 1
    assert "choose one of: brats, fedavg, fedgin" in capsys.readouterr().err


def test_no_jobs_folder_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["job", "list", "--jobs", str(tmp_path / "none")]) == 1
    assert "--jobs DIR" in capsys.readouterr().err


def exported(folder: Path, *changes: str, name: str = "fedgin") -> int:
    more = [word for change in changes for word in ("--set", change)]
    return main(["job", "export", "fedgin", "--out", str(folder), "--name", name, *more, *JOBS])


@pytest.mark.parametrize("name", ["", "../x", "a b", "a.b", "a/b", "ä", "x" * 65, "x\n"])
def test_name_that_is_no_plain_word_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path / "out", name=name) == 1
    assert "use 1 to 64 letters, digits" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_name_is_not_set_by_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(tmp_path, "name=other") == 1
    assert "--set name=other" in (error := capsys.readouterr().err) and "use --name" in error


@pytest.mark.parametrize(
    ("change", "organs"),
    [
        ("data.organs= liver , spleen ", ["liver", "spleen"]),
        ("data.organs=liver", ["liver"]),
        ('data.organs=["liver"]', ["liver"]),
    ],
)
def test_lists_may_have_blanks_or_a_single_element(
    change: str, organs: list[str], tmp_path: Path
) -> None:
    assert exported(tmp_path, change) == 0
    assert settings(tmp_path / "fedgin")["data"]["organs"] == organs


def test_another_name_leaves_the_settings_of_the_old_one_behind():
    own = {"name": "gin", "gin": {"probability": 0.5}, "contrast": {"brightness": 0.1}}
    mapping = {"name": "job", "data": {"organs": ["liver"]}, "augmentation": own}
    result = apply_overrides(mapping, ["augmentation.name=none"])
    assert result["augmentation"] == {"name": "none", "contrast": {"brightness": 0.1}}
    assert mapping["augmentation"] == own


def test_a_key_that_the_new_name_takes_in_another_form_is_left_behind() -> None:
    transformer = {"name": "swin_unetr", "feature_size": 24, "heads": [3, 6, 12, 24]}
    mapping = {"name": "x", "data": {"organs": ["liver"]}, "network": transformer}
    changed = apply_overrides(mapping, ["network.name=unetr"])
    assert changed["network"] == {"name": "unetr", "feature_size": 24}
    changed = apply_overrides(mapping, ["network.name=unetr", "network.heads=6"])
    assert changed["network"]["heads"] == 6
    changed = apply_overrides(mapping, ["network.name=unet", "network.channels=8,16"])
    assert changed["network"]["channels"] == [8, 16]


def test_null_switches_off_what_may_be_left_out_and_nothing_else() -> None:
    mapping = {"name": "x", "data": {"organs": ["liver"]}, "compression": {"warmup": 2}}
    assert apply_overrides(mapping, ["compression=null"])["compression"] is None
    with pytest.raises(ConfigError, match="name a key of the section"):
        apply_overrides(mapping, ["data=null"])


def test_keys_of_a_name_that_stands_as_a_text_can_be_set() -> None:
    mapping = {"name": "a", "data": {"organs": ["liver"]}, "training": {"loss": "dice_focal"}}
    result = apply_overrides(mapping, ["training.loss.gamma=3"])
    assert result["training"]["loss"] == {"name": "dice_focal", "gamma": 3}
    result = apply_overrides(result, ["training.loss.name=dice_ce"])
    assert result["training"]["loss"] == {"name": "dice_ce"}
    assert apply_overrides(result, ["training.loss=dice_focal"])["training"]["loss"] == "dice_focal"
    with pytest.raises(ConfigError, match=r"'training\.loss\.gamma' of loss 'dice_ce'"):
        apply_overrides(result, ["training.loss.gamma=3"])


def test_a_key_belongs_to_another_name_the_error_says_to_which() -> None:
    mapping = {"name": "a", "data": {"organs": ["liver"]}}
    with pytest.raises(ConfigError, match="of loss 'dice_ce'; gamma belongs to dice_focal; allow"):
        apply_overrides(mapping, ["training.loss.gamma=3"])
    first = ["training.loss.name=dice_focal", "training.loss.gamma=3"]
    expected = {"name": "dice_focal", "gamma": 3}
    for changes in (first, first[::-1], [*first, first[1]]):
        assert apply_overrides(mapping, changes)["training"]["loss"] == expected


def test_code_may_put_a_person_s_override_after_its_own() -> None:
    changes = ["training.steps=3", "training.steps=4"]
    mapping = {"name": "a", "data": {"organs": ["liver"]}}
    assert apply_overrides(mapping, changes)["training"]["steps"] == 4


def test_list_that_the_file_leaves_to_its_default_takes_a_single_element() -> None:
    mapping = {"name": "a", "data": {"organs": ["liver"]}}
    result = apply_overrides(mapping, ["phantom.modalities=ct"])
    assert result["phantom"]["modalities"] == ["ct"] and "phantom" not in mapping


def test_error_names_the_override_to_blame_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path, "training.rounds=3", "training.steps=0", "training.batch=2") == 1
    error = capsys.readouterr().err
    assert error.startswith("fedvox: error: --set training.steps=0: 'training.steps' is 0")
    assert error.count("--set") == 1 and error.count("\n") == 1


def test_out_that_is_a_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").touch()
    assert exported(tmp_path / "out") == 1
    assert capsys.readouterr().err == (
        f"fedvox: error: --out {tmp_path / 'out'}: it is a file; name a folder\n"
    )


def test_printed_command_quotes_the_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(tmp_path / "my jobs") == 0
    assert f"-j '{tmp_path}/my jobs/fedgin'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "following"),
    [
        (
            "preinstalled",
            "fedvox doctor --kit KIT --job {0} at each site, then nvflare job submit -j {0}",
        ),
        ("carried", "fedvox job diff {0} at each site, then nvflare job submit -j {0}"),
        ("pinned", "nvflare simulator {0}"),
    ],
)
def test_next_step_is_that_of_the_kind_of_code(
    code: str, following: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["job", "export", "fedgin", "--out", str(tmp_path), "--code", code, *JOBS]) == 0
    target = tmp_path / "fedgin"
    assert capsys.readouterr().out == f"{target}\nNext: {following.format(target)}\n"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan for jobs/fedgin's organs and network."""
    job = json.loads((ROOT / "jobs/fedgin/app/config/training.json").read_text())
    content = {
        "organs": job["data"]["organs"][::-1],
        "network": job["network"],
        "modalities": ["ct"],
        "spacing": [0.8, 0.8, 2.5],
        "patch": [96, 96, 64],
        "batch": 3,
        "reasons": dict.fromkeys(("spacing", "patch", "batch", "ct_window"), "so"),
        "ct_window": [-120.0, 210.0],
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    return path


def test_a_plan_s_values_stand_in_the_exported_job(tmp_path: Path, plan: Path) -> None:
    out = tmp_path / "out"
    assert main(["job", "export", "fedgin", "--out", str(out), "--plan", str(plan), *JOBS]) == 0
    found = settings(out / "fedgin")
    assert found["data"]["spacing"] == [0.8, 0.8, 2.5]
    assert found["data"]["patch"] == [96, 96, 64]
    assert found["data"]["ct_window"] == [-120.0, 210.0]
    assert found["training"]["batch"] == 3
    assert found["training"]["steps"] == 300
    assert (out / "fedgin/app/config/plan.json").read_bytes() == plan.read_bytes()
    assert main(["job", "diff", str(out / "fedgin")]) == 0


def test_a_setting_comes_after_the_plan(tmp_path: Path, plan: Path) -> None:
    changes = ["--set", "training.batch=1", "--set", "data.patch=[64,64,64]"]
    call = ["job", "export", "fedgin", "--out", str(tmp_path), "--plan", str(plan), *JOBS]
    assert main([*call, *changes]) == 0
    found = settings(tmp_path / "fedgin")
    assert (found["training"]["batch"], found["data"]["patch"]) == (1, [64, 64, 64])
    assert found["data"]["spacing"] == [0.8, 0.8, 2.5]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"organs": ["liver"]},
            "made for liver, the job trains liver, spleen, kidney_right",
        ),
        (
            {"network": {"name": "unet", "channels": [4, 8]}},
            "made for the network name unet, channels [4, 8]",
        ),
        ({"batch": 0}, "'batch' is 0; it must be at least 1"),
        ({"organs": ["liver", "liver"]}, "names an organ twice"),
        ({"modalities": ["ct", "t1"]}, "it was made from t1 too, which the job does not use"),
        ({"patches": 0}, "unknown key 'patches'"),
    ],
)
def test_a_plan_for_another_job_is_refused(
    tmp_path: Path, plan: Path, capsys: pytest.CaptureFixture[str], change: object, words: str
) -> None:
    plan.write_text(json.dumps({**json.loads(plan.read_text()), **change}))  # type: ignore[dict-item]
    out = tmp_path / "out"
    assert main(["job", "export", "fedgin", "--out", str(out), "--plan", str(plan), *JOBS]) == 1
    error = capsys.readouterr().err
    assert words in error and str(plan) in error
    assert not out.exists()


def test_a_plan_without_a_window_leaves_the_job_s(tmp_path: Path, plan: Path) -> None:
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "ct_window": None}))
    call = ["job", "export", "fedgin", "--out", str(tmp_path), "--plan", str(plan), *JOBS]
    assert main(call) == 0
    assert settings(tmp_path / "fedgin")["data"]["ct_window"] == [-160.0, 240.0]


def test_a_plan_fits_a_job_that_a_setting_made_the_planned_one(tmp_path: Path, plan: Path) -> None:
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "organs": ["liver"]}))
    call = ["job", "export", "fedgin", "--out", str(tmp_path), "--plan", str(plan), *JOBS]
    assert main([*call, "--set", "data.organs=liver"]) == 0


def test_jobs_of_the_current_folder_hide_no_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):  # the first makes the folder
        assert main(["job", "export", "fedgin", "--out", "jobs", "--name", name]) == 0
    capsys.readouterr()
    assert main(["job", "list", "--json"]) == 0
    assert {"a", "b", "brats", "fedavg", "fedgin", "fedsegnet", "mixmfl", "plan"} == set(
        json.loads(capsys.readouterr().out)
    )
    assert main(["job", "list"]) == 0
    assert capsys.readouterr().err == f"note: jobs of {ROOT / 'jobs'} and jobs\n"
    for name in ("a", "fedgin", "jobs/a"):
        assert main(["job", "show", name]) == 0
    capsys.readouterr()
    assert main(["job", "show", "c"]) == 1
    error = capsys.readouterr().err
    assert f"no job 'c' in jobs and {ROOT / 'jobs'}; choose one of: a, b, brats, fedavg" in error


def test_a_job_of_the_current_folder_comes_before_the_built_in_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["job", "export", "fedgin", "--out", "jobs", "--set", "training.seed=7"]) == 0
    capsys.readouterr()
    assert main(["job", "show", "fedgin"]) == 0
    printed = capsys.readouterr()
    assert "training.seed = 7" in printed.out
    assert printed.err == f"note: 'fedgin' of ./jobs; the built-in one: {' '.join(JOBS)}\n"
    assert main(["job", "show", "fedgin", *JOBS]) == 0  # as the note says
    printed = capsys.readouterr()
    assert "training.seed = 0" in printed.out and printed.err == ""


@pytest.mark.parametrize("make", ["a_file", "an_empty_folder", "other_things"])
def test_something_else_called_jobs_is_no_obstacle(
    make: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if make == "a_file":
        (tmp_path / "jobs").touch()
    else:
        (tmp_path / "jobs" / "x").mkdir(parents=True)
    assert main(["job", "show", "fedgin"]) == 0


def test_a_named_folder_is_searched_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["job", "show", "fedgin", "--jobs", str(tmp_path)]) == 1
    assert (
        f"{tmp_path}: it holds no jobs; name a folder of job folders with --jobs"
        in capsys.readouterr().err
    )


def test_a_folder_that_cannot_be_made_is_called_as_it_was_given(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^--out \S+/file/out: \S+/file is a file, not a folder"):
        require_folder("--out", tmp_path / "file/out")
