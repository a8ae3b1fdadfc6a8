import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvox.data.cases.case import Case
from fedvox.data.cases.splits import SPLITS, hash_bucket, hash_split, only_tests, split_cases
from fedvox.errors import ConfigError, DataError


def case(name: str, patient: str | None = None, split: str | None = None) -> Case:
    return Case(name, patient or name, {}, (), split)


def ids(split):
    return {part: [c.id for c in cases] for part, cases in split.items()}


@given(st.text(max_size=20))
def test_hash_split_follows_the_head_of_the_sha256_of_the_patient(patient):
    bucket = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) % 100
    expected = ["train"] * 70 + ["val"] * 10 + ["test"] * 20
    assert hash_split(patient) == expected[bucket]


def test_hash_split_is_70_10_20():
    counts = {part: 0 for part in SPLITS}
    for number in range(5000):
        counts[hash_split(f"patient-{number}")] += 1
    # Five standard deviations of a binomial share of 5000 draws stay below 0.033.
    for part, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert counts[part] / 5000 == pytest.approx(share, abs=0.033)


def test_all_examinations_of_a_patient_fall_into_one_split():
    cases = [case(f"scan-{p}-{k}", f"patient-{p}") for k in range(3) for p in range(40)]
    split = split_cases(cases, "hash")
    assert sum(map(len, split.values())) == 120
    patients = [{c.patient for c in split[part]} for part in SPLITS]
    assert all(patients) and sum(map(len, patients)) == 40


def test_hash_split_of_a_case_does_not_depend_on_the_other_cases():
    cases = [case(f"p{n}") for n in range(30)]
    whole, part = split_cases(cases, "hash"), split_cases(cases[10:], "hash")
    for name in SPLITS:
        assert set(ids(part)[name]) == set(ids(whole)[name]) - {f"p{n}" for n in range(10)}


def test_dataset_split_is_taken_over():
    split = split_cases([case("a", None, "test"), case("b", None, "train")], "dataset")
    assert ids(split) == {"train": ["b"], "val": [], "test": ["a"]}


@pytest.mark.parametrize("own", [None, "holdout"])
def test_data_set_without_a_split_of_its_own_is_refused(own):
    with pytest.raises(DataError, match="no split of its own"):
        split_cases([case("a", None, "train"), case("b", None, own)], "dataset")


@pytest.fixture
def from_file(tmp_path):
    def read(content, cases):
        path = tmp_path / "split.json"
        path.write_text(json.dumps(content))
        return split_cases(cases, str(path))

    return read


def test_file_lists_cases_and_leaves_out_the_others(from_file):
    cases = [case(name) for name in "abcd"]
    split = from_file({"train": ["c", "a"], "test": ["b"]}, cases)
    assert ids(split) == {"train": ["c", "a"], "val": [], "test": ["b"]}


def test_file_with_an_unknown_key_is_refused(from_file):
    words = r"^split\.json: unknown keys \(1\); allowed: train, val, test"
    with pytest.raises(ConfigError, match=words) as caught:
        from_file({"miller": ["a"]}, [case("a")])
    assert "miller" not in str(caught.value)


def test_ids_that_the_data_set_lacks_are_counted_and_not_named(from_file):
    with pytest.raises(ConfigError, match="2 ids under 'val'") as caught:
        from_file({"train": ["a"], "val": ["miller", "a", "smith"]}, [case("a")])
    assert "miller" not in str(caught.value)


@pytest.mark.parametrize("written", ["a.nii.gz", "a.nii", "a_0000.nii.gz", "imagesTr/a.nii.gz"])
def test_a_file_name_in_place_of_an_identifier_is_told_what_to_leave_out(from_file, written):
    with pytest.raises(ConfigError, match=r"leave out folders and endings \(\.nii\.gz, _0000\)"):
        from_file({"train": [written]}, [case("a")])
    assert ids(from_file({"train": ["a"]}, [case("a")]))["train"] == ["a"]


