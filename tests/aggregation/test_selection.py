import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.aggregation.selection import (
    KEPT,
    Best,
    Course,
    checked_scores,
    choice_text,
    pool_validation,
    scores_from,
    selection_score,
)

CT, MR = ("ct-site", "ct"), ("mr-site", "mr")


def both(ct: float, mr: float) -> dict[str, dict[str, tuple[float, int]]]:
    return {"ct-site": {"ct": (ct, 4)}, "mr-site": {"mr": (mr, 4)}}


def alone(ct: float) -> dict[str, dict[str, tuple[float, int]]]:
    return {"ct-site": {"ct": (ct, 4)}}


def run(versions, last=None) -> Course:
    """A run's course: the versions of its rounds, then the last one's evaluation."""
    course = Course({})
    for version, scores in versions:
        course = course.after(version, scores)
    return course if last is None else course.with_last(*last)


def test_each_modality_counts_once_however_many_cases_it_has():
    pooled = pool_validation([{"ct": (0.75, 100)}, {"mr": (0.25, 1)}])
    assert selection_score(pooled) == 0.5


def test_cases_of_one_modality_are_pooled_over_sites():
    assert pool_validation([{"ct": (1.0, 1)}, {"ct": (0.5, 3)}]) == {"ct": 0.625}


def test_modality_without_cases_has_no_score():
    assert pool_validation([{"ct": (0.0, 0)}, {"mr": (0.5, 2)}]) == {"mr": 0.5}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_pooled_modalities_are_listed_by_name(order):
    reports = [{"t1+flair": (0.5, 1)}, {"ct": (0.5, 1)}, {"mr": (0.5, 1)}]
    assert list(pool_validation([reports[i] for i in order])) == ["ct", "mr", "t1+flair"]


def test_unvalidated_model_is_never_chosen():
    assert selection_score({}) is None
    assert run([(1, {}), (2, {"ct-site": {}})]).best is None
    assert run([(1, alone(0.5)), (2, {})], (3, {})).best.version == 1


def test_untrained_model_takes_no_part():
    assert run([(0, alone(1.0))]).best is None
    assert run([(0, alone(1.0)), (1, alone(0.0))]).best == Best(1, 0.0, (CT,))


def test_later_model_wins_a_tie():
    assert run([(1, alone(0.5)), (2, alone(0.5))]).best.version == 2
    assert run([(1, alone(0.5))], (2, alone(0.5))).best.version == 2


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_best_of_versions_that_all_sites_validated_is_the_last_maximum(scores):
    *earlier, last = [(v, both(*own)) for v, own in enumerate(scores, start=1)]
    best = run(earlier, last).best
    means = [(sum(own) / 2, version) for version, own in enumerate(scores, start=1)]
    assert (best.score, best.version) == max(means)


def test_a_version_without_the_mri_site_does_not_win_by_its_absence():
    versions = [(1, both(0.5, 0.3)), (2, alone(0.99)), (3, both(0.72, 0.5)), (4, both(0.75, 0.6))]
    best = run(versions, (5, both(0.76, 0.59))).best
    assert (best.version, best.score, best.pairs) == (5, 0.675, (CT, MR))
    assert run(versions, (5, both(0.70, 0.59))).best.version == 4


def test_a_last_version_that_only_one_site_evaluated_does_not_win():
    assert run([(1, both(0.4, 0.3)), (2, both(0.5, 0.4))], (3, alone(0.99))).best.version == 2


def test_an_easy_site_s_absence_or_presence_within_a_modality_does_not_decide():
    easy, hard = ("easy", {"ct": (0.9, 40)}), ("hard", {"ct": (0.3, 4)})
    versions = [(1, dict([easy, hard])), (2, dict([easy])), (3, dict([easy, hard]))]
    best = run(versions, (4, {"easy": {"ct": (0.91, 40)}, "hard": {"ct": (0.5, 4)}})).best
    assert best.version == 4


def test_a_site_that_is_lost_for_good_does_not_hold_the_run_at_its_beginning():
    versions = [(1, both(0.3, 0.1)), *((v, alone(0.3 + v / 100)) for v in range(2, 20))]
    course = run(versions, (20, alone(0.6)))
    assert (course.best.version, course.best.pairs) == (20, (CT,))
    assert "no say had mr-site (mr)" in choice_text(course.best, course)


