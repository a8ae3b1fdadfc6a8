import pytest

from fedvox.report.pages.weights import weights_section


def record(number: int, terms: bool = False, **shares: float) -> dict:
    contributors = [
        {"site": site, "weight": share} | ({"terms": {"by_dice": 2 * share}} if terms else {})
        for site, share in shares.items()
    ]
    return {"round": number, "contributors": contributors}


def test_shares_that_stay_and_have_no_terms_are_not_drawn():
    assert weights_section([], phantom=False) == ""
    assert weights_section([record(0, a=0.5, b=0.5), record(1, a=0.501, b=0.499)], False) == ""


@pytest.mark.parametrize(
    ("rounds", "tabled"),
    [
        ([record(0, a=0.5, b=0.5), record(1, a=0.6, b=0.4)], False),
        ([record(0, terms=True, a=0.5, b=0.5)], True),
    ],
    ids=["they vary", "a rule gave terms"],
)
def test_shares_that_vary_or_have_terms_are(rounds, tabled):
    section = weights_section(rounds, phantom=True)
    assert "data:image/png;base64," in section and "Phantom data." in section
    assert ("<table>" in section) is tabled


def test_the_table_holds_the_terms_of_the_last_round_that_has_any():
    rounds = [record(0, terms=True, a=0.2), record(1, terms=True, a=0.3, b=0.7), {"round": 2}]
    section = weights_section(rounds, phantom=False)
    assert "What the weights of round 2 were made from" in section and ">by dice</th>" in section
    assert '<th scope="row">b</th><td class="n">0.700</td><td class="n">1.400</td>' in section


def test_names_and_damaged_terms_stay_text():
    rounds = [
        {"round": 0, "contributors": [{"site": "<b>$x_", "weight": 1, "terms": {"<i>": "<"}}]}
    ]
    section = weights_section(rounds, phantom=False)
    assert "<b>" not in section and "<i>" not in section and "&lt;b&gt;" in section
    assert '<td class="n">–</td>' in section
