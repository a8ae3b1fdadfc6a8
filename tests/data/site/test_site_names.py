"""Which names a site may have."""

import pytest

from fedvox.data.site.site_names import check_site_name, check_site_names
from fedvox.errors import ConfigError


@pytest.mark.parametrize(
    "name",
    ["site-1", "hospital-a", "site-1-b", "Klinikum-Nord_2", "9", "_x", "K" * 64, "server-nord"],
)
def test_names_that_flare_provisions_are_taken(name):
    check_site_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ukbonn.de", "is none that FLARE provisions"),
        ("uk bonn", "is none that FLARE provisions"),
        ("Universitätsklinikum", "is none that FLARE provisions"),
        ("site-1\n", "is none that FLARE provisions"),
        ("../site", "is none that FLARE provisions"),
        ("=cmd()", "is none that FLARE provisions"),
        ("", "is none that FLARE provisions"),
        ("K" * 65, "has 65 letters, more than the 64"),
        ("-x", "begins with '-'"),
        ("global_best", "means something else in tables"),
        ("Global_Last", "means something else in tables"),
        ("mean", "means something else in tables"),
        ("Server", "means something else in tables"),
        ("Global", "means something else in tables"),
        ("SRV_bonn", "means something else in tables"),
        ("Klinik-19550317", "reads like a patient's number"),
        ("ukb-2024-05-01", "reads like a patient's number"),
    ],
)
def test_other_names_are_refused_with_reason_and_remedy(name, reason):
    with pytest.raises(ConfigError, match="name it with letters, digits") as caught:
        check_site_name(name)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 250


def test_names_that_differ_in_letter_case_only_are_refused():
    check_site_names(["site-a", "site-b"], ["localhost", "lead@hospital-a.org"])
    with pytest.raises(ConfigError, match="'Site-A' and 'site-a' differ in nothing but letter"):
        check_site_names(["Site-A", "site-a"])
    with pytest.raises(ConfigError, match="'localhost' and 'LocalHost' differ"):
        check_site_names(["LocalHost"], ["localhost"])
