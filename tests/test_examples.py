"""The examples in docstrings of what a researcher calls first, carried out as doctests."""

import doctest
import importlib

import pytest

MODULES = (
    "data.settings",
    "aggregation.mean",
    "aggregation.server_momentum",
    "aggregation.weighing",
    "aggregation.weighing.adaptive",
    "aggregation.weighing.bounds",
    "aggregation.weighing.divergence",
    "aggregation.weighing.fedce",
    "aggregation.weighing.fedpid",
    "augment.contrast",
    "augment.geometric",
    "augment.gin",
    "augment.modality_dropout",
    "compression.codec",
    "compression.compress",
    "compression.error_feedback",
    "compression.positions",
    "compression.quantise",
    "compression.schema",
    "compression.settings",
    "data.cases.missing",
    "data.quality.labels",
    "data.quality.names",
    "data.quality.signal",
    "inference.subsets",
    "losses.dice_ce",
    "losses.dice_focal",
    "losses.distillation",
    "losses.modal",
    "losses.soft_dice",
    "metrics.case",
    "metrics.hd95",
    "metrics.interval",
    "metrics.subsets",
    "phantoms.incomplete",
    "planning.groups",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_say(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"fedvox.{name}"))
    assert found.attempted > 0 and found.failed == 0
