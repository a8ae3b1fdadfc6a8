"""Which images of a case are the network's input channels, and in what order: decided here only.

A job without ``data.channels`` takes each case as one image, whatever its modality. A job with
channels has one per modality, in its own order at every site: neither the site file's order nor a
reader's decides. A channel that a case lacks is 0 and known as missing
(:mod:`fedvox.data.cases.channel_tensor`). Nothing here loads torch.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.cases.copies import Copies
from fedvox.data.images.modality import check_modality
from fedvox.data.images.nifti import Volume, check_same_grid, on_axes_of, without_voxels
from fedvox.data.images.volumes import load_image
from fedvox.data.settings import DataSettings, joined
from fedvox.errors import ConfigError, DataError, ImageError


def checked_volumes(images: Mapping[str, Path]) -> Iterator[tuple[str, Volume]]:
    """Reads the images of a case one after the other, on the axes of the first.

    Args:
        images: modality -> NIfTI file or folder of one DICOM series.

    Yields:
        Modality and image.

    Raises:
        DataError: an image cannot be used, lies on another grid than the first, holds the voxels
            of another, or its numbers contradict its modality; the message carries no file name.
            Of several images it is an :class:`~fedvox.errors.ImageError`.
    """
    grid, first, copies = None, next(iter(images), ""), Copies(len(images))
    for modality, path in images.items():
        with naming(modality, images):
            volume = load_image(path)
            grid = grid or without_voxels(volume)
            volume = on_axes_of(grid, volume)
            check_same_grid(grid, volume, f"{modality} image", f"{first} image")
            check_modality(volume, modality)
            copies.refuse(modality, volume.data)
        yield modality, volume
        del volume


@contextmanager
def naming(modality: str, images: Collection[str]) -> Iterator[None]:
    """Says in an error about one of several images which one it is.

    Args:
        modality: of the image that is looked at.
        images: modalities of the case.

    Raises:
        ImageError: in place of any other error of the data.
    """
    try:
        yield
    except DataError as error:
        if len(images) == 1:
            raise
        raise ImageError(modality, str(error)) from None


def in_job_order(case: Case, channels: Sequence[str]) -> Case:
    """The case with the job's modalities only, in the job's order, less those without a file.

    Args:
        case: from a reader.
        channels: of the job; without any the case stays as it is.
    """
    if not channels:
        return case
    found = [name for name in channels if name in case.images and _is_there(case.images[name])]
    return replace(case, images={name: case.images[name] for name in found})


def refuse_missing(case: Case, channels: Sequence[str], one_suffices: bool = False) -> None:
    """Refuses a case that lacks a channel of the job.

    Args:
        case: from :func:`in_job_order`.
        channels: of the job.
        one_suffices: a case may lack channels, but not all.

    Raises:
        DataError: names what is missing.
    """
    missing = [name for name in channels if name not in case.images]
    if not missing or (one_suffices and case.images):
        return
    needed = "at least one of " if one_suffices else ""
    raise DataError(
        f"the case has no image of {', '.join(missing)}, the job needs {needed}"
        f"{joined(channels)}; restore it, or leave the case out by a split file"
    )


def has_needed(case: Case, settings: DataSettings) -> bool:
    """Whether a case has the channels that the job needs: all, or one where others may be missing.

    Args:
        case: from :func:`in_job_order`.
        settings: the job's data settings.
    """
    if settings.missing_channels:
        return bool(case.images)
    return set(settings.channels) <= set(case.images)


def refuse_several(cases: Sequence[Case]) -> None:
    """Refuses cases of several images, for a job without channels.

    Raises:
        ConfigError: with the remedy.
    """
    several = next((case.images for case in cases if len(case.images) > 1), None)
    if several:
        raise ConfigError(
            f"each case has {len(several)} modalities ({', '.join(several)}), this job takes one "
            "image per case; list one under 'modalities' in the site file, or take a job with "
            "'data.channels'"
        )


def unfit_modalities(held: Sequence[str], settings: DataSettings) -> tuple[str, str] | None:
    """Why a site's modalities do not fit the job, and what to do; None where they do.

    Args:
        held: ``modalities`` of the site file.
        settings: the job's data settings.
    """
    channels = settings.channels
    missing = [name for name in channels if name not in held]
    if settings.missing_channels and len(missing) == len(channels):
        return (
            f"the site file lists {', '.join(held)}, the job uses {', '.join(channels)}, of which "
            "a site needs at least one",
            "add those that the site has to 'modalities' in the site file, else leave this job out",
        )
    if missing and not settings.missing_channels:
        return (
            f"the site file lists {', '.join(held)}, every case of the job needs "
            f"{', '.join(channels)}",
            f"add {', '.join(missing)} to 'modalities' in the site file if the site has it, else "
            "leave this job out",
        )
    foreign = sorted(set(held) - set(settings.modalities))
    if foreign and not settings.channels:
        return (
            f"the site holds {', '.join(foreign)}, the job uses {', '.join(settings.modalities)}",
            "change 'modalities' in the site file, or leave this job out",
        )
    return None


def _is_there(path: Path) -> bool:
    """Whether anything stands under the name; what cannot be reached is told when it is read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
