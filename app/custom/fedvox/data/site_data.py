"""A site's usable cases: read, checked, split and prepared."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedvox.data.case import Case
from fedvox.data.prepared import PreparedCase, prepare_case
from fedvox.data.readers import READERS
from fedvox.data.settings import DataSettings
from fedvox.data.site import SiteSettings
from fedvox.data.splits import SPLITS, split_cases
from fedvox.errors import DataError


@dataclass(frozen=True)
class SiteData:
    """The cases of one site, ready to use.

    Attributes:
        name: the site's name in the federation.
        train, val, test: prepared cases.
        share: ``cases`` or ``summary``, as the site file says.
        phantom: True when the data are phantoms.
        skipped: fingerprint -> reason of each case that could not be used.
        source: fingerprint of machine, folder and split, to notice one folder read by two sites.
    """

    name: str
    train: Sequence[PreparedCase]
    val: Sequence[PreparedCase]
    test: Sequence[PreparedCase]
    share: str = "cases"
    phantom: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def cases(self) -> list[PreparedCase]:
        """All usable cases."""
        return [*self.train, *self.val, *self.test]

    @property
    def annotated(self) -> frozenset[str]:
        """Organs of the job that at least one training case annotates."""
        return frozenset(organ for case in self.train for organ in case.annotated)

    @property
    def modalities(self) -> list[str]:
        """Modality sets among the cases, sorted."""
        return sorted({case.modality for case in self.cases})


def open_site(
    name: str, site: SiteSettings, settings: DataSettings, state: Path, progress: bool = False
) -> SiteData:
    """Opens a site's data set and prepares every case.

    Args:
        name: the site's name.
        site: the site file.
        settings: the job's data settings.
        state: the site's state folder; prepared cases lie under ``site.cache`` if set, else here.
        progress: shows a progress bar on a terminal.

    Raises:
        DataError: too many unusable cases, no training case, or no organ of the job annotated.
    """
    from tqdm import tqdm

    split = split_cases(READERS[site.dataset](Path(site.root), site.modalities), site.split)
    folder = Path(site.cache) / "prepared" if site.cache else state / "prepared"
    key = _site_key(folder.parent, site)
    prepared: dict[str, list[PreparedCase]] = {part: [] for part in SPLITS}
    skipped: dict[str, str] = {}
    listed = [(part, case) for part in SPLITS for case in split[part]]
    bar = tqdm(listed, desc=f"{name}: preparing cases", disable=None if progress else True)
    for part, case in bar:
        try:
            prepared[part].append(prepare_case(case, settings, folder, key))
        except DataError as error:
            skipped[_fingerprint(case, key)] = str(error)
    _refuse_unusable(name, site, prepared, skipped, settings)
    return SiteData(
        name=name,
        train=prepared["train"],
        val=prepared["val"],
        test=prepared["test"],
        share=site.share,
        phantom=site.dataset == "phantom",
        skipped=skipped,
        source=_source(site),
    )


def _refuse_unusable(
    name: str,
    site: SiteSettings,
    prepared: dict[str, list[PreparedCase]],
    skipped: dict[str, str],
    settings: DataSettings,
) -> None:
    total = len(skipped) + sum(map(len, prepared.values()))
    if skipped and len(skipped) > site.max_bad_fraction * total:
        first = next(iter(skipped.items()))
        raise DataError(
            f"{name}: {len(skipped)} of {total} cases are unusable, more than max_bad_fraction "
            f"{site.max_bad_fraction:g} allows; the first is case {first[0]}: {first[1]}"
        )
    if not prepared["train"]:
        raise DataError(
            f"{name}: no training case among {total}; check 'root' and 'split' in the site file"
        )
    annotated = {organ for case in prepared["train"] for organ in case.annotated}
    if not annotated:
        raise DataError(
            f"{name}: no training case annotates any of the job's organs "
            f"({', '.join(settings.organs)}); check the label table or take the site out"
        )


def _site_key(folder: Path, site: SiteSettings) -> bytes:
    """The site's secret, made on first use; for phantoms a fixed one, as nobody needs hiding."""
    if site.dataset == "phantom":
        return b"phantom"
    path = folder / "site_key"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _fingerprint(case: Case, key: bytes) -> str:
    return hmac.new(key, case.id.encode(), hashlib.sha256).hexdigest()[:8]


def _source(site: SiteSettings) -> str:
    import platform

    place = f"{platform.node()}|{Path(site.root).resolve()}|{site.split}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]
