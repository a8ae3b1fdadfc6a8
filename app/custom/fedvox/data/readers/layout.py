"""What the readers of public data sets share: finding folders and volumes, refusing modalities."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fedvox.data.readers.plain import stem, volumes
from fedvox.data.readers.strays import FilesError
from fedvox.errors import ConfigError


def check_modalities(modalities: Sequence[str], known: Sequence[str], data_set: str) -> None:
    """Refuses a modality that a data set does not have.

    Raises:
        ConfigError: names what it has.
    """
    foreign = [name for name in modalities if name not in known]
    if foreign or not modalities:
        raise ConfigError(
            f"{data_set} holds {', '.join(known)}, the site file lists "
            f"{', '.join(foreign) or 'nothing'}; correct 'modalities'"
        )


def folders_below(root: Path, depth: int) -> Iterator[Path]:
    """``root`` and the folders in it, by name, down to a depth; links are followed.

    Args:
        root: where to start.
        depth: levels below ``root``; also ends loops of links.
    """
    yield root
    if depth:
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield from folders_below(path, depth - 1)


def named_volume(folder: Path, name: str) -> Path:
    """``name.nii.gz``, or ``name.nii`` where only that exists."""
    compressed, plain = folder / f"{name}.nii.gz", folder / f"{name}.nii"
    return plain if plain.is_file() and not compressed.is_file() else compressed


def volumes_by_name(folder: Path) -> dict[str, Path]:
    """The NIfTI files of a folder by their names without ending.

    Raises:
        FilesError: one name with both endings.
    """
    files = volumes(folder)
    named = {stem(path): path for path in files}
    if len(named) < len(files):
        raise FilesError(
            f"{len(files) - len(named)} volumes lie there as .nii and as .nii.gz; keep one of each",
            [path for path in files if path not in named.values()],
        )
    return named
