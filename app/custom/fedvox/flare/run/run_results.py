"""Writes a run's files at the server: before the evaluation, and again after it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext

from fedvox.aggregation.rounds_file import write_rounds
from fedvox.aggregation.selection import (
    ModalityScores,
    checked_scores,
    choice_text,
    pool_validation,
)
from fedvox.errors import FedVoxError
from fedvox.flare.run.messages import MODEL_LAST
from fedvox.flare.run.places import RESULTS, SIMULATOR_JOB, SITE_REPORT, is_simulator, workspace_of
from fedvox.flare.run.server_run import ServerRun
from fedvox.inference.model_files.model_file import describe_model, write_model
from fedvox.metrics.table import MetricRow, SharedSummary, SummaryRow
from fedvox.report.records.run_record import SiteCases, write_run_record
from fedvox.report.results import choose_rows, collect_overlays, write_results


def write_unevaluated(run: ServerRun) -> None:
    """Model, rounds and report as they are before the evaluation; each says "not evaluated".

    Nothing is written before the first round ended, and no model before a round took an update.

    Raises:
        FedVoxError: a checkpoint is damaged.
        OSError: the disk is full or not writable.
    """
    if not run.state.version:
        return
    best = run.state.best
    version = run.state.version if best is None else best.version
    records = run.state.rounds()
    trained = any(record["contributors"] for record in records)
    if trained:
        _write_model(run, version, False, choice_text(best, run.state.course))
    rounds = [*records, _final_record(run, {}, False, [])]
    _mark(rounds, version if trained else -1)
    write_rounds(run.results / "rounds.jsonl", rounds)
    _write_record(run)
    write_results(run.results, [], [], rounds, run.job.evaluation.resamples, run.phantom)


def write_evaluated(
    run: ServerRun,
    rows: Sequence[MetricRow],
    shared: Sequence[SharedSummary],
    validation: Mapping[str, ModalityScores],
    fl_ctx: FLContext,
) -> list[SummaryRow]:
    """Chooses the best model and writes everything a run leaves.

    Args:
        run: the run.
        rows: per-case rows of the sites.
        shared: summaries of the other sites.
        validation: site -> its validation of the last model, as it says.
        fl_ctx: FLARE's context.

    Returns:
        The summary, for printing.

    Raises:
        FedVoxError: no round was finished, or none took an update, or a checkpoint is damaged.
        OSError: the disk is full or not writable.
    """
    state = run.state
    refuse_untrained(run)
    scores: dict[str, dict[str, tuple[float, int]]] = {}
    for site in sorted(validation):
        own = run.admitted.get(site)
        now = None if own is None else own.validation
        kept, odd = checked_scores(validation[site], run.validation.get(site, {}), now)
        scores |= {site: kept} if kept else {}
        for text in odd[:8]:
            run.note(f"{site}: {text}; it has no say in the choice")
    course = state.course.with_last(state.version, scores)
    best = course.best
    version = state.version if best is None else best.version
    last_is_best = version == state.version
    _write_model(run, version, True, choice_text(best, course))
    missing = sorted(set(run.sites) - set(validation))
    rounds = [*state.rounds(), _final_record(run, scores, True, missing)]
    _mark(rounds, version)
    write_rounds(run.results / "rounds.jsonl", rounds)
    if is_simulator(fl_ctx):
        root = Path(workspace_of(fl_ctx).get_root_dir()).parent
        folders = sorted(root.glob(f"*/{SIMULATOR_JOB}/{RESULTS}/{SITE_REPORT}"))
        collect_overlays(folders, run.results, last_is_best)
    rows, shared = choose_rows(rows, shared, last_is_best)
    _write_record(run)
    resamples = run.job.evaluation.resamples
    return write_results(run.results, rows, shared, rounds, resamples, run.phantom)


def _write_record(run: ServerRun) -> None:
    sites = (
        SiteCases(
            site,
            sum(run.registered.get(site, {}).values()),
            *run.cases.get(site, (0, 0)),
            coarse=run.coarse.get(site, 0),
            external=site in run.external,
        )
        for site in run.sites
    )
    write_run_record(run.results, run.job.name, run.job_id, sites)


def gaps_text(run: ServerRun, heard: Collection[str], failed: Mapping[str, str]) -> str:
    """Which sites did not evaluate the last model and where to look; empty when all did.

    Args:
        run: the run.
        heard: sites that evaluated it.
        failed: site -> why its evaluation failed.
    """
    gaps = sorted(set(run.sites) - set(heard))
    if not gaps:
        return ""
    refused = {entry["site"] for entry in run.refused}
    where = "their logs, and what is refused above" if refused & set(gaps) else "their logs"
    return (
        f"{', '.join(gaps)} did not evaluate {MODEL_LAST}: the tables lack these sites; "
        f"see the first ERROR in {where}"
    ) + "".join(f"; {site}: {failed[site]}" for site in gaps if site in failed)


def refuse_untrained(run: ServerRun) -> None:
    """Refuses to go on with a model that nobody trained.

    Raises:
        FedVoxError: no round was finished, or none took an update; with the first reason.
    """
    records = run.state.rounds()
    if not records:
        raise FedVoxError("no round was finished, so there is no model to write")
    if any(record["contributors"] for record in records):
        return
    refused = [(r["round"], entry) for r in records for entry in r["refused"]]
    first = "nothing came from any site"
    if refused:
        number, entry = refused[0]
        first = f"first in round {number + 1}, {entry['site']}: {entry['reason']}"
    raise FedVoxError(
        f"no update was accepted in any of {len(records)} rounds, so no model was trained; {first}"
    )


def _write_model(run: ServerRun, version: int, evaluated: bool, choice: str) -> None:
    state = run.state
    weights = state.load_last() if version == state.version else state.load_best()
    if weights is None:
        raise FedVoxError("no round was finished, so there is no model to write")
    known = run.trained(weights)
    weights = {name: array for name, array in weights.items() if name in known}
    described = describe_model(run.job, weights, version, run.phantom, run.modalities)
    write_model(run.results, weights, {**described, "evaluated": evaluated, "choice": choice})


def _mark(rounds: Sequence[dict[str, Any]], version: int) -> None:
    """Marks the record whose validation is that of the chosen model."""
    for record in rounds:
        record["chosen"] = record["round"] == version


def _final_record(
    run: ServerRun,
    scores: Mapping[str, Mapping[str, tuple[float, int]]],
    evaluated: bool,
    missing: list[str],
) -> dict[str, Any]:
    """The last global model's validation, which no training round measures."""
    traffic = run.ledger.total()
    return {
        "round": run.state.version,
        "final": True,
        "evaluated": evaluated,
        "phantom": run.phantom,
        "seconds": 0.0,
        "bytes_up": traffic.up,
        "bytes_down": traffic.down,
        "contributors": [],
        "refused": list(run.refused),
        "missing": missing,
        "registered": sorted(run.registered),
        "external": sorted(run.external),
        "notes": run.take_notes() if evaluated else list(run.notes),
        "validation": pool_validation(list(scores.values())),
        "scores": {s: {m: [d, n] for m, (d, n) in own.items()} for s, own in scores.items()},
    }
