"""A site's update as the server sees it: arrays and the claims that come with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Update:
    """One site's result of one round. Nothing in it is trusted before it is screened.

    Attributes:
        site: the name under which the transport authenticated the sender.
        round: the round that the update claims to answer, from 0.
        arrays: weights after local training.
        cases: training cases that the site claims.
        steps: optimiser steps that the site claims.
        modality: the site's modality set, for the records.
        loss: mean training loss.
        seconds: wall time of training.
        data_wait: share of these seconds in which training waited for patches.
        validation: modality -> (mean Dice, cases) of the received model on validation cases.
        down_bytes: size of the received model's arrays.
    """

    site: str
    round: int
    arrays: Arrays
    cases: int
    steps: int
    modality: str = ""
    loss: float = float("nan")
    seconds: float = 0.0
    data_wait: float = float("nan")
    validation: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    down_bytes: int = 0
