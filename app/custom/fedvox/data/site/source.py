"""Whether two sites read the same cases."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.site.site_file import SiteSettings


def source_of(
    site: SiteSettings, listed: Sequence[Case], split: Mapping[str, Sequence[Case]]
) -> str:
    """Fingerprint of machine, folder and cases, to notice that two sites read the same.

    Two sites may share a folder and no case: as AMOS' CT and MRI do, then they differ; or by split
    files, then they differ behind the ``-``. How a site divides its cases does not count.

    Args:
        site: the site file.
        listed: from :func:`job_cases`.
        split: those of them that the site uses, by part.

    Returns:
        ``<folder>`` where the site uses all that is listed, else ``<folder>-<part of it>``.
    """
    import platform

    place = f"{platform.node()}|{Path(site.root).resolve()}"
    whole = {case.id for case in listed}
    used = {case.id for part in split.values() for case in part}
    folder = _hashed(place, whole)
    return folder if used == whole else f"{folder}-{_hashed(place, used)}"


def _hashed(place: str, ids: set[str]) -> str:
    text = "|".join((place, *sorted(ids)))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
