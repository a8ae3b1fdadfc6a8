"""Results that come when no task waits for them."""

from nvflare.apis.client import Client
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable


class UnusedLateResults(Controller):
    """A workflow that uses no result without a task of its own: nothing tells whose it is."""

    def process_result_of_unknown_task(
        self,
        client: Client,
        task_name: str,
        client_task_id: str,
        result: Shareable,
        fl_ctx: FLContext,
    ) -> None:
        """Leaves a line in the log; the task's name is the sender's word and stays out of it."""
        self.log_warning(fl_ctx, f"late result of {client.name} is not used")
