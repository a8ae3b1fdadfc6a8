import json
import logging

import numpy as np
import pytest
import torch
from nvflare.apis.analytix import AnalyticsData, AnalyticsDataType
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.decomposers import common_decomposers

import fedvox
from fedvox.errors import ConfigError
from fedvox.flare.executor import FedVoxExecutor
from fedvox.flare.outgoing import OutgoingFilter
from fedvox.flare.received import ReceivedModel
from fedvox.flare.run import messages
from fedvox.flare.run.senders import TOKEN
from fedvox.inference.model_files.model_file import read_model
from fedvox.job.model import initial_model
from fedvox.job.settings import job_from
from fedvox.job.weights import weights_of
from fedvox.networks.parts import norm_tensors
from fedvox.tensors import weights_hash
from fedvox.training.state import load_personal

common_decomposers.register()


def start(site) -> FedVoxExecutor:
    executor = FedVoxExecutor()
    executor.handle_event(EventType.START_RUN, site.context())
    return executor


def registration(site) -> dict[str, object]:
    return site.context().get_all_public_props()[messages.REGISTRATION]


def execute(executor, site, task: str, data: Shareable, abort: Signal | None = None) -> Shareable:
    return executor.execute(task, data, site.context(), abort or Signal())


def validate_task(weights, owner: str) -> Shareable:
    task = DXO(DataKind.WEIGHTS, data=weights).to_shareable()
    task.set_header(AppConstants.MODEL_OWNER, owner)
    return task


