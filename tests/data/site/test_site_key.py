from pathlib import Path

import pytest

from fedvox.data.cases.case import Case
from fedvox.data.site.site_file import SiteSettings
from fedvox.data.site.site_key import PHANTOM_KEY, CacheError, cache_errors, fingerprint, site_key

PLAIN = SiteSettings("plain", ".", ("ct",))


def test_key_is_random_made_once_and_read_by_its_owner_only(tmp_path):
    first = site_key(tmp_path / "a", PLAIN)
    assert site_key(tmp_path / "a", PLAIN) == first != site_key(tmp_path / "b", PLAIN)
    assert len(first) == 32 and (tmp_path / "a/site_key").stat().st_mode & 0o777 == 0o600


def test_phantoms_have_a_fixed_key_and_no_file(tmp_path):
    phantom = SiteSettings("phantom", ".", ("ct",))
    assert site_key(tmp_path, phantom) == PHANTOM_KEY
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_depends_on_key_and_identifier():
    case, other = (Case(name, name, {}, ()) for name in ("miller", "smith"))
    codes = {fingerprint(c, key) for c in (case, other) for key in (b"a", b"b")}
    assert len(codes) == 4 and all(len(code) == 8 for code in codes)
    assert fingerprint(case, b"a", 32).startswith(fingerprint(case, b"a"))


def test_cache_that_cannot_be_written_is_one_line_without_its_path(tmp_path):
    with (
        pytest.raises(CacheError, match=r"cannot be written \(.*mend 'cache'") as caught,
        cache_errors(),
    ):
        Path(tmp_path / "missing/file").write_text("")
    assert str(tmp_path) not in str(caught.value)
