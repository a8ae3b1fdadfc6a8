"""Why the server refuses a site before round 0, or later in a run.

A site that cannot take part stops the job here, in seconds, and not after hours of training.
"""

from collections.abc import Mapping

from fedvox.admission.registration import MAX_CASES, Registration, re_registered


def refusals(
    registrations: Mapping[str, Registration],
    version: str,
    label_map: str,
    organs: tuple[str, ...],
    modalities: tuple[str, ...],
    most: int = MAX_CASES,
) -> list[str]:
    """Reasons not to start, each one line that names the site and the remedy.

    Args:
        registrations: site -> registration.
        version: the server's ``fedvox`` version.
        label_map: hash of the server's organ list.
        organs: the job's organs; empty as long as further sites may come.
        modalities: modality sets that a case of the job can be of.
        most: cases that one site may register, as the job says.
    """
    found = []
    for site, registration in sorted(registrations.items()):
        found += site_refusals(site, registration, version, label_map, modalities, most)
    if not found:
        found += shared_sources(registrations)
    if not found and organs:
        found += _untrained(registrations)
        found += _unannotated(registrations, organs)
    return found


def site_refusals(
    site: str,
    own: Registration,
    version: str,
    label_map: str,
    modalities: tuple[str, ...],
    most: int = MAX_CASES,
) -> list[str]:
    """Why one site cannot take part, whatever the others are; empty when it can."""
    if own.version != version:
        return [f"{site} runs fedvox {own.version}, the server {version}; install the same version"]
    if own.error:
        return [own.error if own.error.startswith(site) else f"{site}: {own.error}"]
    if own.label_map != label_map:
        return [f"{site} has another label map; submit the job again to all sites"]
    if unusable := _unusable(site, own):
        return [unusable]
    largest = max((own.cases, *own.validation.values(), *own.test.values()))
    if largest > most:
        return [
            f"{site} registers {largest} cases, at most {most} may count ('training.most_cases'); "
            "check its site file or leave the site out"
        ]
    return _foreign(site, own, modalities)


def _unusable(site: str, own: Registration) -> str:
    """Why a site has nothing to do in the job; a site that only tests says so itself."""
    if not own.external:
        return "" if own.cases > 0 else f"{site}: no usable training case; check its site file"
    if own.cases or any(own.validation.values()):
        return (
            f"{site} says that it only tests and registers cases to train or to choose with; "
            "update its fedvox or leave the site out"
        )
    if not any(own.test.values()):
        return f"{site} only tests and has no usable test case; check its site file"
    return ""


def _foreign(site: str, own: Registration, modalities: tuple[str, ...]) -> list[str]:
    """Modality sets that no case of the job, or of the site, can have: each would choose models."""
    known = {part for name in modalities for part in name.split("+")}
    foreign = {part for name in own.modalities for part in name.split("+")} - known
    if foreign:
        return [
            f"{site} holds {', '.join(sorted(foreign))}, the job uses {', '.join(modalities)}; "
            "change 'data.modalities' or leave the site out"
        ]
    others = sorted(set(own.modalities) - set(modalities))
    if others:
        return [
            f"{site} holds cases of {', '.join(others)}, each case of the job is of "
            f"{' or '.join(modalities)}; mend 'modalities' in its site file or leave the site out"
        ]
    invented = sorted({*own.training, *own.validation, *own.test} - set(own.modalities))
    if invented:
        return [
            f"{site} registers cases of {', '.join(invented)}, which is not among its modalities; "
            "update its fedvox or leave the site out"
        ]
    return []


def shared_sources(registrations: Mapping[str, Registration]) -> list[str]:
    """Two sites that read the same cases count twice, or test on what another trains on.

    Sites may read parts of one folder; a site that reads all of it shares cases with each of them.

    Args:
        registrations: by site; see :func:`fedvox.data.site.source.source_of`.

    Returns:
        One message, of the first two such sites; empty when there are none.
    """
    readers: dict[str, dict[str, str]] = {}
    for site, own in sorted(registrations.items()):
        if not own.source:
            continue
        folder, _, part = own.source.partition("-")
        parts = readers.setdefault(folder, {})
        shared = [other for known, other in parts.items() if part in ("", known) or not known]
        if shared:
            return [
                f"{shared[0]} and {site} read the same data folder; give each its own, for example "
                "with FEDVOX_SITE=/path/{site}.json, or split files without a common case"
            ]
        parts[part] = site
    return []


def _untrained(registrations: Mapping[str, Registration]) -> list[str]:
    if not registrations or not all(own.external for own in registrations.values()):
        return []
    return [
        f"no site trains: {', '.join(sorted(registrations))} only test (their 'split' says so); "
        "add a site that trains, or score a model that is there with fedvox evaluate"
    ]


def _unannotated(registrations: Mapping[str, Registration], organs: tuple[str, ...]) -> list[str]:
    annotated = {organ for own in registrations.values() for organ in own.annotated}
    missing = [organ for organ in organs if organ not in annotated]
    if not missing:
        return []
    return [
        f"no site annotates {', '.join(missing)}; take it out of 'data.organs' or add a site "
        "that does"
    ]


def nothing_counts(site: str, first: Registration, latest: Registration) -> list[str]:
    """Why a site that registered again cannot train on: none of its cases counts; else empty."""
    now = re_registered(first, latest)
    if now.external or now.cases:
        return []
    return [
        f"{site} trains {', '.join(latest.trained)} now, it was admitted with "
        f"{', '.join(first.trained)} and no other case of it counts; give it its former cases"
    ]
