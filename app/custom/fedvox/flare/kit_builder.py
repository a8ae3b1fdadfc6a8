"""Provisioning step that puts this project's policies into every start-up kit and seals the kit."""

import json
import shutil
from pathlib import Path
from typing import Any

from nvflare.lighter.constants import CtxKey, ParticipantType, ProvisionMode
from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.spec import Builder, ProvisionContext

from fedvox.data.site.site_names import check_site_names
from fedvox.errors import ConfigError
from fedvox.flare.kit_guard import LISTED, sign_manifest
from fedvox.manifest import MANIFEST, write_manifest

KIND = {ParticipantType.SERVER: "server", ParticipantType.CLIENT: "site"}
DEFAULTS = ("resources.json", "authorization.json", "log_config.json")
"""FLARE falls back to ``<name>.default`` where one of these is missing."""
PAGES = {
    ParticipantType.SERVER: "operator",
    ParticipantType.CLIENT: "hospital-it",
    "project_admin": "operator",
    "org_admin": "hospital-it",
    "lead": "lead",
    "member": "member",
}
"""Page in ``docs/`` for a type of participant or, for people, a role."""
README = "readme.txt"
STORE = "cert.json"
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

    The root CA's private key lies in ``state/``; the folder and every kit get mode 700.

    Raises:
        ConfigError: the folder lacks a policy, ``byoc`` is not true or false, or a site has a name
            that would be lost or mistaken later.
    """

    def __init__(self, policies: str, byoc: bool = False) -> None:
        self.policies = Path(policies)
        self.byoc = _yes_or_no(byoc, "byoc of KitBuilder")
        for kind in KIND.values():
            if not (self.policies / kind / "resources.json").is_file():
                raise ConfigError(
                    f"{policies}/{kind}/resources.json is missing; provision in the checkout's "
                    "root, write them here with 'fedvox kit templates --out .', or set 'policies' "
                    "of KitBuilder"
                )

    def initialize(self, project: Project, ctx: ProvisionContext) -> None:
        """Closes the folder of keys before one is written, checks names and ``byoc``."""
        Path(ctx.get_state_dir()).chmod(0o700)
        sites = [site.name for site in project.get_clients()]
        everyone = [participant.name for participant in project.get_all_participants()]
        check_site_names(sites, [name for name in everyone if name not in sites])
        for participant in project.get_all_participants():
            self._byoc(participant)

    def finalize(self, project: Project, ctx: ProvisionContext) -> None:
        """Writes policies, seals all kits and closes them and the keys to other users."""
        for participant in project.get_all_participants():
            kit = Path(ctx.get_ws_dir(participant))
            if participant.type in KIND:
                dry_run = ctx.get_provision_mode() == ProvisionMode.POC
                self._write_policies(participant, Path(ctx.get_local_dir(participant)), dry_run)
            _add_next_step(kit, PAGES[participant.get_prop("role") or participant.type])
            write_manifest(kit, kit / MANIFEST, LISTED)
            sign_manifest(kit, ctx[CtxKey.ROOT_PRI_KEY])
            kit.chmod(0o700)
        (Path(ctx.get_state_dir()) / STORE).chmod(0o600)  # CertBuilder has written it by now

    def _write_policies(self, participant: Participant, local: Path, dry_run: bool) -> None:
        snapshots = _snapshots(local / "resources.json.default")
        for path in sorted((self.policies / KIND[participant.type]).glob("*.json")):
            shutil.copy2(path, local / path.name)
            if path.name in DEFAULTS:
                shutil.copy2(path, local / f"{path.name}.default")
        if dry_run and snapshots:
            # `nvflare poc prepare` makes resources.json from the default, in which it changes this
            path = local / "resources.json.default"
            policy = json.loads(path.read_text()) | snapshots
            path.write_text(json.dumps(policy, indent=2) + "\n")
        if self._byoc(participant):
            path = local / "authorization.json"
            policy = json.loads(path.read_text())
            for role in ("project_admin", "lead"):
                policy["permissions"][role]["byoc"] = "any"
            path.write_text(json.dumps(policy, indent=2) + "\n")

    def _byoc(self, participant: Participant) -> bool:
        where = f"byoc of participant {participant.name}"
        return _yes_or_no(participant.get_prop(BYOC, self.byoc), where)


def _snapshots(path: Path) -> dict[str, Any]:
    """What FLARE's own default for a server says of snapshots; empty for a site."""
    policy = json.loads(path.read_text()) if path.is_file() else {}
    return {key: value for key, value in policy.items() if key == "snapshot_persistor"}


def _add_next_step(kit: Path, page: str) -> None:
    """Begins FLARE's readme with our page: the person who unpacks a kit may know neither."""
    text = (
        f"FedVox: docs/{page}.md of its repository says what to do with this folder. Check it "
        "first:\n  fedvox doctor --kit FOLDER --root-ca FINGERPRINT\n"
        "What follows is FLARE's general text.\n\n"
    )
    for path in (kit / README, kit / "startup" / README):
        if path.is_file():
            path.write_text(text + path.read_text(encoding="utf-8"), encoding="utf-8")


def _yes_or_no(value: object, where: str) -> bool:
    """Takes true and false only: a quoted "false" would count as true."""
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{where} is {value!r} in the project file; write true or false, unquoted")
