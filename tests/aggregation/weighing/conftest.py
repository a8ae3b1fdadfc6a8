from collections.abc import Callable, Mapping

import numpy as np
import pytest

from fedvox.aggregation.update import Update


@pytest.fixture
def sites_of(update_of) -> Callable[..., tuple[dict[str, Update], Callable, dict]]:
    """A function from site -> change of the tensors to what a rule is given of a round.

    The global model is 0 everywhere, so what a site sends is what it changed. Claims of all sites
    are keywords; a mapping under one holds them by site.
    """

    def make(changes: Mapping[str, Mapping[str, object]], **claims: object):
        sent = {s: {n: np.float32(v) for n, v in own.items()} for s, own in changes.items()}
        updates = {
            site: update_of(
                site,
                {},
                sent=frozenset(arrays),
                **{
                    key: value[site] if isinstance(value, Mapping) else value
                    for key, value in claims.items()
                    if not isinstance(value, Mapping) or site in value
                },
            )
            for site, arrays in sent.items()
        }
        model = {n: np.zeros_like(v) for arrays in sent.values() for n, v in arrays.items()}
        return updates, lambda site, name: sent[site][name], model

    return make
