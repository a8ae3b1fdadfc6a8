import pytest

from fedvox.data.check.refusal import refusal
from fedvox.errors import DataError
from fedvox.finding import FAIL


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("the image is constant; export it again", "the image is constant", "export it again"),
        ("a; b; mend it", "a; b", "mend it"),
        ("the file is odd", "the file is odd", "export the case again"),
    ],
)
def test_last_clause_of_an_error_is_the_remedy(text, message, remedy):
    found = refusal("image", DataError(text))
    assert (found.check, found.status) == ("image", FAIL)
    assert (found.message, found.remedy) == (message, remedy)


def test_a_modality_of_one_case_among_many_has_a_remedy_of_its_own():
    problem = refusal("modality", DataError("it is cold; its modality is ct"))
    assert problem.message == "it is cold" and problem.remedy.startswith("leave such cases out")
