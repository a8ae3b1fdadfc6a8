"""Learning rate over the whole run, all rounds counted."""

import math

from fedvox.job.settings import TrainingSettings


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Learning rate of a step.

    ``poly``: lr · (1 − t)^0.9; ``cosine``: lr · (1 + cos πt) / 2; t is the share of all steps done.
    Linear warm-up comes before.

    Args:
        settings: rounds, steps per round, schedule.
        step: index over all rounds, from 0.
    """
    total = settings.rounds * settings.steps
    warm = round(settings.warmup * total)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = min((step - warm) / max(1, total - warm), 1.0)
    if settings.schedule == "poly":
        return settings.learning_rate * (1 - done) ** 0.9
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return settings.learning_rate
