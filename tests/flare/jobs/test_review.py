"""A received job is an export and nothing more: no other app, file, link, class or program."""

import json
import os
import shutil
from pathlib import Path

import pytest

from fedvox.commands.main import main
from fedvox.errors import ConfigError
from fedvox.flare.jobs.carried import CARRIED
from fedvox.flare.jobs.export import export_job
from fedvox.flare.jobs.review import SIDES, configuration_problems, job_problems, starts_own_program
from fedvox.manifest import MANIFEST, write_manifest

JOBS = Path(__file__).parents[3] / "jobs"


@pytest.fixture
def carried(carried_job, tmp_path):
    return Path(shutil.copytree(carried_job, tmp_path / carried_job.name))


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def write(path, text="print('evil')\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def reviewed(job):
    """Exit code of ``job diff`` after the job's manifest was written again."""
    write_manifest(job, job / "app/custom" / MANIFEST)
    return main(["job", "diff", str(job)])


@pytest.mark.parametrize("name", ["fedgin", "fedavg", "plan"])
@pytest.mark.parametrize("code", ["preinstalled", "carried", "pinned"])
def test_every_export_is_one(tmp_path, name, code):
    assert job_problems(export_job(JOBS / name, tmp_path, code)) == []


def test_code_in_a_second_app_is_found(carried, capsys):
    write(carried / "app2/custom/sitecustomize.py")
    write(carried / "app2/config/config_fed_client.json", "{}")
    change(carried / "meta.json", deploy_map={"app2": ["@ALL"]})
    assert reviewed(carried) == 1
    output = capsys.readouterr().out
    assert "against an export: app2: in no export" in output
    assert "app2/custom/sitecustomize.py: in no export" in output
    assert "meta.json: deploy_map is not {'app': ['@ALL']}" in output


@pytest.mark.parametrize(
    "places",
    [{"app": ["@ALL"], "app2": ["site-1"]}, {"app": ["server", "site-1"]}, {}, None, "app"],
)
def test_another_deployment_than_that_of_an_export_is_found(carried, places):
    change(carried / "meta.json", deploy_map=places)
    assert reviewed(carried) == 1


@pytest.mark.parametrize("name", ["app2", "app/custom2", "app/config/x", "README.txt", "x/y"])
def test_a_link_anywhere_is_found(carried, tmp_path, name):
    (carried / name).parent.mkdir(exist_ok=True)
    (carried / name).symlink_to(tmp_path)
    assert f"{name}: a link" in job_problems(carried)
    assert reviewed(carried) == 1


def test_an_app_that_is_a_link_is_found(carried, tmp_path):
    (carried / "app").rename(tmp_path / "elsewhere")
    (carried / "app").symlink_to(tmp_path / "elsewhere")
    assert "app: a link" in job_problems(carried)


@pytest.mark.parametrize(
    "name",
    [
        "app/config/config_fed_client.conf",
        "app/config/deep/config_fed_client.json",
        "app/decomposers.py",
        "app/MANIFEST.py",
        "meta.yml",
        ".__nvfl_sig.json:evil.py",
        "app2/.__nvfl_sig.json",
    ],
)
def test_a_file_that_no_export_writes_is_found(carried, name):
    write(carried / name)
    assert f"{name}: in no export" in job_problems(carried)
    assert reviewed(carried) == 1


def test_what_is_no_file_is_found(carried):
    os.mkfifo(carried / "app/pipe")
    assert job_problems(carried) == ["app/pipe: in no export"]


def test_signatures_of_flare_are_no_other_files(carried):
    for folder in ("", "app", "app/config", "app/custom", CARRIED):
        (carried / folder / ".__nvfl_sig.json").write_text("{}")
        (carried / folder / ".__nvfl_submitter.crt").write_text("")
    assert job_problems(carried) == []


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"id": "x", "path": "subprocess.check_output", "args": {}}, "'subprocess.check_output'"),
        ({"id": "x", "class_path": "os.system", "args": {}}, "names 'os.system' (class_path)"),
        ({"id": "x", "name": "TBAnalyticsReceiver", "args": {}}, "(name)"),
        ({"id": "x", "args": {"a": [{"b": {"path": "os.x"}}]}}, "names 'os.x' (path)"),
        ({"id": "x", "path": "{y}"}, "names '{y}' (path)"),
        ({"id": "x", "path": ["os.system"]}, "names ['os.system'] (path)"),
    ],
)
def test_whatever_a_configuration_would_call_is_found(carried, capsys, side, part, words):
    path = carried / SIDES[side]
    change(path, components=[*json.loads(path.read_text())["components"], part])
    assert reviewed(carried) == 1
    output = capsys.readouterr().out
    assert f"against an export: app/config/config_fed_{side}.json: " in output and words in output


def test_a_class_of_the_server_is_not_one_of_a_site(carried):
    part = {"id": "x", "path": "fedvox.flare.aggregator.FedVoxAggregator", "args": {}}
    change(carried / SIDES["client"], components=[part])
    assert len(configuration_problems(carried)) == 1


@pytest.mark.parametrize("key", ["launcher_spec", "resource_spec"])
@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"docker": {"image": "evil"}}, True),
        ({"docker": {"entrypoint": "evil"}}, True),
        ({"k8s": {"python_path": "evil"}}, True),
        ({"slurm": {"additional_node_command": "evil"}}, True),
        ({"k8s": {"num_of_gpus": 1, "cpu": "8", "memory": "32Gi"}}, False),
    ],
)
def test_a_program_of_the_jobs_choice_is_found(carried, key, spec, counts):
    change(carried / "meta.json", **{key: {"site-1": spec}})
    assert bool(job_problems(carried)) is counts
    assert reviewed(carried) == int(counts)


def test_a_program_for_all_sites_is_found(carried):
    change(carried / "meta.json", launcher_spec={"default": {"k8s": {"image": "evil"}}})
    (line,) = job_problems(carried)
    assert line == "meta.json: chooses an image or a Python of its own (launcher_spec)"


@pytest.mark.parametrize("spec", ["x", {"site-1": "x"}])
def test_a_start_that_flare_refuses_is_no_export(carried, spec):
    change(carried / "meta.json", launcher_spec=spec)
    assert job_problems(carried) == ["meta.json: launcher_spec is not one of FLARE's"]


def test_a_start_that_flare_cannot_read_is_one_line(carried, capsys):
    change(carried / "meta.json", launcher_spec={"site-1": {"docker": "x"}})
    assert reviewed(carried) == 1
    error = capsys.readouterr().err
    assert "launcher_spec is not one of FLARE's; refuse the job" in error
    with pytest.raises(ConfigError, match="refuse the job"):
        starts_own_program({"launcher_spec": {"default": "x"}}, "site-1")
