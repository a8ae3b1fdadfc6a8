"""The order of the rooms, read from the source with ``ast``; nothing is imported.

commands -> doctor -> flare -> report -> planning -> training -> inference -> job -> the lower rooms
-> the foundation. Lower rooms may import one another as long as no room reaches itself again.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fedvox

PACKAGE = Path(fedvox.__file__).parent
FOUNDATION = {"__init__", "errors", "config", "registry", "seeding", "files", "manifest", "memory"}
FOUNDATION |= {"cells", "exposure", "finding", "identity", "resources", "suggest", "tensors"}
LOWER = (
    "data",
    "phantoms",
    "augment",
    "networks",
    "losses",
    "metrics",
    "admission",
    "aggregation",
    "compression",
    "privacy",
    "encryption",
)
RISING = ("job", "inference", "training", "planning", "report", "flare", "doctor", "commands")
REPORT = ("records", "figures", "pages")
"""Folders of report/, each of which may use those before it; the files beside them use all."""
LEVEL = {"foundation": 0, **dict.fromkeys(LOWER, 1)}
LEVEL |= {room: level for level, room in enumerate((*RISING, "__main__"), start=2)}


def violations(package: Path) -> list[str]:
    """One line for each import that breaks a rule of the house."""
    found, edges, files = [], {}, {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        room = _room(parts)
        if room not in LEVEL:
            found.append(f"{'/'.join(parts)}: '{room}' has no place in the order of the rooms")
            continue
        for target in _imports(path, parts):
            if target[0] == "nvflare" and room != "flare":
                found.append(f"{'/'.join(parts)}: nvflare belongs in flare/")
            if target[0] != "fedvox":
                continue
            own, used = (_file(package, module) for module in (("fedvox", *parts), target))
            files.setdefault(own, set()).update({used} - {own})
            other = _room(target[1:] or ("__init__",))
            if LEVEL.get(other, 99) > LEVEL[room]:
                found.append(f"{'/'.join(parts)}: {room} imports {other}, which lies above it")
            elif other != room:
                edges.setdefault(room, set()).add(other)
    found += [f"rooms import in a circle: {' -> '.join(c)}" for c in _circles(edges)]
    return found + [f"files import in a circle: {' -> '.join(c)}" for c in _circles(files)]


def _file(package: Path, module: tuple[str, ...]) -> str:
    """The file of a module, e.g. ``data/cases/case.py``."""
    place = package.joinpath(*module[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return file.relative_to(package).as_posix()


def _room(parts: tuple[str, ...]) -> str:
    return "foundation" if parts[0] in FOUNDATION else parts[0]


def _imports(path: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every imported module as a tuple of names, relative ones made absolute."""
    package = ("fedvox", *parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = (*package[: len(package) - node.level + 1], *base)
            if base != ("fedvox",):
                yield base
                continue
            for alias in node.names:  # from fedvox import data
                is_module = alias.name in LEVEL or alias.name in FOUNDATION
                yield ("fedvox", alias.name) if is_module else ("fedvox",)


def _circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """A path back to itself for each room that has one."""
    circles = []
    for start in sorted(edges):
        paths, seen = [[start]], set()
        while paths:
            path = paths.pop(0)
            for step in sorted(edges.get(path[-1], ())):
                if step == start:
                    circles.append([*path, start])
                    paths = []
                    break
                if step not in seen:
                    seen.add(step)
                    paths.append([*path, step])
    return circles


def test_imports_follow_the_order_of_the_rooms():
    assert violations(PACKAGE) == []


def test_the_walk_sees_the_rooms_and_the_imports_of_this_package():
    path = PACKAGE / "data/cases/prepare.py"
    imported = set(_imports(path, ("data", "cases", "prepare")))
    assert ("fedvox", "data", "images", "nifti") in imported
    rooms = {_room(p.relative_to(PACKAGE).with_suffix("").parts) for p in PACKAGE.rglob("*.py")}
    assert {"foundation", "data", "networks", "training", "flare", "commands"} <= rooms


@pytest.mark.parametrize("part", REPORT)
def test_records_know_no_figure_figures_no_page_and_only_figures_draw(part):
    paths = sorted((PACKAGE / "report" / part).rglob("*.py"))
    assert len(paths) > 1
    for path in paths:
        imported = set(_imports(path, path.relative_to(PACKAGE).with_suffix("").parts))
        used = {name[2] for name in imported if name[:2] == ("fedvox", "report")}
        assert used <= set(REPORT[: REPORT.index(part) + 1]), path
        assert part == "figures" or "matplotlib" not in {name[0] for name in imported}, path


@pytest.fixture
def tree(tmp_path):
    """A well-ordered package to plant violations in."""
    files = {
        "__init__.py": '__version__ = "0"\n',
        "errors.py": "",
        "data/case.py": "from fedvox.errors import X\nfrom fedvox import __version__\n",
        "metrics/case.py": "from fedvox.data.case import Case\nfrom . import table\n",
        "training/step.py": "import torch\nimport fedvox.metrics.case\n",
        "report/page.py": "from fedvox.training.step import step\n",
        "flare/executor.py": "import nvflare\nfrom nvflare.apis import fl\n",
        "commands/main.py": "from fedvox.flare.executor import E\n",
    }
    for name, text in files.items():
        plant(tmp_path, name, text)
    return tmp_path


def plant(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(path.read_text() + text if path.exists() else text)


def test_well_ordered_tree_passes(tree):
    assert violations(tree) == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("training/step.py", "import nvflare.apis\n", "nvflare belongs in flare/"),
        ("commands/main.py", "def f():\n    from nvflare import x\n", "nvflare belongs in flare/"),
        ("errors.py", "from fedvox.data import case\n", "foundation imports data"),
        ("data/case.py", "from fedvox.training.step import s\n", "data imports training"),
        ("data/case.py", "def f():\n    import fedvox.report.page\n", "data imports report"),
        ("metrics/case.py", "from fedvox import flare\n", "metrics imports flare"),
        ("metrics/case.py", "from ..commands import main\n", "metrics imports commands"),
        ("training/step.py", "from fedvox.report.page import p\n", "training imports report"),
        ("report/page.py", "if 0:\n    import fedvox.flare\n", "report imports flare"),
        ("data/case.py", "import fedvox.metrics.case\n", "circle: data -> metrics -> data"),
        ("flare/executor.py", "import fedvox.commands.main\n", "flare imports commands"),
        ("attic/old.py", "", "'attic' has no place"),
    ],
)
def test_planted_violation_is_found(tree, name, text, words):
    plant(tree, name, text)
    assert any(words in line for line in violations(tree))


def test_a_circle_of_files_in_one_room_is_found(tree):
    plant(tree, "data/site.py", "from fedvox.data.case import Case\n")
    plant(tree, "data/case.py", "if TYPE_CHECKING:\n    from fedvox.data.site import Site\n")
    line = "files import in a circle: data/case.py -> data/site.py -> data/case.py"
    assert line in violations(tree)


def test_longer_circle_is_found(tree):
    plant(tree, "augment/gin.py", "import fedvox.metrics.case\n")
    plant(tree, "data/case.py", "import fedvox.augment.gin\n")
    assert "rooms import in a circle: data -> augment -> metrics -> data" in violations(tree)
