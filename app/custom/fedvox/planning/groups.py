"""In which groups planning pools cases: groups weigh the same, however many cases they have.

Without channels there is one per modality: a job of CT and MRI is planned for both. A job with
channels has one for all, named by its complete set: the images of a case lie on one grid, whichever
of them it has, and a group for each of the subsets would let three cases weigh as much as three
hundred, or hide them behind the rule of minimum cases.
"""

from fedvox.data.settings import DataSettings


def plan_groups(settings: DataSettings) -> tuple[str, ...]:
    """Names of all groups of a job.

    Args:
        settings: the job's data settings.

    Example:
        >>> from fedvox.data.settings import DataSettings
        >>> plan_groups(DataSettings(("liver",)))
        ('ct', 'mr')
        >>> two = ("t1", "flair")
        >>> job = DataSettings(("liver",), modalities=two, channels=two, missing_channels=True)
        >>> plan_groups(job), plan_group("flair", job)
        (('t1+flair',), 't1+flair')
    """
    return settings.modality_sets[:1] if settings.channels else settings.modality_sets


def plan_group(modality: str, settings: DataSettings) -> str:
    """The group of a case.

    Args:
        modality: of the case, a modality set of the job.
        settings: the job's data settings.
    """
    return plan_groups(settings)[0] if settings.channels else modality
