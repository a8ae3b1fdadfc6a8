"""Shared by all tests: one thread, repeatable hypothesis runs, and tiny phantom sites."""

import gc
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import settings

from fedvox.flare.jobs.export import export_job
from fedvox.flare.loopback.kits import Kits, free_ports, provision, read_project, with_ports
from fedvox.inference.model_files.model_file import describe_model, write_model
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of
from fedvox.phantoms.writer import write_phantom_site

ROOT = Path(__file__).parents[1]
os.environ["OMP_NUM_THREADS"] = "1"
"""For started processes: threads that outnumber the cores mostly wait for each other."""

pytest_plugins = ["channel_site", "hostile_files", "plain_site", "rounds", "serialised", "tiny_job"]
"""Fixtures of ``tests/fixtures``, which several rooms share."""

LONGEST = {"test_benchmarks", "test_role_pages", "test_secure_run", "test_dry_run"}
"""Files that take minutes each, so they start before all others."""

PHANTOM_COUNTS = {"train": 3, "val": 1, "test": 2}

settings.register_profile("fedvox", deadline=None, derandomize=True, database=None)
settings.load_profile("fedvox")


@pytest.fixture(autouse=True, scope="session")
def single_threaded_torch() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """While it is open no file of this process can grow beyond 4 KiB."""

    @contextmanager
    def limit() -> Generator[None, None, None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture(scope="session")
def phantom_site(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from ``ct`` or ``mr`` to the folder of a phantom site, written on first use.

    The folder is shared by all tests: copy it before changing anything in it.
    """
    sites: dict[str, Path] = {}

    def site(modality: str) -> Path:
        if modality not in sites:
            folder = tmp_path_factory.mktemp("phantom-sites") / modality
            number = ("ct", "mr").index(modality) + 1
            write_phantom_site(folder, modality, PHANTOM_COUNTS, seed=0, site=number, spacing_mm=12)
            sites[modality] = folder
        return sites[modality]

    return site


def untrained(folder: Path, *modalities: str) -> Path:
    """Writes a small network with its initial weights that knows the named modalities."""
    data = {"organs": ["liver", "spleen"], "spacing": [7, 7, 7], "patch": [16, 16, 16]}
    job = job_from(
        {
            "name": "tiny",
            "data": data | {"modalities": list(modalities)},
            "network": {"channels": [4, 8]},
        }
    )
    weights = weights_of(initial_model(job))
    description = describe_model(job, weights, 1, True, list(modalities))
    return write_model(folder, weights, description)


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes an untrained model that knows the named modalities."""
    return lambda *modalities: untrained(tmp_path, *modalities)


@pytest.fixture
def tiny_model(make_model: Callable[..., Path]) -> Path:
    """`model.safetensors` of a small network with its initial weights."""
    return make_model("ct", "mr")


@pytest.fixture(scope="session")
def shared_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all tests: change nothing beside it."""
    return untrained(tmp_path_factory.mktemp("model"), "ct", "mr")


@pytest.fixture(scope="session")
def carried_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """jobs/fedgin with the package in it; copy it before changing it."""
    return export_job(ROOT / "jobs/fedgin", tmp_path_factory.mktemp("carried"), "carried")


@pytest.fixture
def scan_of(phantom_site: Callable[[str], Path]) -> Callable[[str], Path]:
    """A function from ``ct`` or ``mr`` to a phantom scan."""
    return lambda modality: min((phantom_site(modality) / "images").iterdir())


@pytest.fixture(scope="session")
def project() -> Callable[[], dict[str, Any]]:
    """A function to provisioning/project.yml as it lies in the repository, but on free ports."""

    def read() -> dict[str, Any]:
        found = with_ports(read_project(ROOT / "provisioning/project.yml"), *free_ports(2))
        for builder in found["builders"]:
            if "policies" in builder.get("args", {}):
                builder["args"]["policies"] = str(ROOT / "provisioning/policies")
        return found

    return read


@pytest.fixture(scope="session")
def clean_kits(tmp_path_factory: pytest.TempPathFactory, project: Callable[[], Any]) -> Kits:
    """Kits of the repository's project; copy one before changing it."""
    return provision(project(), tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="session")
def tiny_overrides() -> list[str]:
    """Overrides that make jobs/fedgin a matter of seconds."""
    return [
        "data.spacing=[12,12,12]",
        "data.patch=[16,16,16]",
        "network.channels=[4,8]",
        "training.steps=2",
        "training.rounds=1",
        "training.device=cpu",
        "phantom.train=2",
        "phantom.val=1",
        "phantom.test=1",
        "phantom.spacing_mm=12",
    ]


@pytest.fixture(scope="session")
def left_over() -> Callable[..., list[str]]:
    """A function to the names of processes that still work in a folder or name it after a while."""

    def look(folder: Path) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                words = [process.cwd(), *process.cmdline()]
            except (psutil.Error, OSError):
                continue  # ended meanwhile
            if process.pid != os.getpid() and any(str(folder) in word for word in words):
                found.append(" ".join(words))
        return found

    def wait(folder: Path, seconds: float = 120.0) -> list[str]:
        deadline = time.monotonic() + seconds
        while (found := look(folder)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    return wait


@pytest.fixture(scope="session")
def start_script() -> Callable[..., "subprocess.Popen[str]"]:
    """A function that starts a script of the repository, with its output in one pipe."""

    def start(script: str, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, script, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell that runs the tests in the background makes them, and their children, ignore
            # it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


@pytest.fixture(scope="session")
def stop_in_the_middle(left_over: Callable[..., list[str]]) -> Callable[..., None]:
    """A function that stops a started script once a site joins; nothing may be left of it."""

    def stop(run: "subprocess.Popen[str]", folder: Path, how: signal.Signals) -> None:
        assert run.stdout is not None
        for line in run.stdout:
            if "joined" in line:
                break
        assert left_over(folder, 0)
        run.send_signal(how)
        output, _ = run.communicate(timeout=1800)
        assert run.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), output
        assert left_over(folder) == []

    return stop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first; the short ones then fill whatever gaps they leave."""
    items.sort(
        key=lambda item: (item.path.stem not in LONGEST, item.get_closest_marker("system") is None)
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """PyTorch, FLARE and the tests stay anyway: the collector need not walk them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def call_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a script's ``main`` here, where FLARE is loaded already.

    Returns:
        Exit code, stdout and stderr.
    """

    def call(script: str, *words: str) -> tuple[int, str, str]:
        spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [script, *words])
        code = module.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test proves nothing, so it counts as failed."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; make it run"
    return report
