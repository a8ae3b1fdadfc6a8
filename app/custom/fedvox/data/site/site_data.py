"""A site's usable cases: read, checked, split and prepared."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.cases.channels import in_job_order, refuse_several, unfit_modalities
from fedvox.data.cases.prepare_all import count_workers, prepare_cases
from fedvox.data.cases.prepared import PreparedCase, prepared_path
from fedvox.data.cases.splits import SPLITS, only_tests, split_cases
from fedvox.data.readers import READERS
from fedvox.data.settings import DataSettings
from fedvox.data.site.fatal import NONE, REASON, Fatal
from fedvox.data.site.quarantine import quarantined
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.site_key import (
    KEY,
    PHANTOM_KEY,
    CacheError,
    cache_errors,
    fingerprint,
    site_key,
)
from fedvox.data.site.source import source_of
from fedvox.data.site.twins import Owners, refuse_twin
from fedvox.errors import ConfigError, DataError
from fedvox.files import private_folder, remove_unfinished

PREPARED = "prepared"
PURPOSES = {"train": "training", "val": "validation", "test": "test"}
"""What the cases of each part are called."""
ONLY_TESTS = '; a site that only tests says so with "split": "test"'
"""How a site says that it does not mean to train."""


@dataclass(frozen=True)
class SiteData:
    """The cases of one site, ready to use.

    Attributes:
        name: the site's name in the federation.
        train, val, test: prepared cases.
        share: ``cases`` or ``summary``, as the site file says.
        phantom: True when the data are phantoms.
        external: True when the site only tests: it trains nothing, and no model is chosen by it.
        skipped: fingerprint -> reason of each case that could not be used or is in quarantine.
        source: fingerprint of machine, folder and cases, to notice that two sites read the same;
            see :mod:`fedvox.data.site.source`.
        attachments: what its updates may carry beside the weights, as the site file says.
    """

    name: str
    train: Sequence[PreparedCase]
    val: Sequence[PreparedCase]
    test: Sequence[PreparedCase]
    share: str = "cases"
    phantom: bool = False
    external: bool = False
    skipped: dict[str, str] = field(default_factory=dict)
    source: str = ""
    attachments: tuple[str, ...] = ()

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
    name: str,
    site: SiteSettings,
    settings: DataSettings,
    state: Path,
    progress: bool = False,
    needs: str = "",
    fatal: Fatal = NONE,
) -> SiteData:
    """Opens a site's data set and prepares every case that is not in quarantine.

    The site left out what is in quarantine knowingly: it is reported among the skipped cases, but
    does not count against ``max_bad_fraction``.

    Args:
        name: the site's name.
        site: the site file.
        settings: the job's data settings.
        state: the site's state folder; prepared cases lie under ``site.cache`` if set, else here.
        progress: shows a progress bar on a terminal.
        needs: the part that must have a case; without it ``train``, of a site that only tests
            ``test``.
        fatal: cases that ended earlier processes; they are left out, and count as unusable.

    Raises:
        ConfigError: the site's modalities do not fit the job.
        DataError: too many unusable cases, none of the part that is needed, no organ of the job
            annotated there, or a cache folder that cannot be written.
    """
    from tqdm import tqdm

    cases = job_cases(site, settings)
    needs = needs or ("test" if only_tests(site.split) else "train")
    split = split_cases(cases, site.split)
    folder = _open_cache(Path(site.cache) if site.cache else state)
    key = site_key(folder.parent, site)
    everything = [(part, case) for part in SPLITS for case in split[part]]
    left_out = quarantined(site, [case for _, case in everything])
    ended = _ended([c for _, c in everything if c.id not in left_out], settings, folder, key, fatal)
    listed = [(part, case) for part, case in everything if case.id not in {*left_out, *ended}]
    bar = tqdm(listed, desc=f"{name}: preparing cases", disable=None if progress else True)
    workers = count_workers(1 if fatal.one_by_one else site.workers)
    futures = prepare_cases([case for _, case in listed], settings, folder, key, workers)
    prepared, skipped = _collect(zip(bar, futures, strict=True), key)
    skipped |= {fingerprint(case, key): REASON for case in ended.values()}
    _refuse_unusable(name, site, prepared, skipped, settings, len(left_out), needs)
    apart = [case for _, case in everything if case.id in left_out]
    skipped |= {fingerprint(case, key): f"in quarantine: {left_out[case.id]}" for case in apart}
    return SiteData(
        name=name,
        train=prepared["train"],
        val=prepared["val"],
        test=prepared["test"],
        share=site.share,
        phantom=site.dataset == "phantom" or (Path(site.root) / "phantom.json").is_file(),
        external=only_tests(site.split),
        skipped=skipped,
        source=source_of(site, cases, split),
        attachments=site.attachments,
    )


def _ended(
    cases: Sequence[Case], settings: DataSettings, folder: Path, key: bytes, fatal: Fatal
) -> dict[str, Case]:
    """Those of the cases that ended earlier processes, by identifier."""
    found = {}
    for case in cases if fatal.names else ():
        with suppress(DataError):  # its files are not there, as its opening tells
            if prepared_path(case, settings, folder, key).stem in fatal.names:
                found[case.id] = case
    return found


def _open_cache(place: Path) -> Path:
    """The folder of prepared cases, made if need be and tidied up."""
    folder = place / PREPARED
    with cache_errors():
        private_folder(folder)
        remove_unfinished(folder)
    return folder


def _collect(
    work: Iterable[tuple[tuple[str, Case], "Future[PreparedCase]"]], key: bytes
) -> tuple[dict[str, list[PreparedCase]], dict[str, str]]:
    """Waits for the cases and sorts them into parts; what cannot be used gets its reason."""
    prepared: dict[str, list[PreparedCase]] = {part: [] for part in SPLITS}
    skipped: dict[str, str] = {}
    owners: Owners = {}
    for (part, case), future in work:
        try:
            with cache_errors():
                ready = future.result()
            refuse_twin(ready, owners, case.id, part)
            prepared[part].append(ready)
        except CacheError:
            raise
        except DataError as error:
            skipped[fingerprint(case, key)] = str(error)
    return prepared, skipped


def count_prepared(site: SiteSettings, settings: DataSettings, cases: Sequence[Case]) -> int:
    """How many cases lie prepared in the site's cache; writes nothing, makes no key.

    Args:
        site: the site file.
        settings: the job's data settings.
        cases: from the site's reader.

    Raises:
        OSError: the cache or its key cannot be read.
    """
    cache = Path(site.cache)
    if not site.cache or not (site.dataset == "phantom" or (cache / KEY).is_file()):
        return 0
    key = PHANTOM_KEY if site.dataset == "phantom" else (cache / KEY).read_bytes()

    def is_there(case: Case) -> bool:
        try:
            return prepared_path(case, settings, cache / PREPARED, key).is_file()
        except DataError:  # no such image: it will not be prepared either, and opening reports it
            return False

    return sum(map(is_there, cases))


def job_cases(site: SiteSettings, settings: DataSettings) -> list[Case]:
    """The reader's cases with the images that the job takes, in the order of its channels.

    Raises:
        ConfigError: the site lacks a channel of the job, or the job takes one image per case and
            there are several.
        DataError: the folder cannot be read or is not in the reader's layout.
    """
    if settings.channels and (unfit := unfit_modalities(site.modalities, settings)):
        raise ConfigError("; ".join(unfit))
    cases = [in_job_order(case, settings.channels) for case in listed_cases(site)]
    if not settings.channels:
        refuse_several(cases)
    return cases


def listed_cases(site: SiteSettings) -> list[Case]:
    """The reader's cases; a listing that breaks the reader is bad data, not a bug of ours.

    Raises:
        DataError: the folder cannot be read or is not in the reader's layout.
    """
    try:
        return READERS[site.dataset](Path(site.root), site.modalities)
    except OSError as error:
        raise DataError(
            f"the data folder cannot be read ({error.strerror}); mend 'root' in the site file"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"the data set's listing is not in the '{site.dataset}' layout "
            f"({type(error).__name__}); compare it with docs/data.md"
        ) from None


def _refuse_unusable(
    name: str,
    site: SiteSettings,
    prepared: dict[str, list[PreparedCase]],
    skipped: dict[str, str],
    settings: DataSettings,
    left_out: int,
    needs: str,
) -> None:
    total = len(skipped) + sum(map(len, prepared.values()))
    if skipped and len(skipped) > site.max_bad_fraction * total:
        first = next(iter(skipped.items()))
        raise DataError(
            f"{name}: {len(skipped)} of {total} cases are unusable, more than max_bad_fraction "
            f"{site.max_bad_fraction:g} allows; the first is case {first[0]}: {first[1]}"
        )
    if not prepared[needs]:
        reason = next(iter(skipped.values()), "")
        tests = needs == "train" and prepared["test"]
        raise DataError(
            f"{name}: no {PURPOSES[needs]} case among {total}; check 'root' and 'split' in the "
            "site file"
            + (ONLY_TESTS if tests else "")
            + (f"; {len(skipped)} are unusable, the first since {reason}" if reason else "")
            + (f"; {left_out} more are in quarantine" if left_out else "")
        )
    annotated = {organ for case in prepared[needs] for organ in case.annotated}
    if not annotated:
        raise DataError(
            f"{name}: no {PURPOSES[needs]} case annotates any of the job's organs "
            f"({', '.join(settings.organs)}); check the label table or take the site out"
        )
