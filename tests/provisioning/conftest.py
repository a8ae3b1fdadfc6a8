"""Kits prepared for clusters with the configurations of the repository."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from fedvox.commands.main import main
from fedvox.flare.loopback.federation import Federation
from fedvox.tensors import weights_hash

RUNTIMES = Path(__file__).parents[2] / "provisioning/runtimes"
LEAD = "lead@hospital-a.org"
IMAGE = "/opt/fedvox/fedvox.sif"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the tests of a file share."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def lead(federation: Federation) -> Iterator[Any]:
    """The lead's session with the file's federation, once all its sites are there."""
    with federation.joined(LEAD) as session:
        yield session


@pytest.fixture(scope="module")
def replicas(work: Path) -> Callable[[str], dict[str, str]]:
    """A function from a job to a hash of the model that each site holds on its disk."""

    def held(job_id: str) -> dict[str, str]:
        files = (work / "cache").glob(f"*/{job_id}/*/replica.safetensors")
        return {path.parents[2].name: weights_hash(load_file(str(path))) for path in files}

    return held


@pytest.fixture(scope="package")
def slurm_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """provisioning/runtimes/slurm.yml with an image that exists; FLARE looks for it."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "fedvox.sif").touch()
    text = (RUNTIMES / "slurm.yml").read_text()
    assert IMAGE in text
    (folder / "slurm.yml").write_text(text.replace(IMAGE, str(folder / "fedvox.sif")))
    return folder / "slurm.yml"


@pytest.fixture(scope="package")
def prepared(tmp_path_factory, clean_kits, slurm_config) -> Callable[[str, str], Path]:
    """A function from runtime and ``site`` or ``server`` to a prepared kit, made on first use."""
    made: dict[tuple[str, str], Path] = {}

    def prepare(runtime: str, kind: str) -> Path:
        if (runtime, kind) not in made:
            name = "site-1" if kind == "site" else clean_kits.server
            config, data, cache = RUNTIMES / "k8s.yml", "fedvox-data", "fedvox-cache"
            if runtime == "slurm":
                config, data, cache = slurm_config, "/data/abdomen", "/scratch/fedvox"
            out = tmp_path_factory.mktemp("prepared") / name
            command = ["kit", "prepare", str(clean_kits.kit(name)), "--config", str(config)]
            assert main([*command, "--out", str(out), "--data", data, "--cache", cache]) == 0
            made[runtime, kind] = out
        return made[runtime, kind]

    return prepare


@pytest.fixture
def copy(tmp_path) -> Callable[[Path], Path]:
    """A function that copies a kit into a folder where it may be damaged."""

    def copied(kit: Path) -> Path:
        return Path(shutil.copytree(kit, tmp_path / "kit"))

    return copied
