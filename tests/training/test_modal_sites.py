"""Sites with different modalities train one model, and none has what it does not own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedvox.aggregation.prototypes import MODALITY
from fedvox.data.organs import MODALITIES
from fedvox.data.settings import singles
from fedvox.data.site.site_data import open_site
from fedvox.data.site.site_file import SiteSettings
from fedvox.errors import ConfigError, ModelError
from fedvox.job.model import initial_model, job_parts
from fedvox.job.weights import weights_of
from fedvox.tensors import weights_hash
from fedvox.training import in_process
from fedvox.training.arms import ARMS, score_models
from fedvox.training.in_process import received_part, run_in_process
from fedvox.training.local_update import local_update
from fedvox.training.site_model import SiteModel, site_network
from fedvox.training.state import load_personal

OWN = {"site-1": {"t1", "t2", "flair"}, "site-2": {"t1"}, "site-3": {"t2", "flair"}}


def tailored(names) -> set[str]:
    """The modalities whose encoders some tensors are of."""
    return {name.split(".")[1] for name in names if name.startswith("tailored.")}


def site_model(site, job, folder, cpu) -> SiteModel:
    return SiteModel(site_network(job, site, cpu), site, job, folder, cpu)


@pytest.fixture(scope="module")
def federated(modal_sites, modal_job, tmp_path_factory):
    """The result of a run, and what each site had of the model and sent, by site."""
    seen: dict[str, list] = {}

    def watched(network, site, *rest, **more):
        had = set(weights_of(network))
        update = local_update(network, site, *rest, **more)
        seen.setdefault(site.name, []).append((had, update))
        return update

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_process, "local_update", watched)
        result = run_in_process(modal_sites, modal_job, tmp_path_factory.mktemp("modal"))
    return result, seen


def test_sites_register_the_sets_that_their_cases_have(modal_sites, federated):
    assert [site.modalities for site in modal_sites] == [
        ["t1+flair", "t1+t2+flair"],
        ["t1"],
        ["t2+flair"],
    ]
    result, _ = federated
    told = [entry["modality"] for entry in result.rounds[0]["contributors"]]
    assert told == ["t1+flair,t1+t2+flair", "t1", "t2+flair"]
    assert all(own["refused"] == [] for own in result.rounds)


def test_no_site_builds_gets_or_sends_an_encoder_that_it_does_not_own(federated):
    _, seen = federated
    for name, rounds in seen.items():
        for had, update in rounds:
            assert tailored(had) == OWN[name]
            assert set(update.arrays) == had
            places = update.attached["prototypes"][MODALITY]
            assert {MODALITIES[place] for place in places} == OWN[name]


def test_the_model_has_every_part_trained_and_prototypes_of_every_modality(federated, modal_job):
    result, _ = federated
    start = weights_of(initial_model(modal_job))
    assert set(result.last) == set(start)
    for part in ("tailored.t1", "tailored.t2", "tailored.flair", "shared", "fusion", "decoder"):
        moved = [not np.array_equal(result.last[n], start[n]) for n in start if n.startswith(part)]
        assert sum(moved) > len(moved) / 2, part
    for name in ("t1", "t2", "flair"):
        assert np.isfinite(result.last[f"memory.{name}"]).all()
        assert result.last[f"memory.{name}"][0].any()


def test_the_order_of_the_sites_changes_no_bit(federated, modal_sites, modal_job, tmp_path):
    result, _ = federated
    again = run_in_process(list(reversed(modal_sites)), modal_job, tmp_path)
    assert weights_hash(again.last) == weights_hash(result.last)


def test_compressed_messages_are_of_the_site_s_own_tensors_too(
    modal_sites, make_modal_job, tmp_path
):
    job = make_modal_job(compression={"up": {"keep": 0.05}})
    result = run_in_process(modal_sites, job, tmp_path)
    assert all(own["refused"] == [] for own in result.rounds)
    sizes = [entry["bytes_up"] for entry in result.rounds[0]["contributors"]]
    assert sizes[1] < sizes[2] < sizes[0]
    assert all(np.isfinite(own).all() for own in result.last.values())
    assert all(result.last[f"memory.{name}"].any() for name in ("t1", "t2", "flair"))


def test_a_site_that_does_not_list_prototypes_sends_none(
    modal_sites, modal_job, make_modal_job, tmp_path, cpu
):
    silent = replace(modal_sites[1], attachments=())
    forgetful = make_modal_job(network={"prototypes": False})
    for number, (site, job) in enumerate(((silent, modal_job), (modal_sites[1], forgetful))):
        network = site_network(job, site, cpu)
        update = local_update(network, site, job, 0, tmp_path / str(number), cpu)
        assert update.attached == {}


def test_a_site_evaluates_a_model_that_lacks_encoders_without_them(
    modal_sites, modal_job, tmp_path, cpu
):
    """As the last model of another site."""
    own = site_model(modal_sites[0], modal_job, tmp_path, cpu)
    everything = weights_of(initial_model(modal_job))
    fewer = received_part(everything, job_parts(modal_job).travelling(everything, ["t1"]))
    network = own.load(fewer, trains=False)
    assert tailored(weights_of(network)) == {"t1"}
    assert weights_hash(weights_of(network)) == weights_hash(fewer)
    none = received_part(everything, [n for n in everything if not n.startswith("tailored.")])
    assert tailored(weights_of(own.load(none, trains=False))) == set()
    assert weights_hash(weights_of(own.load(everything, 0))) == weights_hash(everything)
    with pytest.raises(ModelError, match="another network"):
        own.load(fewer, 0)


@pytest.mark.parametrize("trains", [True, False])
def test_a_site_takes_no_encoder_that_it_does_not_own(
    modal_sites, modal_job, tmp_path, cpu, trains
):
    own = site_model(modal_sites[1], modal_job, tmp_path, cpu)
    with pytest.raises(ModelError, match="another network"):
        own.load(weights_of(initial_model(modal_job)), 0, trains)


def test_an_encoder_may_stay_at_the_sites_that_have_its_modality(
    modal_sites, make_modal_job, tmp_path
):
    """Also where another site of the job builds nothing that the pattern names."""
    job = make_modal_job(training={"personal": ["tailored.flair.*"], "rounds": 1})
    result = run_in_process(modal_sites, job, tmp_path)
    assert tailored(result.last) == {"t1", "t2"}
    kept = {site: tailored(own) for site, own in result.personal.items()}
    assert kept == {"site-1": {"flair"}, "site-2": set(), "site-3": {"flair"}}


def test_a_site_that_gains_a_modality_goes_on_with_its_other_parts(
    modal_sites, modal_job, tmp_path, cpu
):
    few, all_of_them = modal_sites[1], modal_sites[0]
    everything = weights_of(initial_model(modal_job))
    names = job_parts(modal_job).travelling(everything, few.modalities)
    before = site_model(few, modal_job, tmp_path, cpu).load(received_part(everything, names), 0)
    local_update(before, few, modal_job, 0, tmp_path, cpu)
    after = site_model(all_of_them, modal_job, tmp_path, cpu).load(everything, 1)
    update = local_update(after, all_of_them, modal_job, 1, tmp_path, cpu)
    assert update is not None and tailored(update.arrays) == OWN["site-1"]
    assert all(np.isfinite(own).all() for own in update.arrays.values())


def test_a_site_s_own_model_has_no_encoder_that_it_never_trained(
    modal_sites, make_modal_job, tmp_path
):
    """Other sites score it without; one with initial weights would only disturb it."""
    job = make_modal_job(training={"rounds": 1, "steps": 1})
    models = ARMS["local"](modal_sites[1:], job, tmp_path)
    assert {name: tailored(own.weights) for name, own in models.items()} == {
        name: OWN[name] for name in ("site-2", "site-3")
    }
    rows = score_models(models, modal_sites[:1], "val")
    assert {row.model for row in rows} == set(models)


def test_unpaired_sites_of_ct_and_mri_train_one_model_with_gin(
    phantom_site, make_modal_job, tmp_path
):
    """One image per case, as in jobs/fedgin; the second round has the other's prototypes."""
    data = {"organs": ["liver", "spleen"], "modalities": ["ct", "mr"], "channels": ["ct", "mr"]}
    job = make_modal_job(data=data | {"spacing": [12.0] * 3})
    assert job.augmentation.name == "gin"
    sites = []
    for name in ("ct", "mr"):
        settings = SiteSettings(
            "phantom", str(phantom_site(name)), (name,), "dataset", attachments=("prototypes",)
        )
        sites.append(open_site(f"site-{name}", settings, job.data, tmp_path / name))
        present = (name == "ct", name == "mr")
        assert {case.present for case in sites[-1].cases} == {present}
        image = sites[-1].train[0].tensor("image")
        assert [bool(channel.any()) for channel in image] == list(present)
    result = run_in_process(sites, job, tmp_path / "run")
    losses = [entry["train_loss"] for own in result.rounds for entry in own["contributors"]]
    assert len(losses) == 4 and np.isfinite(losses).all()
    assert result.last["memory.ct"].any() and result.last["memory.mr"].any()
    assert set(result.rounds[1]["validation"]) == {"ct", "mr"}
    assert singles(sites[0].modalities) == {"ct"}


