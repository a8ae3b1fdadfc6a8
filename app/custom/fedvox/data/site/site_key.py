"""A site's secret, and the codes that it gives cases."""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedvox.data.cases.case import Case
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import DataError
from fedvox.files import PRIVATE, write_once

KEY_BYTES = 32
KEY = "site_key"
PHANTOM_KEY = b"phantom"


class CacheError(DataError):
    """The folder of prepared cases cannot be used; no case is to blame."""


@contextmanager
def cache_errors() -> Iterator[None]:
    """Turns a cache that cannot be used into one line that says where to mend it."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"the site's cache folder cannot be written ({error.strerror}); "
            "mend 'cache' in the site file"
        ) from None


def site_key(folder: Path, site: SiteSettings) -> bytes:
    """The site's secret, made on first use; for phantoms a fixed one, as nobody needs hiding.

    Args:
        folder: the site's cache.
        site: the site file.

    Raises:
        CacheError: the folder cannot be written.
        DataError: the key's file is damaged.
    """
    if site.dataset == "phantom":
        return PHANTOM_KEY
    path = folder / KEY
    with cache_errors():
        if not path.is_file():
            write_once(path, secrets.token_bytes(KEY_BYTES), PRIVATE)
        key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise DataError(
            f"the cache folder's site_key holds {len(key)} bytes, not {KEY_BYTES}; restore it, or "
            "delete it and the cases get new codes"
        )
    return key


def fingerprint(case: Case, key: bytes, digits: int = 8) -> str:
    """What logs and findings call a case: the first digits of an HMAC of its identifier."""
    return hmac.new(key, case.id.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[
        :digits
    ]
