"""Python runs this file at its start when this folder is on PYTHONPATH: it makes one call crash.

Which call, and how, stands in the JSON file that ``FEDVOX_CRASH`` names. Only processes that work
in the folder named there crash. For drills; nothing of the package knows it.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

ERRORS: dict[str, Callable[[str], BaseException]] = {
    "OSError": lambda text: OSError(5, "Input/output error", text),
    "ValueError": lambda text: ValueError(f"cannot use {text}"),
    "KeyError": KeyError,
    "RuntimeError": lambda text: RuntimeError(f"first line\n{text}\nlast line of {text}"),
}


def crash(kind: str, text: str) -> None:
    """Raises one of :data:`ERRORS`, or ends the process as the kernel does when memory is short."""
    if kind == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ERRORS[kind](text)


class CrashingFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module as usual and puts a crashing function into it.

    Args:
        plan: ``module``, ``function`` and ``error``. With ``mark``, a file: one call crashes,
            once, the ``call``-th (from 1), with ``text``. Without: each call, or with ``argument``
            each whose first argument shows that text.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.loader: Any = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec with this object as loader."""
        if name != self.plan["module"]:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None:
            return None
        self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module, then replaces the function."""
        self.loader.exec_module(module)
        real, calls = getattr(module, self.plan["function"]), [0]

        def crashing(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if "mark" not in self.plan:
                if self.plan.get("argument", "") in repr(args[:1]):
                    crash(self.plan["error"], "always")
            elif calls[0] == self.plan["call"] and not Path(self.plan["mark"]).exists():
                Path(self.plan["mark"]).touch()  # what was killed is started again, and goes on
                crash(self.plan["error"], self.plan["text"])
            return real(*args, **kwargs)

        setattr(module, self.plan["function"], crashing)


def install() -> None:
    """Reads the plan, if this process is one of those that shall crash."""
    path = Path(os.environ.get("FEDVOX_CRASH", "no plan"))
    if not path.is_file():
        return
    plan = json.loads(path.read_text(encoding="utf-8"))
    if Path.cwd().is_relative_to(plan["folder"]):
        sys.meta_path.insert(0, CrashingFinder(plan))


install()
