"""Whether updates are encrypted, and how."""

from dataclasses import dataclass

from fedvox.config import setting

SCHEMES = ("ckks",)


@dataclass(frozen=True)
class EncryptionSettings:
    """How updates and the global model are hidden from the server.

    Attributes:
        scheme: ``ckks``, by which real numbers can be added and weighed unseen. The key lies in the
            sites' start-up kits.
    """

    scheme: str = setting(SCHEMES[0], choices=SCHEMES)