@pytest.mark.parametrize("cases", [[case("a"), case("b")], [case("a", "p"), case("b", "p")]])
def test_patient_in_two_splits_is_refused_without_a_name(from_file, cases):
    listing = {"train": ["a"], "val": ["b" if cases[0].patient == "p" else "a"]}
    with pytest.raises(ConfigError, match="one patient is under 'train' and 'val'"):
        from_file(listing, cases)


def test_overlap_is_allowed_where_the_file_says_so(from_file):
    split = from_file({"train": ["a"], "test": ["a"], "allow_overlap": True}, [case("a")])
    assert ids(split) == {"train": ["a"], "val": [], "test": ["a"]}


@pytest.mark.parametrize("word", ["no", "false", 1, None])
def test_allow_overlap_must_be_true_or_false(from_file, word):
    with pytest.raises(ConfigError, match="'allow_overlap' must be true or false"):
        from_file({"train": ["a"], "test": ["a"], "allow_overlap": word}, [case("a")])


def test_several_examinations_of_one_patient_may_stand_in_one_split(from_file):
    split = from_file({"train": ["a", "b"]}, [case("a", "p"), case("b", "p")])
    assert ids(split)["train"] == ["a", "b"]


@pytest.mark.parametrize("listed", ["abc", {"a": 1}, None, [1], [["a"]], ["a", None]])
def test_part_of_a_file_must_be_a_list_of_texts(from_file, listed):
    with pytest.raises(ConfigError, match=r"^split\.json: 'train' must be a list of case ident"):
        from_file({"train": listed}, [case("a"), case("b"), case("c")])


def test_id_that_a_part_repeats_is_refused_without_its_name(from_file):
    with pytest.raises(ConfigError, match="'train' repeats 1 of its ids") as caught:
        from_file({"train": ["miller", "a", "miller"]}, [case("miller"), case("a")])
    assert "miller" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "{", '{"train": [], "train": []}', "[]"])
def test_unreadable_file_is_named_without_its_folder(tmp_path, content):
    path = tmp_path / "miller" / "split.json"
    path.parent.mkdir()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"^split\.json: ") as caught:
        split_cases([case("a")], str(path))
    assert "miller" not in str(caught.value)


@given(st.text(max_size=20))
def test_bucket_decides_the_hash_split(patient):
    bucket = hash_bucket(patient)
    assert 0 <= bucket < 100
    assert hash_split(patient) == ("train" if bucket < 70 else "val" if bucket < 80 else "test")


def test_a_list_of_folds_is_told_what_to_copy(tmp_path):
    path = tmp_path / "splits_final.json"
    path.write_text('[{"train": ["a"], "val": ["b"]}]')
    with pytest.raises(ConfigError, match=r"it is a list, as of nnU-Net's folds; copy one of them"):
        split_cases([], str(path))


@pytest.mark.parametrize("rule", ["Hash", "dataset ", "random"])
def test_a_misspelt_rule_is_told_the_rules(tmp_path, rule):
    with pytest.raises(
        ConfigError, match="no such split file; 'split' is hash, dataset, test or a"
    ):
        split_cases([], str(tmp_path / rule))


def test_every_case_of_a_site_that_only_tests_is_a_test_case():
    split = split_cases([case("a"), case("b", None, "train")], "test")
    assert ids(split) == {"train": [], "val": [], "test": ["a", "b"]}


@pytest.mark.parametrize(
    ("content", "external"),
    [
        ({"test": ["a"]}, True),
        ({"test": []}, True),
        ({"test": ["a"], "allow_overlap": False}, True),
        ({"test": ["a"], "train": []}, False),
        ({"test": ["a"], "val": []}, False),
        ({"val": ["a"]}, False),
        ({}, False),
    ],
)
def test_only_a_split_that_names_nothing_but_test_says_so(tmp_path, content, external):
    (tmp_path / "split.json").write_text(json.dumps(content))
    assert only_tests(str(tmp_path / "split.json")) is external


def test_a_rule_that_leaves_nothing_to_train_does_not_say_so():
    assert [only_tests(rule) for rule in ("hash", "dataset", "test")] == [False, False, True]


def test_a_split_that_is_not_there_says_nothing(tmp_path):
    with pytest.raises(ConfigError, match="no such split file"):
        only_tests(str(tmp_path / "Test"))
