import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.selection import Best, better, pool_validation, selection_score


def test_each_modality_counts_once_however_many_cases_it_has():
    pooled = pool_validation([{"ct": (0.75, 100)}, {"mr": (0.25, 1)}])
    assert selection_score(pooled) == 0.5


def test_cases_of_one_modality_are_pooled_over_sites():
    assert pool_validation([{"ct": (1.0, 1)}, {"ct": (0.5, 3)}]) == {"ct": 0.625}


def test_modality_without_cases_has_no_score():
    assert pool_validation([{"ct": (0.0, 0)}, {"mr": (0.5, 2)}]) == {"mr": 0.5}


def test_unvalidated_model_is_never_chosen():
    best = Best(1, 0.5)
    assert selection_score({}) is None
    assert better(None, 3, {}) is None
    assert better(best, 3, {}) is best


def test_first_validated_model_is_the_best_so_far():
    assert better(None, 1, {"ct": 0.0}) == Best(1, 0.0)


def test_worse_model_does_not_replace_the_best():
    best = Best(1, 0.5)
    assert better(best, 2, {"ct": 0.49}) is best


def test_later_model_wins_a_tie():
    assert better(Best(1, 0.5), 2, {"ct": 0.5}) == Best(2, 0.5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_best_of_all_versions_is_the_last_maximum_with_the_last_round_included(scores):
    best = None
    for version, score in enumerate(scores, start=1):
        best = better(best, version, {"ct": score})
    assert best is not None
    assert best.score == max(scores)
    assert best.version == max(v for v, s in enumerate(scores, start=1) if s == max(scores))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_pooled_modalities_are_listed_by_name(order):
    reports = [{"t1+flair": (0.5, 1)}, {"ct": (0.5, 1)}, {"mr": (0.5, 1)}]
    assert list(pool_validation([reports[i] for i in order])) == ["ct", "mr", "t1+flair"]
