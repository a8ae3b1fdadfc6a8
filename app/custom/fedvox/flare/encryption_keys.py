"""Keys of homomorphic encryption in start-up kits, the same ones in every rebuild."""

from pathlib import Path

from nvflare.lighter.constants import ProvFileName
from nvflare.lighter.spec import Project, ProvisionContext

from fedvox.errors import ConfigError
from fedvox.files import PRIVATE, atomic_path

try:
    from nvflare.lighter.impl.he import HEBuilder
except ImportError:
    raise ConfigError(
        "the project file asks for keys of encryption, and TenSEAL is not installed here; install "
        "it with 'pip install tenseal==0.3.18'"
    ) from None

KEPT = {False: "encryption_server.tenseal", True: "encryption.tenseal"}
"""Files in ``state/`` for the kits of the server and of sites; the second holds the secret key, as
that of the root CA lies there, and is written last."""


class EncryptionKeys(HEBuilder):
    """FLARE's builder, whose keys are kept: a rebuild that adds a site changes no other kit.

    It stands in a project file before the SignatureBuilder. Sites get the secret key, the server
    what it needs to add and weigh.
    """

    def initialize(self, project: Project, ctx: ProvisionContext) -> None:
        """Makes keys and keeps them, the first time."""
        self._state = Path(ctx.get_state_dir())
        if not (self._state / KEPT[True]).is_file():
            super().initialize(project, ctx)
            for for_site, name in KEPT.items():
                with atomic_path(self._state / name, PRIVATE) as path:
                    path.write_bytes(super().get_serialized_context(for_site))

    def get_serialized_context(self, is_client: bool = False) -> bytes:
        """The kept keys of a site or of the server, byte for byte."""
        return (self._state / KEPT[is_client]).read_bytes()

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        """Writes the kits' files; those with the secret key are their owner's."""
        super().build(project, ctx)
        for site in project.get_clients():
            (Path(ctx.get_kit_dir(site)) / ProvFileName.CLIENT_CONTEXT_TENSEAL).chmod(PRIVATE)
