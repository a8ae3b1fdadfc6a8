"""The locked versions against what asks for them and what is installed, and the bill of materials.

``make lock`` writes both locks; the one for GPUs has PyPI's PyTorch and NVIDIA's packages.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires, version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-gpu.lock")
ENTRY = re.compile(r"^([a-z0-9.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M)
OURS = "fedvox"


def locked(name: str) -> dict[str, Version]:
    """Package -> version of a lock."""
    return {entry[1]: Version(entry[2]) for entry in ENTRY.finditer((ROOT / name).read_text())}


def pinned() -> dict[str, Version]:
    """Package -> version of the direct dependencies."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = (line.split("#")[0].strip().split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): Version(found) for name, found in pins}


def public(versions: dict[str, Version]) -> dict[str, str]:
    """Without the builds, such as ``+cpu``."""
    return {name: found.public for name, found in versions.items()}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_but_versions_with_hashes(lock):
    text = ENTRY.sub("", (ROOT / lock).read_text())
    rest = [line for line in text.splitlines() if line and not re.match(r" *#", line)]
    assert rest == ["--only-binary :all:"]
    assert OURS not in locked(lock)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_direct_dependency_is_locked_in_its_version(lock):
    found = public(locked(lock))
    assert {name: found.get(name) for name in pinned()} == public(pinned())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_to_the_bounds_of_the_package(lock):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    bounds = [bound for bound in map(Requirement, texts) if bound.name != OURS]
    found = locked(lock)
    assert [str(bound) for bound in bounds if found[bound.name] not in bound.specifier] == []


def test_the_locks_differ_in_the_build_of_pytorch_only():
    cpu, gpu = map(locked, LOCKS)
    assert (cpu["torch"].local, gpu["torch"].local) == ("cpu", None)
    common = {name: found for name, found in public(gpu).items() if name in cpu}
    assert public(cpu) == common
    assert {name.split("-")[0] for name in gpu.keys() - cpu} == {"cuda", "nvidia", "triton"}


def test_what_is_installed_is_what_is_locked():
    found = locked("requirements.lock")
    installed = {name: Version(version(name)) for name in found}
    assert public(installed) == public(found), "run 'make test', which installs what is locked"


def needed(name: str) -> Iterator[str]:
    """What an installed package asks for on this machine."""
    for requirement in map(Requirement, requires(name) or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def test_what_a_locked_package_asks_for_is_locked():
    known = locked("requirements-gpu.lock")  # also PyPI's PyTorch may be installed
    names = locked("requirements.lock")
    assert {name: set(needed(name)) - set(known) for name in names} == {n: set() for n in names}


def test_nothing_that_only_tests_need_slows_the_imports_of_every_process():
    """Where this package lies, MONAI's import of jsonschema builds its grammar: 3 to 6 s."""
    assert find_spec("rfc3987_syntax") is None, "make clean, then make test: see TOOLS in Makefile"


@pytest.mark.system
def test_the_bill_of_materials_names_every_locked_version(tmp_path):
    words = re.search(r"\$\(SBOM\) (.*) -o", (ROOT / "Makefile").read_text())[1]
    words = words.replace("$(LOCK)", "requirements.lock").split()
    # the tool's own validation of so many hashes takes ten seconds
    words += ["--no-validate", "-o", str(tmp_path / "sbom.json")]
    command = [f"{sys.prefix}/tools/bin/python", "-m", "cyclonedx_py", *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    bill = json.loads((tmp_path / "sbom.json").read_text())
    named = {part["name"]: Version(part["version"]) for part in bill["components"]}
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", OURS)
    assert named == locked("requirements.lock")
