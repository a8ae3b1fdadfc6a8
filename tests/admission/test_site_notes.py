import dataclasses

from fedvox.admission.registration import Registration
from fedvox.admission.site_notes import dominant_sites, registration_text, validation_gaps

GOOD = Registration("1.0.0", "abc", modalities=("ct",), training={"ct": 5}, validation={"ct": 2})


def changed(**values: object) -> Registration:
    return dataclasses.replace(GOOD, **values)


def test_a_site_with_more_than_nine_tenths_of_the_cases_is_named_with_the_remedy():
    few = changed(training={"ct": 10}, validation={"ct": 1, "mr": 1})
    alone = changed(training={"ct": 90}, validation={"ct": 9})
    assert dominant_sites({"a": few, "b": alone}) == []
    training, validation = dominant_sites(
        {"a": few, "b": changed(training={"ct": 91}, validation={"ct": 10})}
    )
    assert training.startswith("b registered 91 of all 101 training cases: the mean is almost its")
    assert "'training.client_weight' to uniform or 'training.most_cases'" in training
    assert validation.startswith("b registered 10 of all 11 validation cases of ct: its word")
    assert "'training.most_cases'" in validation


def test_a_single_site_and_equal_weights_need_no_warning():
    many = changed(training={"ct": 99}, validation={})
    assert dominant_sites({"a": many}) == []
    assert (
        dominant_sites({"a": many, "b": changed(training={"ct": 1}, validation={})}, by_cases=False)
        == []
    )


def test_modality_that_nobody_validates_is_named_before_training():
    mr = changed(modalities=("mr",), training={"mr": 5}, validation={"mr": 0})
    (line,) = validation_gaps({"a": GOOD, "b": mr})
    assert line.startswith("no site has a validation case of mr: it has no say")
    (line,) = validation_gaps({"a": changed(validation={}), "b": mr})
    assert line.startswith("no site has a validation case: the last model will be taken")
    assert validation_gaps({"a": GOOD, "b": dataclasses.replace(mr, validation={"mr": 1})}) == []
    assert validation_gaps({}) == []


def test_a_modality_that_is_tested_and_not_trained_needs_no_validation():
    own = changed(modalities=("ct", "mr"), test={"mr": 1})
    assert validation_gaps({"a": own}) == []


def test_a_site_that_only_tests_outweighs_nobody_and_misses_no_validation():
    outside = changed(
        training={}, validation={}, modalities=("mr",), test={"mr": 99}, external=True
    )
    assert dominant_sites({"a": GOOD, "outside": outside}) == []
    assert validation_gaps({"a": GOOD, "outside": outside}) == []


def test_what_a_site_holds_is_one_line():
    assert registration_text(GOOD) == "5 training cases (ct), 2 ct for validation"
    assert registration_text(changed(validation={})) == "5 training cases (ct), none for validation"
    both = changed(modalities=("ct", "mr"), test={"mr": 3})
    assert registration_text(both) == registration_text(GOOD)
    tests = changed(training={}, external=True, validation={}, test={"ct": 3})
    assert registration_text(tests) == "it only tests (3 ct)"