def test_a_unet_fills_what_is_missing_with_zeros(modal_sites, make_modal_job, tmp_path):
    """The plainest rival: every site has the whole network."""
    job = make_modal_job(network={"name": "unet", "channels": [4, 8]}, training={"rounds": 1})
    result = run_in_process(modal_sites, job, tmp_path)
    assert set(result.last) == set(weights_of(initial_model(job)))
    assert result.rounds[0]["refused"] == []
    assert all(torch.from_numpy(own).isfinite().all() for own in result.last.values())


def test_a_site_that_loses_a_modality_keeps_its_other_tensors_to_itself(
    modal_sites, make_modal_job, tmp_path, cpu
):
    job = make_modal_job(training={"personal": ["tailored.*.0.0.0.*"]})
    everything = weights_of(initial_model(job))
    both, one = modal_sites[0], modal_sites[1]
    first = site_model(both, job, tmp_path, cpu)
    local_update(
        first.load(received_part(everything, first.travelling), 0), both, job, 0, tmp_path, cpu
    )
    left = site_model(one, job, tmp_path, cpu)
    own = weights_of(left.load(received_part(everything, left.travelling), 1))
    kept = load_personal(tmp_path)
    assert {"tailored.t1.0.0.0.weight", "tailored.t2.0.0.0.weight"} < set(kept)
    assert np.array_equal(own["tailored.t1.0.0.0.weight"], kept["tailored.t1.0.0.0.weight"])
    fewer = received_part(everything, left.travelling)
    assert tailored(weights_of(first.load(fewer, 1, trains=False))) == {"t1"}


def test_an_encoder_that_stays_at_the_site_is_there_where_the_model_lacks_another(
    modal_sites, make_modal_job, tmp_path, cpu
):
    """As where nobody trains the other's modality: the model is scored without that one alone."""
    job = make_modal_job(training={"personal": ["tailored.flair.*"]})
    own = site_model(modal_sites[0], job, tmp_path, cpu)
    start = weights_of(own.network)
    fewer = {n: a for n, a in start.items() if n in own.travelling and "tailored.t2" not in n}
    assert tailored(weights_of(own.load(fewer, trains=False))) == {"t1", "flair"}


@pytest.mark.parametrize("pattern", ["memory.*", "*t1*"])
def test_prototypes_cannot_stay_at_a_site(make_modal_job, pattern):
    with pytest.raises(ConfigError, match=r"names 'memory[.].+': the server writes it"):
        job_parts(make_modal_job(training={"personal": [pattern]}))


def test_where_nothing_stays_at_the_sites_no_network_is_built_to_see_it(modal_job, monkeypatch):
    monkeypatch.setattr("fedvox.job.model.initial_model", None)
    assert job_parts(modal_job).travelling(["tailored.t1.x", "shared.x"], ["t2"]) == {"shared.x"}
