"""What a job says about phantom data."""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError
from fedvox.phantoms.find_body import DEFAULT, body_named, body_names
from fedvox.phantoms.incomplete import check_incomplete
from fedvox.phantoms.quality import GOOD, QUALITIES, WRONG_SHARE


@dataclass(frozen=True)
class PhantomSettings:
    """Phantom data that simulator sites without a site file get.

    Attributes:
        body: what is drawn.
        modalities: site k gets entry (k - 1) mod n: ``ct``, ``mr``, ``mr_t1`` or ``mr_t2`` of an
            abdomen; ``ct`` or ``mr`` of a heart; of a brain one or more of ``t1``, ``t1ce``, ``t2``
            and ``flair``, joined by ``+``.
        quality: of the data, site k gets entry (k - 1) mod n: ``good``, ``noisy`` (five times the
            noise of the scanner), ``wrong_labels`` (of a share of its training cases only) or
            ``small`` (a quarter of the training cases). Empty: all are good.
        wrong_share: share of the training cases of a site with ``wrong_labels`` whose labels are
            wrong, in turn: moved by 20 to 30 mm, those of another patient, organs exchanged, none.
        incomplete: share of the training cases of a site of several modalities that lack one of
            them, drawn case by case. Validation and test cases are complete.
        train, val, test: cases per site.
        seed: seed of the anatomies; part of each case's address.
        size_mm: edge of the cubic field of view in mm; ``null`` is the body's own.
        spacing_mm: mean voxel size in mm, ``null`` the body's own; each site deviates from it in
            its own way.
    """

    body: str = setting(DEFAULT, choices=body_names())
    modalities: tuple[str, ...] = ("ct", "mr")
    quality: tuple[str, ...] = setting((), choices=tuple(QUALITIES))
    wrong_share: float = setting(WRONG_SHARE, low=0.0, high=1.0)
    incomplete: float = setting(0.0, low=0.0, high=1.0)
    train: int = setting(24, low=1, high=10000)
    val: int = setting(4, low=0, high=10000)
    test: int = setting(10, low=0, high=10000)
    seed: int = setting(0, low=0)
    size_mm: float | None = setting(None, low=100.0, high=600.0)
    spacing_mm: float | None = setting(None, low=1.0, high=12.0)

    def __post_init__(self) -> None:
        """Checks that each site can get what its entry says.

        Raises:
            ConfigError: no entry, or one that the body does not have; cases that lack a modality
                where none has several.
        """
        if not self.modalities:
            raise ConfigError("'phantom.modalities' is empty; list at least one")
        body = body_named(self.body)
        for entry in self.modalities:
            try:
                body.parts(entry)
            except ConfigError as error:
                raise ConfigError(f"'phantom.modalities' of body '{self.body}': {error}") from None
        check_incomplete(self.incomplete, self.modalities, "'phantom.incomplete'")

    def modality_of(self, site: int) -> str:
        """What site number ``site``, from 1, holds."""
        return self.modalities[(site - 1) % len(self.modalities)]

    def quality_of(self, site: int) -> str:
        """How good the data of site number ``site``, from 1, are."""
        return self.quality[(site - 1) % len(self.quality)] if self.quality else GOOD
