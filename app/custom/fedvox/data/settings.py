"""What a job fixes about images: organs, grid, patch and intensity window."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fedvox.config import setting
from fedvox.data.organs import MODALITIES, check_organs
from fedvox.data.samplers import SAMPLERS
from fedvox.data.samplers.settings import SamplerSettings
from fedvox.errors import ConfigError


@dataclass(frozen=True)
class DataSettings:
    """The image side of a job, equal at every site.

    Attributes:
        organs: canonical organ names; organ i has label value i + 1, 0 is background.
        modalities: modalities that the job can use.
        channels: input channels of the network by modality; each case has an image of each, unless
            ``missing_channels`` says otherwise. Empty: each case is one image, whatever its
            modality.
        missing_channels: with channels: a case may lack some of them, and a site all images of
            some. A missing channel is 0.
        spacing: voxel size of the training grid in mm, in RAS axis order.
        patch: training patch and sliding window size in voxels of that grid.
        ct_window: lower and upper HU; CT is clipped to it and scaled to [0, 1].
        mr_percentiles: percentiles of the body's intensities; MRI is clipped to them.
        sampler: says where in a case a training patch lies.
    """

    organs: tuple[str, ...]
    modalities: tuple[str, ...] = setting(("ct", "mr"), choices=MODALITIES)
    channels: tuple[str, ...] = setting((), choices=MODALITIES)
    missing_channels: bool = False
    spacing: tuple[float, float, float] = setting((6.0, 6.0, 6.0), low=0.1, high=20.0)
    patch: tuple[int, int, int] = setting((48, 48, 48), low=8, high=512)
    ct_window: tuple[float, float] = setting((-160.0, 240.0), low=-2000.0, high=4000.0)
    mr_percentiles: tuple[float, float] = setting((0.5, 99.5), low=0.0, high=100.0)
    sampler: SamplerSettings = setting("foreground", registry=SAMPLERS)

    def __post_init__(self) -> None:
        """Checks what spans several values."""
        check_organs(self.organs)
        if not self.modalities:
            raise ConfigError("'data.modalities' is empty; list at least one modality")
        self._check_channels()
        for name in ("ct_window", "mr_percentiles"):
            low, high = getattr(self, name)
            if not low < high:
                raise ConfigError(f"'data.{name}' must rise, not [{low}, {high}]")

    def _check_channels(self) -> None:
        if len(set(self.channels)) != len(self.channels):
            raise ConfigError("'data.channels' names a modality twice; name each once")
        if self.channels and set(self.channels) != set(self.modalities):
            raise ConfigError(
                f"'data.modalities' is {list(self.modalities)} and 'data.channels' "
                f"{list(self.channels)}; with channels the job's modalities are its channels: "
                "list the same under both"
            )
        if self.missing_channels and len(self.channels) < 2:
            raise ConfigError(
                "'data.missing_channels' is true and 'data.channels' names "
                f"{len(self.channels)}; name two or more, or set it to false"
            )

    @property
    def in_channels(self) -> int:
        """Input channels of the network."""
        return max(1, len(self.channels))

    @property
    def modality_sets(self) -> tuple[str, ...]:
        """What a case of the job can be of, as it stands in tables: ``ct``, or ``t1+flair``.

        Where channels may be missing these are all subsets, the complete set first.
        """
        if not self.channels:
            return self.modalities
        return subsets(self.channels) if self.missing_channels else (joined(self.channels),)


def joined(modalities: Sequence[str]) -> str:
    """A modality set as it stands in tables, e.g. ``"t1+flair"``.

    Args:
        modalities: in the order of the channels.
    """
    return "+".join(modalities)


def parts(modality: str) -> frozenset[str]:
    """The modalities of a set as it stands in tables, e.g. of ``t1+flair``."""
    return frozenset(modality.split("+"))


def singles(sets: Iterable[str]) -> frozenset[str]:
    """The single modalities among modality sets.

    Args:
        sets: such as ``["t1+flair", "t1"]``.
    """
    return frozenset().union(*map(parts, sets))


def by_modality(counts: Mapping[str, int]) -> dict[str, int]:
    """Cases that have each single modality.

    Args:
        counts: modality set -> cases.

    Example:
        >>> by_modality({"t1+flair": 6, "t1": 2})
        {'flair': 6, 't1': 8}
    """
    return {
        name: sum(count for held, count in counts.items() if name in parts(held))
        for name in sorted(singles(counts))
    }


def subsets(modalities: Sequence[str]) -> tuple[str, ...]:
    """All modality sets of at least one of some modalities, the largest first.

    Args:
        modalities: in the order of the channels, which each set keeps.

    Example:
        >>> subsets(("t1", "t2", "flair"))
        ('t1+t2+flair', 't1+t2', 't1+flair', 't2+flair', 't1', 't2', 'flair')
    """
    sizes = range(len(modalities), 0, -1)
    return tuple(joined(chosen) for size in sizes for chosen in combinations(modalities, size))
