import pytest
import torch

from fedvox.job.model import initial_model
from fedvox.report import site_pictures


@pytest.mark.parametrize(
    ("held", "place", "title"),
    [
        (("t1", "t2", "flair"), 0, "m on T1+T2+FLAIR (T1 shown) test case of site-1"),
        (("flair", "t2"), 1, "m on T2+FLAIR (T2 shown) test case of site-1"),
    ],
)
def test_the_first_image_that_a_case_has_is_shown(
    open_brats, subset_job, cpu, tmp_path, monkeypatch, held, place, title
):
    drawn = []
    monkeypatch.setattr(site_pictures, "draw_overlay", lambda *given: drawn.append(given))
    site = open_brats(held, job=subset_job)
    model = initial_model(subset_job)
    site_pictures.draw_site_pictures(model, "m", site, subset_job, cpu, tmp_path)
    ((image, *_, told),) = drawn
    assert torch.equal(torch.from_numpy(image), site.test[0].tensor("image")[place])
    assert image.any() and told == title
