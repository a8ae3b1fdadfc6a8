"""Provisioning step that puts this project's policies into every start-up kit and seals the kit."""

import json
import shutil
from pathlib import Path

from nvflare.lighter.constants import CtxKey, ParticipantType
from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.spec import Builder, ProvisionContext

from fedvox.errors import ConfigError
from fedvox.flare.kit_guard import LISTED, sign_manifest
from fedvox.manifest import MANIFEST, write_manifest

KIND = {ParticipantType.SERVER: "server", ParticipantType.CLIENT: "site"}
BYOC = "byoc"
"""Property of a participant in ``project.yml``: ``byoc: true`` grants carried code there."""


class KitBuilder(Builder):
    """Copies ``<policies>/server`` and ``<policies>/site`` into ``local/`` of the kits and
    signs the kit's SHA-256 manifest of ``startup/`` and ``local/`` with the project's root key.

    Builders are finalised in reverse order: name this one right after the workspace builder, so
    that every other builder has written its files before.

    Args:
        policies: folder of the policies, relative to the folder in which provisioning runs.
        byoc: grants carried code at every participant that does not say ``byoc`` itself.

    Raises:
        ConfigError: the folder lacks a policy.
    """

    def __init__(self, policies: str, byoc: bool = False) -> None:
        self.policies = Path(policies)
        self.byoc = byoc
        for kind in KIND.values():
            if not (self.policies / kind / "resources.json").is_file():
                raise ConfigError(
                    f"{policies}/{kind}/resources.json is missing; provision in the checkout's "
                    "root or set 'policies' of KitBuilder"
                )

    def finalize(self, project: Project, ctx: ProvisionContext) -> None:
        """Writes policies and seals all kits."""
        for participant in project.get_all_participants():
            kit = Path(ctx.get_ws_dir(participant))
            if participant.type in KIND:
                self._write_policies(participant, Path(ctx.get_local_dir(participant)))
            write_manifest(kit, kit / MANIFEST, LISTED)
            sign_manifest(kit, ctx[CtxKey.ROOT_PRI_KEY])

    def _write_policies(self, participant: Participant, local: Path) -> None:
        for path in sorted((self.policies / KIND[participant.type]).glob("*.json")):
            shutil.copy2(path, local / path.name)
        if participant.get_prop(BYOC, self.byoc):
            path = local / "authorization.json"
            policy = json.loads(path.read_text())
            for role in ("project_admin", "lead"):
                policy["permissions"][role]["byoc"] = "any"
            path.write_text(json.dumps(policy, indent=2) + "\n")
