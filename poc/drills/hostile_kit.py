"""Turns a start-up kit into that of a hospital that lies; the lies are in ``hostile/``."""

import os
from pathlib import Path

from fedvox.flare.loopback.kits import Kits

HOSTILE = Path(__file__).parent / "hostile"


def make_hostile(kits: Kits, site: str, victim: str) -> dict[str, str]:
    """Puts :class:`hostile_site.HostileSite` where the site's outgoing filter stood.

    Args:
        kits: of the federation, before it is started.
        site: who lies; its name holds a ``_``, no other does.
        victim: the site in whose name it speaks, too.

    Returns:
        Environment variables that the federation's processes need for it.
    """
    path = kits.kit(site) / "local/privacy.json"
    text = path.read_text()
    path.write_text(
        text.replace("fedvox.flare.outgoing.OutgoingFilter", "hostile_site.HostileSite")
    )
    paths = [str(HOSTILE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "FEDVOX_DRILL_VICTIM": victim}
