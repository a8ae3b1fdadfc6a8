"""What in a kit was not provisioned: code in its folder or in ``local/``, changed policies."""

from collections.abc import Iterator
from pathlib import Path

from fedvox.data.site.site_file import SITE_FILE
from fedvox.doctor.kit import Kit
from fedvox.exposure import exposed
from fedvox.finding import FAIL, WARN, Finding, passed
from fedvox.flare.kit_guard import SIGNATURE, provisioned_local
from fedvox.flare.kits.prepared import MARKER, read_marker
from fedvox.manifest import MANIFEST, compare, digests

CODE = (".py", ".pyc", ".so", ".pyd")
"""Endings of files that Python imports; a file may have more before, as in ``.abi3.so``."""
JOB_CONFIG = ("job_resources.json", "*__resources.json", "*__[jp]_resources.json")
"""Files of ``local/`` from which FLARE builds components too; no kit has any."""
RUNTIME = {f"local/{SITE_FILE}", "local/study_registry.json"}
"""Written by the hospital and by FLARE."""
PREPARED = {MARKER, f"local/{MANIFEST}", f"local/{SIGNATURE}", "local/study_runtime.yaml"}
PREPARED |= {"local/resources.json", "local/resources.json.default"}
"""Written by ``fedvox kit prepare``."""


def check_local(kit: Kit) -> Finding:
    """Is there code that FLARE would import, and is ``local/`` as provisioned?

    FLARE's processes work in the kit's folder or in the one in ``NVFL_WORKSPACE``, so Python finds
    modules there before all others; FLARE adds ``local/custom`` itself.
    """
    folders = [folder for folder in {kit.folder, kit.workspace} if folder.is_dir()]
    foreign = sorted({name for folder in folders for name in _importable(folder)})
    foreign += sorted(_code_in_local(kit.folder))
    if foreign:
        return Finding(
            "local",
            FAIL,
            f"FLARE would run code that was not provisioned: {', '.join(foreign)}",
            "remove it, and find out who put it there; code reaches a site in jobs only",
        )
    prepared = read_marker(kit.folder)
    own = RUNTIME | PREPARED if prepared else RUNTIME
    wanted = provisioned_local(kit.folder, prepared)
    if not wanted:
        return Finding(
            "local",
            WARN,
            f"{MANIFEST} does not list local/, so nobody can tell whether it was changed",
            "ask the operator for a kit of this version",
        )
    present = digests(kit.folder, ("local",), caches=True)
    if prepared:
        present = prepared.visible(present)
    changed = [line for line in compare(wanted, present) if line.rpartition(": ")[0] not in own]
    if changed:
        return Finding(
            "local",
            WARN,
            f"not as provisioned: {'; '.join(changed)}",
            "right if your hospital changed it; else unpack the kit afresh",
        )
    return passed("local", "policies are as provisioned, no code lies beside them")


def _importable(folder: Path) -> Iterator[str]:
    """Modules and packages that Python would find in this folder."""
    for path in folder.iterdir():
        if path.name in ("startup", "local"):
            continue
        if path.is_file() and path.suffix in CODE:
            yield path.name
        elif path.is_dir() and path.name.isidentifier():
            # A folder below without code of its own shadows no installed package.
            yield from (f"{path.name}/{f.name}" for f in path.iterdir() if f.suffix in CODE)


def _code_in_local(folder: Path) -> Iterator[str]:
    local = folder / "local"
    for path in local.rglob("*"):
        # Python follows links to folders, rglob does not; ..data is Kubernetes' own.
        linked = path.is_symlink() and path.is_dir() and not path.name.startswith("..")
        if linked or (path.is_file() and path.suffix in CODE):
            yield path.relative_to(folder).as_posix()
    for pattern in JOB_CONFIG:
        yield from (path.relative_to(folder).as_posix() for path in local.glob(pattern))


def check_place(cache: Path) -> Finding:
    """Does the folder of prepared cases and of the site's key stay at the site?"""
    reason = exposed(cache)
    if reason:
        return Finding(
            "privacy",
            WARN,
            f"prepared cases and the site's key would not stay: {reason}",
            "name a folder of their own as 'cache' in the site file, outside kit and repository",
        )
    return passed("privacy", "no kit and no commit takes prepared cases and the site's key along")
