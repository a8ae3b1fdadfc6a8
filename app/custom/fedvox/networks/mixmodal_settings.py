"""Settings of the network :mod:`fedvox.networks.mixmodal`."""

from dataclasses import dataclass

from fedvox.config import setting
from fedvox.errors import ConfigError
from fedvox.networks.settings import NetworkSettings

TAILORED, MEMORY = "tailored", "memory"
"""How the names of a modality's own tensors begin: its encoder's, and its prototypes."""


@dataclass(frozen=True)
class MixModalSettings(NetworkSettings):
    """An encoder per modality (tailored) and one for all (shared), fused for one decoder.

    It needs ``data.channels``; with ``data.missing_channels`` a site builds, gets and sends the
    encoders of its own modalities only. What is missing is looked up among prototypes: means of
    tailored features by modality and organ over the sites, which leave a site only if its site
    file lists ``prototypes`` under ``attachments``.

    Attributes:
        name: a registered network; it decides which further keys there are.
        channels: feature channels per level of the encoders; each level halves the grid.
        tailored: of ``mixmodal``: an encoder per modality; false leaves the shared one alone.
        prototypes: of ``mixmodal``: the memory; false leaves out what is missing.
        momentum: of ``mixmodal``: share of a prototype's old value that a round keeps.
        fewest_cases: of ``mixmodal``: training cases that must hold an organ in a modality before
            a site tells their mean; a site's policy may ask for more.
        self_distillation: of ``mixmodal``: weight of the terms that hold the answer for an input
            with dropped modalities to that for the whole input of the same case; needs
            ``training.modality_dropout``.
        consistency: of ``mixmodal``: weight of the term that makes the shared features of a case's
            modalities alike; of a case of one modality, those and the memory's.
        identity: of ``mixmodal``: weight of the term that makes tailored features tell their
            modality.
    """

    name: str = "mixmodal"
    channels: tuple[int, ...] = setting((16, 32, 64), low=2, high=1024)
    tailored: bool = True
    prototypes: bool = True
    momentum: float = setting(0.9, low=0.0, high=0.999)
    fewest_cases: int = setting(5, low=1, high=1000)
    self_distillation: float = setting(0.5, low=0.0, high=100.0)
    consistency: float = setting(0.1, low=0.0, high=100.0)
    identity: float = setting(0.02, low=0.0, high=100.0)

    def __post_init__(self) -> None:
        """Checks what spans several values.

        Raises:
            ConfigError: fewer than two levels, or a memory of features that there are not.
        """
        if len(self.channels) < 2:
            raise ConfigError("'network.channels' needs at least two levels, e.g. [16, 32, 64]")
        if self.prototypes and not self.tailored:
            raise ConfigError(
                "'network.prototypes' is true and 'network.tailored' false: prototypes are means "
                "of tailored features; set prototypes to false too"
            )

    @property
    def patch_multiple(self) -> int:
        """Each level halves the grid."""
        return int(2 ** len(self.channels))

    @property
    def levels(self) -> str:
        """The levels are those of ``channels``."""
        return f"the {len(self.channels)} levels of 'network.channels'"

    @property
    def norm_remedy(self) -> str:
        """Its instance normalisation has neither weights nor running statistics."""
        return "its instance normalisation holds none; take network 'unet' with 'norm' batch"

    @property
    def needs_channels(self) -> bool:
        """Its encoders are those of the job's channels."""
        return True

    @property
    def has_memory(self) -> bool:
        """As ``prototypes`` says."""
        return self.prototypes

    def modality_of(self, tensor: str) -> str | None:
        """The modality whose tailored encoder a tensor belongs to.

        Args:
            tensor: its name in the network's state.
        """
        part, _, rest = tensor.partition(".")
        return rest.partition(".")[0] if part == TAILORED else None

    def of_server(self, tensor: str) -> bool:
        """Prototypes: the server makes them of attachments, which are checked.

        Args:
            tensor: its name in the network's state.
        """
        return tensor.partition(".")[0] == MEMORY
