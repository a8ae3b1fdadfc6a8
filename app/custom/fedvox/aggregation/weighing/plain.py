"""Rules of one line: by training cases, by steps, every site alike."""

from collections.abc import Mapping

from fedvox.aggregation.mean import ReadTensor
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.update import Arrays, Update
from fedvox.aggregation.weighing.share import Share, Shares


def by_cases(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """Training cases, as FedAvg weighs.

    Reference:
        McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
        Data", AISTATS 2017.
    """
    shares = {
        site: Share(float(update.cases), cases_text(update)) for site, update in updates.items()
    }
    return shares, Memory()


def by_steps(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """Optimiser steps."""
    shares = {
        site: Share(float(update.steps), f"{update.steps} steps")
        for site, update in updates.items()
    }
    return shares, Memory()


def uniform(
    updates: Mapping[str, Update], read: ReadTensor, model: Arrays, memory: Memory
) -> tuple[Shares, Memory]:
    """Every site alike."""
    return {site: Share(1.0, "uniform") for site in updates}, Memory()


def cases_text(update: Update) -> str:
    """The cases that count, as a reason begins."""
    return f"{update.cases} training cases"
