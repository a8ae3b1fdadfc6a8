"""No code reads data in a form that can run code, read from the source with ``ast``.

Refused are modules that unpickle, loaders that do so unless told otherwise, YAML with Python
objects, ``eval`` and ``exec``; in strings too where MONAI would evaluate them (``"$..."``). Names
are followed through imports; what hides a name, such as ``getattr``, is left to reviewers.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "jobs", "provisioning", "poc", "benchmarks")
MODULES = ("pickle", "cPickle", "_pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal")
MODULES += ("monai.bundle",)
"""The last one evaluates the expressions of any configuration that it reads."""
CALLS = {"eval", "exec", "builtins.eval", "builtins.exec", "pandas.read_pickle"}
CALLS |= {f"yaml.{name}{end}" for name in ("full_load", "unsafe_load") for end in ("", "_all")}
SAFE = {f"yaml.{c}{name}" for c in ("", "C") for name in ("SafeLoader", "BaseLoader")}
IMPORTERS = {"__import__", "importlib.import_module"}


def refused(tree: ast.AST, names: Mapping[str, str] | None = None) -> list[str]:
    """Where a module does what nobody may, as ``line: what``.

    Args:
        tree: of the module.
        names: what names stand for beside those that the module imports.
    """
    known = {**(names or {}), **dict(_imported(tree))}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            words = [name for name in _modules(node) if _forbidden(name)]
        elif isinstance(node, ast.Call):
            name = _dotted(node.func, known)
            words = [name] if _refuses(name, node, known) else []
        elif isinstance(node, ast.Constant) and str(node.value).startswith("$"):
            words = _evaluated(str(node.value))
        else:
            continue
        found += [f"{node.lineno}: {word}" for word in words]
    return found


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Name in the module -> what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Full names of what a line imports."""
    before = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return [before + alias.name for alias in node.names]


def _forbidden(name: str) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in MODULES)


def _refuses(name: str, node: ast.Call, known: Mapping[str, str]) -> bool:
    """Whether a call of a function, named in full, may run what it reads."""
    given: dict[str | None, ast.expr] = {word.arg: word.value for word in node.keywords}
    if name == "torch.load":
        return not _is(given.get("weights_only"), True)
    if name == "numpy.load":
        place = node.args[2] if len(node.args) > 2 else given.get("allow_pickle")
        return place is not None and not _is(place, False)
    if name in ("yaml.load", "yaml.load_all"):
        loader = node.args[1] if len(node.args) > 1 else given.get("Loader")
        return loader is None or _dotted(loader, known) not in SAFE
    if name in IMPORTERS:
        return any(isinstance(a, ast.Constant) and _forbidden(str(a.value)) for a in node.args)
    return name in CALLS


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _dotted(node: ast.expr, known: Mapping[str, str]) -> str:
    """``numpy.load`` for ``np.load``; empty for what is no plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([known.get(node.id, node.id), *reversed(parts)])


def _evaluated(text: str) -> list[str]:
    """What is refused in a MONAI expression, whose ``@`` begins a reference."""
    try:
        tree = ast.parse(re.sub(r"@[\w:]+", "_", text[1:]))
    except SyntaxError:
        return []  # no expression: such as a shell's variable
    names = {"np": "numpy", "numpy": "numpy", "torch": "torch"}
    return [word.partition(": ")[2] for word in refused(tree, names)]


def test_no_code_reads_what_can_run_code():
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(paths) > 300
    found = {str(path.relative_to(ROOT)): refused(ast.parse(path.read_text())) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import dill as d",
        "from pickle import loads",
        "from cloudpickle import load as read",
        "import joblib.numpy_pickle",
        "from monai.bundle import ConfigParser",
        "from monai import bundle",
        "__import__('marshal')",
        "import importlib\nimportlib.import_module('shelve')",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', weights_only=safe)",
        "import torch as t\nt.load('x')",
        "from torch import load\nload('x')",
        "def f():\n    import torch\n    return [torch.load(p) for p in q]",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy\nnumpy.load('x', None, True)",
        "from numpy import load as read\nread('x', allow_pickle=flag)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.load_all(text, Loader=yaml.UnsafeLoader)",
        "import yaml\nyaml.full_load(text)",
        "from yaml import unsafe_load as read\nread(text)",
        "import pandas as pd\npd.read_pickle('x')",
        "eval(text)",
        "exec(compile(text, 'x', 'exec'))",
        "import builtins\nbuiltins.exec(text)",
        "{'weights': '$torch.load(@root + \"/model.pt\", map_location=@device)'}",
        "'$import pickle'",
        "'$eval(@text)'",
    ],
)
def test_code_that_can_run_what_it_reads_is_found(code):
    assert len(refused(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.load('x', weights_only=True)",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import yaml\nyaml.safe_load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "from yaml import CSafeLoader, load\nload(text, CSafeLoader)",
        "import ast\nast.literal_eval(text)",
        "import json\njson.load(file)",
        "model.eval()",
        "unpickled = 'pickle'",
        "import pickled",
        "'$torch.load(@root, weights_only=True)'",
        "'$HOME/pickle'",
    ],
)
def test_code_that_only_reads_data_is_left_alone(code):
    assert refused(ast.parse(code)) == []
