"""Which channels of a job the cases of a site lack, where they may: counted and told.

A case that lacks a channel is no fault then, so a folder that was not mounted would pass without a
word: these lines are what makes it noticed.
"""

from collections.abc import Mapping, Sequence

from fedvox.data.cases.case import Case
from fedvox.data.settings import DataSettings


def missing_channels(case: Case, settings: DataSettings | None) -> tuple[str, ...]:
    """Channels that a case lacks and may lack: none where the job needs all of them or has none.

    A case without any image may not; it is refused, and not counted here.

    Args:
        case: from :func:`fedvox.data.cases.channels.in_job_order`.
        settings: the job's data settings, or None without a job.
    """
    if settings is None or not settings.missing_channels or not case.images:
        return ()
    return tuple(name for name in settings.channels if name not in case.images)


def missing_counts(
    missing: Sequence[Sequence[str]], settings: DataSettings | None
) -> dict[str, int]:
    """Channel -> number of cases that lack it, in the job's order, without those of no case.

    Args:
        missing: of each case, from :func:`missing_channels`.
        settings: the job's data settings, or None without a job.

    Example:
        >>> from fedvox.data.settings import DataSettings
        >>> names = ("t1", "t2", "flair")
        >>> job = DataSettings(("liver",), modalities=names, channels=names, missing_channels=True)
        >>> missing_counts([("t2",), (), ("t2", "flair")], job)
        {'t2': 2, 'flair': 1}
    """
    channels = settings.channels if settings else ()
    counts = {name: sum(name in own for own in missing) for name in channels}
    return {name: count for name, count in counts.items() if count}


def missing_words(counts: Mapping[str, int], cases: int) -> str:
    """One line on what is missing; empty where nothing is.

    Args:
        counts: from :func:`missing_counts`.
        cases: number of all cases.
    """
    if not counts:
        return ""
    told = ", ".join(f"{name} in {count}" for name, count in counts.items())
    return f"missing, as the job allows: {told} of {cases} case{'' if cases == 1 else 's'}"


def never_found(
    counts: Mapping[str, int], cases: int, held: Sequence[str], settings: DataSettings | None
) -> tuple[str, str] | None:
    """What the site file lists and no case has, and what to do; None where there is no such thing.

    Where the cases have nothing at all, each of them is refused, and nothing is said here.

    Args:
        counts: from :func:`missing_counts`.
        cases: number of the cases that have an image at all.
        held: ``modalities`` of the site file.
        settings: the job's data settings, or None without a job.
    """
    absent = [name for name, count in counts.items() if count == cases]
    listed = [name for name in absent if name in held]
    if settings is None or not listed or len(absent) == len(settings.channels):
        return None
    return (
        f"the site file lists {', '.join(listed)}, and no case has such an image",
        "look whether these images lie under 'root' where the others do; if the site has none, "
        f"take {', '.join(listed)} out of 'modalities' in the site file",
    )
