"""How long a job waits for its sites."""

from dataclasses import dataclass

from fedvox.config import setting

DAY = 86_400.0
MOST_SITES = 10_000


@dataclass(frozen=True)
class WaitingSettings:
    """For how many sites a job waits, and how long.

    A round ends when every site that it waits for has answered, or when it has waited long enough
    and ``sites`` have. Who did not answer in time is asked again in each round, and waited for
    again once anything came from it: a stuck site costs one round's waiting. ``nvflare simulator``,
    whose sites share one machine, waits for every site unless ``round`` is set.

    Attributes:
        sites: training sites without which the job does not start and no round ends, however long
            they take. ``meta.json`` of an exported job has the same number as ``min_clients``.
        handshake: seconds that the start waits for connected sites; who is ready later joins in a
            later round.
        first: seconds that a round waits, from its start, while one of its sites has not answered
            a round yet.
        round: seconds that every round waits; 0 measures: ``margin`` times the longest answer of
            its sites in their last five rounds, at least 60 s. A site that came late is waited for
            up to twice as long as the time before.
        evaluation: seconds that the evaluation waits for a site; 0 measures, by the rounds and
            ``margin``, at least 300 s and 60 s for each case and model.
        margin: how many times longer than measured a site may take.
    """

    sites: int = setting(1, low=1, high=MOST_SITES)
    handshake: float = setting(300.0, low=0.0, high=DAY)
    first: float = setting(3600.0, low=1.0, high=7 * DAY)
    round: float = setting(0.0, low=0.0, high=7 * DAY)
    evaluation: float = setting(0.0, low=0.0, high=7 * DAY)
    margin: float = setting(3.0, low=1.5, high=100.0)