def test_a_site_that_validates_one_version_only_cannot_choose_it():
    versions = [(v, both(v / 10, 1.0) if v == 3 else alone(v / 10)) for v in range(1, 9)]
    assert run(versions, (9, alone(0.9))).best.version == 9


def test_a_site_that_comes_late_has_a_say_once_it_validated_most_versions():
    versions = [(1, alone(0.9)), *((v, both(0.5, v / 10)) for v in range(2, 7))]
    assert run(versions, (7, both(0.5, 0.1))).best.version == 6


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["both", "ct", "mr", "none"])),
        min_size=1,
        max_size=12,
    )
)
def test_what_two_sites_may_still_choose_is_always_at_hand(rounds):
    tables = {}
    course = Course({})
    for version, (ct, mr, who) in enumerate(rounds, start=1):
        own = {s: m for s, m in both(ct, mr).items() if who == "both" or s.startswith(who)}
        course = course.after(version, own)
        if own:
            tables[version] = own
        assert len(course.kept) <= 3
        # with all weights at hand the choice would be the same
        assert course.best == Course(tables, tuple(tables)).best


def test_weights_that_are_kept_are_few_whatever_sites_do():
    sites = [f"s{k}" for k in range(30)]
    course = Course({})
    for version in range(1, 40):
        there = [site for k, site in enumerate(sites) if (version * 7 + k) % 10]
        scores = {site: {"ct": ((version * k % 11) / 11, 3)} for k, site in enumerate(there)}
        course = course.after(version, scores)
        assert course.best.version in course.kept
        assert len(course.kept) <= KEPT


def test_choice_does_not_depend_on_the_order_of_sites():
    scores = {f"s{k}": {"ct": (0.1 * k, 3), "mr": (0.3, k + 1)} for k in range(5)}
    turned = dict(reversed(scores.items()))
    assert run([(1, scores)]).best == run([(1, turned)]).best


def test_scores_survive_the_way_through_a_record():
    stored = {"scores": {"a": {"ct": [0.5, 3]}}}
    assert scores_from(stored) == {"a": {"ct": (0.5, 3)}}
    assert scores_from({}) == {}


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        ({"xx": (1.0, 3)}, "it validates 3 cases of 'xx', registered 0"),
        ({"ct": (1.0, 10**6)}, "it validates 1000000 cases of 'ct', registered 4"),
        ({"ct": (1.5, 4)}, "its validation of 'ct' is none"),
        ({"ct": (math.nan, 4)}, "its validation of 'ct' is none"),
        ({"ct": (0.5, 0)}, "its validation of 'ct' is none"),
        ({"ct": (0.5, -4)}, "its validation of 'ct' is none"),
        ({"x" * 10**6: (1.0, 3)}, "it validates 3 cases of"),
    ],
)
def test_a_score_that_was_not_registered_does_not_count(claimed, reason):
    kept, (told,) = checked_scores(claimed, {"ct": 4})
    assert kept == {}
    assert told.startswith(reason) and len(told) < 120


def test_scores_weigh_by_the_cases_that_were_registered():
    # a case of which no organ is in the picture gives no Dice: three of four are reported
    assert checked_scores({"ct": (0.5, 3)}, {"ct": 4, "mr": 2}) == ({"ct": (0.5, 4)}, [])


def test_a_site_that_gained_cases_may_validate_them_and_counts_as_before():
    now = {"ct": 5, "mr": 1}
    assert checked_scores({"ct": (0.5, 5)}, {"ct": 4}, now) == ({"ct": (0.5, 4)}, [])
    assert checked_scores({"mr": (0.5, 1)}, {"ct": 4}, now) == (
        {},
        ["it had no validation case of 'mr' when it was admitted"],
    )
    kept, (told,) = checked_scores({"ct": (0.5, 6)}, {"ct": 4}, now)
    assert kept == {} and told == "it validates 6 cases of 'ct', registered 5"


def test_choice_text_says_on_what_it_rests():
    course = run([(1, both(0.5, 0.5))])
    assert choice_text(course.best, course) == "version 1, compared on ct-site (ct), mr-site (mr)"
    assert choice_text(None, Course({})).startswith("no version was validated")
