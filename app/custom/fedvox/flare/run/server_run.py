"""What the server's components share during one run."""

import logging
from collections.abc import Collection
from functools import cached_property
from typing import IO, Any

from nvflare.apis.fl_context import FLContext

from fedvox.admission.registration import Registration
from fedvox.aggregation.downlink import Sent, sent_from
from fedvox.aggregation.left_out import counted_share
from fedvox.aggregation.memory import Memory
from fedvox.aggregation.run_state import RunState
from fedvox.aggregation.traffic import Ledger
from fedvox.aggregation.update import Arrays
from fedvox.compression.replica import replica_name, tensor_digest
from fedvox.data.settings import singles
from fedvox.errors import FedVoxError
from fedvox.flare.run.places import load_job, results_dir, state_dir
from fedvox.job.model import job_parts
from fedvox.job.settings import JobSettings
from fedvox.networks.parts import Parts
from fedvox.report.records.failure import Failure

logger = logging.getLogger(__name__)
MOST_NOTES = 100
MOST_LETTERS = 500
_PROPERTY = "fedvox_server_run"


class ServerRun:
    """Settings, state and registrations of the running job.

    Attributes:
        job: the job's settings.
        job_id: FLARE's id of the run.
        state: the server's memory on disk.
        results: folder that comes back with the job.
        admitted: site -> what it holds now, of the sites that take part, filled by the handshake;
            claims and reports are held against it.
        registered: site -> modality -> training cases that count, of those of these sites that
            train.
        external: those of these sites that only test.
        validation: site -> modality -> validation cases that count.
        cases: site -> its validation and test cases now.
        coarse: site -> test cases with every voxel edge above NSD's tolerance, if any.
        phantom: True when any site uses phantom data.
        modalities: modality sets that sites train.
        notes: what happened since the last record of a round, for the next one.
        stage: what the run is doing: ``start``, ``training``, ``evaluation``, ``results``.
        awaited: sites that were asked in the open round and have not answered.
        lost: sites whose connection or job process was lost in the run.
        failure: why the run failed, None as long as it did not.
        finished: True once everything is written that the run promises.
        refused: site and reason of each report and model that the evaluation refused.
        ledger: bytes of the messages since the last record.
        claim: what holds other jobs off the same run, once it is taken.
    """

    notes: tuple[str, ...] = ()
    stage: str = "start"
    awaited: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    failure: Failure | None = None
    finished: bool = False

    def __init__(self, fl_ctx: FLContext) -> None:
        self.job: JobSettings = load_job(fl_ctx)
        self.job_id = str(fl_ctx.get_job_id())
        self.state = RunState(state_dir(fl_ctx, continues=self.job.training.continues))
        self.results = results_dir(fl_ctx)
        self.results.mkdir(parents=True, exist_ok=True)
        self.admitted: dict[str, Registration] = {}
        self.registered: dict[str, dict[str, int]] = {}
        self.external: frozenset[str] = frozenset()
        self.coarse: dict[str, int] = {}
        self.validation: dict[str, dict[str, int]] = {}
        self.cases: dict[str, tuple[int, int]] = {}
        self.phantom = False
        self.modalities: list[str] = []
        self.refused: list[dict[str, str]] = []
        self.ledger = Ledger()
        self.claim: IO[str] | None = None
        self._sent: tuple[int, Sent | None, Memory] | None = None
        self._digests: tuple[int, dict[str, str]] = (-1, {})

    def disown(self) -> None:
        """Turns away from a state that belongs to a run which this job may not go on with: nothing
        of it must be written, and nothing come into the job's results."""
        self.state = RunState(self.results / "none")

    @cached_property
    def parts(self) -> Parts:
        """Which tensors of the job's network a site has, and which stay there.

        Raises:
            ConfigError: ``training.personal`` does not fit the network.
        """
        return job_parts(self.job)

    def travelling(self, names: Collection[str]) -> dict[str, frozenset[str]]:
        """Site -> tensors that it gets and sends, as it registered, of the sites that take part.

        Args:
            names: the tensors of the global model.
        """
        own = {site: registration.modalities for site, registration in self.admitted.items()}
        return {site: self.parts.travelling(names, held) for site, held in own.items()}

    def trained(self, names: Collection[str]) -> frozenset[str]:
        """Those of a model's tensors that some site trains: not the encoder of a modality of which
        sites have test cases only, which is as it was drawn.

        Args:
            names: tensors of the global model.
        """
        held, modality_of = singles(self.modalities), self.job.network.modality_of
        return frozenset(name for name in names if modality_of(name) in (None, *held))

    def sent(self) -> Sent | None:
        """The compressed messages that lead to the newest model; None where there are none."""
        return self._newest()[1]

    def counted(self, site: str) -> tuple[int, float] | None:
        """The last round whose update of a site did not count in full, and the share that did."""
        return counted_share(self._newest()[2], site)

    def _newest(self) -> tuple[int, Sent | None, Memory]:
        """What the newest version's memory says of messages; it is read once for all sites."""
        version = self.state.version
        if self._sent is None or self._sent[0] != version:
            memory = self.state.load_memory()
            self._sent = version, sent_from(memory), Memory({}, memory.numbers)
        return self._sent

    def replica(self, version: int, own: Arrays) -> str:
        """How a site names what it holds of a version of the global model; each tensor is hashed
        once.

        Args:
            version: of the global model.
            own: the tensors of it that the site gets.
        """
        found = self._digests
        if found[0] != version:
            found = self._digests = version, {}
        known = found[1]
        missing = {name: array for name, array in own.items() if name not in known}
        known |= {name: tensor_digest(name, array) for name, array in missing.items()}
        return replica_name(version, {name: known[name] for name in own})

    @property
    def sites(self) -> list[str]:
        """All sites that take part, those that only test too, by name."""
        return sorted({*self.registered, *self.external})

    def refuse(self, site: str, reason: str) -> None:
        """Logs, and keeps once for the results, what is not taken from a site in the evaluation."""
        logger.error("refused: %s: %s", site, reason)
        entry = {"site": site, "reason": reason}
        if entry not in self.refused:
            self.refused.append(entry)

    def note(self, text: str) -> None:
        """Logs a line and keeps it for the next round's record; at most :data:`MOST_NOTES`."""
        line = " ".join(text.split())[:MOST_LETTERS]
        logger.warning("%s", line)
        if len(self.notes) < MOST_NOTES:
            self.notes = (*self.notes, line)

    def take_notes(self) -> list[str]:
        """The notes so far; they are handed out once."""
        taken, self.notes = list(self.notes), ()
        return taken

    def asked_sites(
        self, connected: Collection[str], least: int, among: Collection[str] | None = None
    ) -> list[str]:
        """Sites that get a training task: those that train, as far as enough are connected.

        Args:
            connected: sites that FLARE knows.
            least: sites that the job needs.
            among: nobody else is asked as long as they are enough; None for all.

        Raises:
            FedVoxError: too few take part.
        """
        admitted = sorted(self.registered)
        if len(admitted) < least:
            raise FedVoxError(
                f"{len(admitted)} of {least} needed sites take part "
                f"({', '.join(admitted) or 'none'}){only_test(self.external)}; the server's log "
                "and the rounds' notes say why the others do not"
            )
        there = [site for site in admitted if site in set(connected)]
        asked = there if len(there) >= least else admitted
        known = [site for site in asked if among is None or site in among]
        return known if len(known) >= least else asked


def only_test(sites: Collection[str]) -> str:
    """Adds to a count of sites who is not counted, since it trains nothing."""
    return f"; {', '.join(sorted(sites))}: no training, tests only" if sites else ""


def server_run(fl_ctx: FLContext) -> ServerRun:
    """The one :class:`ServerRun` of this process; made on first use."""
    engine: Any = fl_ctx.get_engine()
    if not isinstance(getattr(engine, _PROPERTY, None), ServerRun):
        setattr(engine, _PROPERTY, ServerRun(fl_ctx))
    run: ServerRun = getattr(engine, _PROPERTY)
    return run
