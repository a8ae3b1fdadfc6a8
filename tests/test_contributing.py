"""The worked examples of CONTRIBUTING.md, carried out in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fedvox

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"<!-- (file|lines): (\S+) -->\n```python\n(.*?)```", re.DOTALL)
IMPORT = re.compile(r"^from fedvox", re.MULTILINE)
EXAMPLES = ("gamma", "basic_unet", "paired", "damped", "volume", "workflow_contributions")


def carry_out(guide: str, checkout: Path) -> list[Path]:
    """Does what the guide says in a checkout and returns the test files that it wrote."""
    tests = []
    for kind, name, code in BLOCK.findall(guide):
        path = checkout / name
        if kind == "file":
            assert not path.exists(), f"{name} exists already; choose another example"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
            tests += [path] if name.startswith("tests/") else []
        else:
            path.write_text(with_lines(path.read_text(), code))
    return tests


def with_lines(source: str, lines: str) -> str:
    """Adds imports before the first import of the package, other lines at the end."""
    new = lines.splitlines(keepends=True)
    imports = "".join(line for line in new if line.startswith(("from ", "import ")))
    others = "".join(line for line in new if not line.startswith(("from ", "import ")))
    place = IMPORT.search(source)
    assert place is not None
    return source[: place.start()] + imports + source[place.start() :] + others


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(
        Path(fedvox.__file__).parent,
        folder / "app/custom/fedvox",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def written(checkout: Path) -> list[Path]:
    return carry_out(GUIDE.read_text(), checkout)


def test_every_example_has_its_file_its_registry_line_and_its_test() -> None:
    blocks = [(kind, name) for kind, name, _ in BLOCK.findall(GUIDE.read_text())]
    for example in EXAMPLES:
        sources = [n for k, n in blocks if k == "file" and n.endswith(f"/{example}.py")]
        tests = [n for k, n in blocks if k == "file" and n.endswith(f"/test_{example}.py")]
        assert len(sources) == len(tests) == 1
    assert [kind for kind, _ in blocks].count("lines") == len(EXAMPLES)


@pytest.mark.system
def test_the_examples_pass_their_own_tests(checkout: Path, written: list[Path]) -> None:
    (checkout / "conftest.py").write_text(
        "import fedvox, torch\n"
        "from pathlib import Path\n"
        "torch.set_num_threads(1)\n"
        "assert Path(__file__).parent in Path(fedvox.__file__).parents\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(checkout / "app/custom")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov"]
    run = subprocess.run(
        [*command, *map(str, written)],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert len(written) == len(EXAMPLES)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]


def test_the_examples_are_clean_under_ruff(checkout: Path, written: list[Path]) -> None:
    names = [name for kind, name, _ in BLOCK.findall(GUIDE.read_text()) if kind == "file"]
    for action in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *action, "--no-cache", *names],
            cwd=checkout,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout + run.stderr
