"""What a wheel brings beside its code, tried in a folder outside any checkout."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fedvox
from fedvox.errors import ConfigError
from fedvox.flare.jobs.carried import code_differences
from fedvox.flare.jobs.folder import list_jobs
from fedvox.resources import JOBS, POLICIES, TEMPLATES, builtin, write_templates

ROOT = Path(__file__).parents[1]
CALL = "import sys; from fedvox.commands.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel holds it."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "info").mkdir()
    build = ["egg_info", "--egg-base", str(folder / "info"), "build_py", "--build-lib", str(folder)]
    subprocess.run(
        [sys.executable, "setup.py", "-q", *build], cwd=ROOT, check=True, capture_output=True
    )
    return folder


@pytest.fixture
def run(installed: Path, tmp_path: Path):
    """A function that runs a command of the installed package in an empty folder."""

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [sys.executable, "-c", CALL, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )

    return call


def files_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_wheel_holds_exactly_the_resources_of_the_checkout(installed):
    for name in (JOBS, POLICIES, "provisioning/runtimes"):
        assert files_below(installed / "fedvox/builtin" / name) == files_below(ROOT / name)
    project = installed / "fedvox/builtin/provisioning/project.yml"
    assert project.read_bytes() == (ROOT / "provisioning/project.yml").read_bytes()


def test_setup_copies_what_the_package_looks_for():
    tree = ast.parse((ROOT / "setup.py").read_text())
    named = next(
        n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "RESOURCES"
    )
    assert set(ast.literal_eval(named.value)) == {JOBS, *TEMPLATES}


def test_in_a_checkout_the_resources_are_its_own():
    assert builtin(JOBS) == ROOT / "jobs" and builtin(POLICIES) == ROOT / "provisioning/policies"


def test_an_installed_package_lists_and_exports_its_jobs(run, tmp_path):
    assert json.loads(run("job", "list", "--json").stdout) == list_jobs(ROOT / "jobs")
    done = run("job", "export", "fedgin", "--out", "out", "--code", "carried")
    assert done.returncode == 0, done.stderr
    carried = tmp_path / "out/fedgin/app/custom/fedvox"
    assert not (carried / "builtin").exists()
    assert code_differences(carried, Path(fedvox.__file__).parent) == []


def test_the_same_job_passes_the_review_of_an_installed_package(run):
    run("job", "export", "fedgin", "--out", "out", "--code", "carried")
    done = run("job", "diff", "out/fedgin")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_installed_package_names_files_that_exist_where_they_are_needed(run, clean_kits):
    kit = str(clean_kits.kit("site-1"))
    done = run("kit", "prepare", kit, "--config", "k8s.yml", "--out", "x", "--data", "d")
    named = done.stderr.strip().rpartition(" ")[2]
    assert done.returncode == 1 and (Path(named) / "k8s.yml").is_file(), done.stderr


def test_kits_can_be_built_from_written_templates(tmp_path, monkeypatch):
    from fedvox.flare.kit_builder import KitBuilder

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"fedvox kit templates --out \."):
        KitBuilder(POLICIES)
    write_templates(Path())
    KitBuilder(POLICIES)
    for name in TEMPLATES:
        assert (tmp_path / name).exists()
    with pytest.raises(ConfigError, match="has a folder provisioning already"):
        write_templates(Path())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["provisioning"]


def test_a_package_without_resources_says_so(tmp_path, monkeypatch):
    (tmp_path / "fedvox").mkdir()
    monkeypatch.setattr(fedvox, "__file__", str(tmp_path / "fedvox/__init__.py"))
    with pytest.raises(ConfigError, match="has no jobs"):
        builtin(JOBS)