def errors(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_site_shows_the_token_that_the_server_gave_it(site):
    start(site)
    assert site.context().get_all_public_props()[TOKEN] == "token-site-1"


def test_site_tells_the_server_what_it_holds(site):
    start(site)
    told = registration(site)
    assert told["version"] == fedvox.__version__
    assert (told["training"], told["modalities"], told["phantom"]) == ({"ct": 3}, ["ct"], True)
    assert told["annotated"] == ["liver", "spleen"]
    assert told["error"] == ""
    assert json.loads(json.dumps(told)) == told


def test_site_counts_test_cases_with_every_voxel_edge_above_the_tolerance_of_nsd(site):
    executor = start(site)
    sizes = [min(case.stored_spacing) for case in executor.site.data.test]
    tolerance = executor.job.evaluation.nsd_tolerance_mm
    assert sizes and registration(site)["coarse"] == sum(size > tolerance for size in sizes) > 0


def test_registration_holds_no_path(site, phantom_site):
    start(site)
    assert str(phantom_site("ct")) not in json.dumps(registration(site))


def test_site_without_site_file_publishes_an_error_and_writes_no_phantoms(party, caplog):
    bare = party("site-9")
    executor = start(bare)
    assert registration(bare)["error"].startswith("site-9: no fedvox_site.json")
    assert registration(bare)["training"] == {}
    assert len(errors(caplog)) == 1
    assert not list(bare.root.rglob("*.nii.gz"))
    assert executor.site is None


def test_simulator_site_without_site_file_trains_on_announced_phantoms(party, caplog):
    simulated = party("site-2", job_id="simulate_job")
    start(simulated)
    told = registration(simulated)
    assert (told["phantom"], told["modalities"], told["training"]) == (True, ["mr"], {"mr": 2})
    assert "USING PHANTOM DATA" in caplog.text


def test_site_with_wrong_settings_publishes_the_error(party, tiny):
    tiny["training"]["epochs"] = 1
    site = party("site-1", job=tiny)
    start(site)
    assert "unknown key 'training.epochs'" in registration(site)["error"]


def test_other_events_open_nothing(site):
    executor = FedVoxExecutor()
    executor.handle_event(EventType.END_RUN, site.context())
    assert executor.site is None
    assert messages.REGISTRATION not in site.context().get_all_public_props()


def test_train_submit_and_validate_in_three_processes(site, weights, train_task):
    trained = execute(start(site), site, "train", train_task(weights))
    update = from_shareable(trained)
    assert update.data_kind == DataKind.WEIGHTS
    assert update.data.keys() == weights.keys()
    assert weights_hash(update.data) != weights_hash(weights)
    claims = update.get_meta_prop(messages.META)
    assert (claims["round"], claims["cases"], claims["steps"]) == (0, 3, 1)

    (kept,) = site.root.rglob("local_model.safetensors")
    assert [path.stat().st_mode & 0o777 for path in (kept, kept.parent)] == [0o600, 0o700]
    submitted = from_shareable(execute(start(site), site, "submit_model", Shareable()))
    assert weights_hash(submitted.data) == weights_hash(update.data)

    answered = execute(start(site), site, "validate", validate_task(submitted.data, "site-1"))
    report = from_shareable(answered).data
    assert {(row["site"], row["model"]) for row in report["rows"]} == {("site-1", "site-1")}
    assert report["validation"]["ct"][1] == 1


def test_training_task_sent_twice_gives_the_same_weights(site, weights, train_task):
    hashes = [
        weights_hash(from_shareable(execute(start(site), site, "train", train_task(weights))).data)
        for _ in range(2)
    ]
    assert hashes[0] == hashes[1]


def test_received_weights_are_not_changed_in_place(site, weights, train_task):
    before = weights_hash(weights)
    execute(start(site), site, "train", train_task(weights))
    assert weights_hash(weights) == before


def test_each_metric_of_a_round_is_sent_with_its_round_as_step(site, weights, train_task):
    execute(start(site), site, "train", train_task(weights, 1))
    sent = [data for event, data in site.engine.events if event == "analytix_log_stats"]
    records = [AnalyticsData.from_dxo(from_shareable(data)) for data in sent]
    assert {r.tag for r in records} == {"train_loss", "train_seconds", "val_dice_ct"}
    assert {(r.data_type, r.step) for r in records} == {(AnalyticsDataType.SCALAR, 1)}


def test_pictures_of_a_global_model_stay_in_the_site_s_run_folder(site, weights):
    executor = start(site)
    answer = execute(executor, site, "validate", validate_task(weights, "SRV_global_last"))
    folder = site.run_dir / "fedvox" / "site_report"
    assert [path.name for path in folder.iterdir()] == ["overlay_global_last_site-1_1.png"]
    report = from_shareable(answer).data
    assert set(report) == {"validation", "rows", "shared"}
    assert {row["model"] for row in report["rows"]} == {"global_last"}


def test_site_that_never_trained_submits_nothing(site):
    answer = execute(start(site), site, "submit_model", Shareable())
    assert answer.get_return_code() == ReturnCode.EMPTY_RESULT


def test_unknown_task_is_answered_as_such(site):
    answer = execute(start(site), site, "send_patients", Shareable())
    assert answer.get_return_code() == ReturnCode.TASK_UNKNOWN


def test_aborted_training_gives_no_update(site, weights, train_task):
    abort = Signal()
    abort.trigger("stop")
    answer = execute(start(site), site, "train", train_task(weights), abort)
    assert answer.get_return_code() == ReturnCode.TASK_ABORTED
    assert not list(site.root.rglob("local_model.safetensors"))


def test_weights_of_another_network_are_one_error_line_and_an_exception_code(
    site, train_task, caplog
):
    answer = execute(start(site), site, "train", train_task({"w": np.zeros(3, np.float32)}))
    assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    (line,) = errors(caplog)
    assert line.startswith("site-1: the weights belong to another network")
    assert answer.get_header(messages.FAILURE).startswith("ModelError at weights.py:")


def test_task_for_a_site_that_could_not_start_is_refused(party, weights, train_task, caplog):
    bare = party("site-9")
    executor = start(bare)
    caplog.clear()
    answer = execute(executor, bare, "train", train_task(weights))
    assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    (line,) = errors(caplog)
    assert line == "site-9: the site could not open its data at the start of the run"


def test_full_gpu_is_an_error_line_with_a_remedy(site, weights, train_task, caplog, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("fedvox.flare.executor.local_update", full)
    answer = execute(start(site), site, "train", train_task(weights))
    assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    (line,) = errors(caplog)
    assert line.startswith("site-1: memory ran out in task train; lower data.patch")


def test_state_of_earlier_rounds_is_part_of_the_registration(site, weights, train_task):
    executor = start(site)
    assert registration(site)["state"] == ""
    execute(executor, site, "train", train_task(weights))
    start(site)
    assert len(registration(site)["state"]) == 16


@pytest.fixture
def fedbn(party, tiny, phantom_site):
    """A function to a site of a job whose normalisation stays at the sites."""
    tiny["network"]["norm"] = "batch"
    tiny["training"]["personal"] = ["norm"]

    def make(name: str, modality: str):
        made = party(name, job=tiny)
        content = {
            "dataset": "phantom",
            "root": str(phantom_site(modality)),
            "modalities": [modality],
            "split": "dataset",
            "share": "cases",
        }
        (made.root / "local" / "fedvox_site.json").write_text(json.dumps(content))
        return made

    return make


@pytest.fixture
def common(tiny):
    """What the server holds of the network of such a job; the names of the rest."""
    model = initial_model(job_from(tiny))
    weights, norm = weights_of(model), norm_tensors(model)
    return {n: a for n, a in weights.items() if n not in norm}, norm & set(weights)


def of_version(task: Shareable, version: int) -> Shareable:
    """A task as the server's filter sends it down."""
    task.set_header(messages.VERSION, version)
    task.set_header(messages.KEPT, [version])
    return task


def names_in(content: bytes, names) -> set[str]:
    """Those names that a serialised message holds."""
    return {name for name in names if name.encode() in content}


def test_no_normalisation_tensor_is_in_a_message_of_a_site(fedbn, common, train_task, serialised):
    weights, norm = common
    site = fedbn("site-1", "ct")
    ReceivedModel().process(train_task(weights), site.context())
    executor = start(site)
    for task, data in (
        ("train", of_version(train_task(weights), 0)),
        ("submit_model", Shareable()),
    ):
        result = execute(executor, site, task, data)
        assert from_shareable(result).data.keys() == weights.keys()
        sent = OutgoingFilter().process(result, site.context())
        assert names_in(serialised(sent), weights) == set(weights)
        assert names_in(serialised(sent), norm) == set()


def test_a_site_s_policy_stops_personal_tensors_even_if_the_server_sent_them(
    fedbn, common, train_task, tiny
):
    everything = weights_of(initial_model(job_from(tiny)))
    site = fedbn("site-1", "ct")
    start(site)
    ReceivedModel().process(train_task(everything), site.context())
    answer = DXO(DataKind.WEIGHTS, data=everything).to_shareable()
    with pytest.raises(ConfigError, match=rf"hold {len(common[1])} tensors that stay at the site"):
        OutgoingFilter().process(answer, site.context())


def test_a_restarted_site_is_scored_with_its_own_tensors_of_the_model_s_version(
    fedbn, common, train_task
):
    weights, norm = common
    site = fedbn("site-1", "ct")
    for index in (0, 1):
        execute(start(site), site, "train", of_version(train_task(weights, index), index))
    task = of_version(validate_task(weights, "SRV_global_last"), 2)
    answer = execute(start(site), site, "validate", task)
    assert from_shareable(answer).data["rows"]
    path = site.run_dir / "fedvox/own_model/round_2/model.safetensors"
    kept = read_model(path)
    (state,) = {p.parent for p in site.root.rglob("personal_00001.safetensors")}
    assert kept.description["round"] == 2
    expected = {**weights, **load_personal(state, 2)}
    assert weights_hash(kept.weights) == weights_hash(expected)
    assert set(expected) == set(weights) | norm
    earlier = of_version(validate_task(weights, "SRV_global_best"), 1)
    execute(start(site), site, "validate", earlier)
    best = read_model(path.parents[1] / "round_1/model.safetensors")
    assert weights_hash(best.weights) == weights_hash({**weights, **load_personal(state, 1)})
    assert weights_hash(best.weights) != weights_hash(kept.weights)
    assert (best.name, kept.name) == ("global_best", "global_last")


def test_the_registration_s_hash_tells_personal_tensors_apart(fedbn, common, train_task):
    site = fedbn("site-1", "ct")
    execute(start(site), site, "train", of_version(train_task(common[0]), 0))
    start(site)
    before = registration(site)["state"]
    (path,) = site.root.rglob("personal_00000.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    start(site)
    assert registration(site)["state"] != before


def test_a_personal_setting_that_fits_nothing_is_told_before_cases_are_prepared(party, tiny):
    tiny["training"]["personal"] = ["*norm*"]
    site = party("site-1", job=tiny)
    executor = start(site)
    assert "'training.personal' names '*norm*'" in registration(site)["error"]
    assert executor.site is None


def test_a_site_that_only_tests_says_so_and_trains_nothing(site, weights, train_task, caplog):
    path = site.root / "local/fedvox_site.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "split": "test"}))
    executor = start(site)
    told = registration(site)
    assert (told["external"], told["training"], told["validation"]) == (True, {}, {})
    assert told["test"] == {"ct": 6} and told["annotated"] == []
    report = from_shareable(execute(executor, site, "validate", validate_task(weights, "a"))).data
    assert {row["split"] for row in report["rows"]} == {"test"}
    assert len({row["case"] for row in report["rows"]}) == 6
    assert report["validation"] == {}
    refused = execute(executor, site, "train", train_task(weights))
    assert refused.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert "the site only tests" in errors(caplog)[-1]
    assert not list(site.root.rglob("optimizer_*"))


def test_a_job_whose_server_does_not_name_versions_is_told_so(fedbn, common, train_task, caplog):
    site = fedbn("site-1", "ct")
    for task, data in (
        ("train", train_task(common[0])),
        ("validate", validate_task(common[0], "SRV_global_last")),
    ):
        answer = execute(start(site), site, task, data)
        assert answer.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert all("name fedvox.flare.downlink.OwnPart" in line for line in errors(caplog))
    assert len(errors(caplog)) == 2
