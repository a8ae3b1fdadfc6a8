"""Puts jobs, policies, runtimes and the project file into the wheel; see fedvox.resources."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
RESOURCES = (
    "jobs",
    "provisioning/project.yml",
    "provisioning/policies",
    "provisioning/runtimes",
)


def files() -> list[Path]:
    """The resources' files, relative to the checkout; without what FLARE or Python leaves there."""
    found = []
    for name in RESOURCES:
        place = ROOT / name
        if not place.exists():
            raise SystemExit(f"{name} is missing; build fedvox in a whole checkout")
        paths = sorted(place.rglob("*")) if place.is_dir() else [place]
        found += [path.relative_to(ROOT) for path in paths if path.is_file()]
    return [path for path in found if not any(p[0] in "._" for p in path.parts)]


class WithResources(build_py):
    """Copies the resources into ``fedvox/builtin`` of what is built; an editable install has them
    in the checkout."""

    def run(self) -> None:
        """Builds the package, then copies."""
        super().run()
        if not self.editable_mode:
            for path, built in zip(files(), self._built()):
                Path(built).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, built)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What the wheel holds."""
        return [*super().get_outputs(include_bytecode), *self._built()]

    def get_source_files(self) -> list[str]:
        """What a source archive holds."""
        return [*super().get_source_files(), *map(str, files())]

    def _built(self) -> list[str]:
        return [str(Path(self.build_lib) / "fedvox/builtin" / path) for path in files()]


setup(cmdclass={"build_py": WithResources})
