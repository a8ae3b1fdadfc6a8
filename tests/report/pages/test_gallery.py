import re

from fedvox.data.check.case import CaseReport
from fedvox.data.organs import CANONICAL
from fedvox.finding import WARN, Finding
from fedvox.report.figures.palette import ORGAN_COLOURS
from fedvox.report.pages.gallery import gallery


def test_cases_with_findings_stand_first_in_a_frame(small):
    problem = Finding("placement", WARN, "odd", "look")
    sound = CaseReport("aaaa0001", ("train",), "mr", thumbnail=small, organs_ml={"spleen": 1.0})
    odd = CaseReport("bbbb0002", ("test",), "mr", (problem,), thumbnail=small)
    blind = CaseReport("cccc0003", ("test",), "mr")
    markup = gallery((sound, odd, blind))
    assert markup.index("bbbb0002") < markup.index("aaaa0001") and "cccc0003" not in markup
    assert markup.count("class=odd") == 1 and "<strong>placement</strong>" in markup
    assert ORGAN_COLOURS["spleen"] in markup and ORGAN_COLOURS["liver"] not in markup


def test_no_thumbnail_is_no_gallery():
    assert gallery((CaseReport("a", (), "mr"),)) == ""


def test_organs_carry_the_numbers_of_the_legend_in_their_middle(small):
    small.organs[20:30, 20:28] = CANONICAL.index("liver") + 1
    case = CaseReport("a", (), "mr", thumbnail=small, organs_ml={"liver": 9.0, "spleen": 1.0})
    markup = gallery((case,))
    marks = re.findall(r'class="mark" style="left:([\d.]+)%;top:([\d.]+)%">(\d)<', markup)
    assert [number for *_, number in marks] == ["1", "2"]
    left, top = (float(value) for value in marks[1][:2])  # the spleen, from 28 to 36 of 40 columns
    assert 70 < left < 90 and 70 < top < 90
    assert "1 liver</span>" in markup and "2 spleen</span>" in markup
