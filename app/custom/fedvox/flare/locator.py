"""Names the server's models for cross-site evaluation."""

from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model_locator import ModelLocator

from fedvox.flare.run.messages import MODEL_BEST, MODEL_LAST
from fedvox.flare.run.server_run import server_run


class SafetensorsLocator(ModelLocator):
    """``global_last`` and, where validation chose an earlier round, ``global_best``."""

    def get_model_names(self, fl_ctx: FLContext) -> list[str]:
        """The models that exist."""
        state = server_run(fl_ctx).state
        return [MODEL_LAST, MODEL_BEST] if state.best else [MODEL_LAST]

    def locate_model(self, model_name: str, fl_ctx: FLContext) -> DXO | None:
        """Loads a model by name, None for an unknown name."""
        state = server_run(fl_ctx).state
        loaders = {MODEL_LAST: state.load_last, MODEL_BEST: state.load_best}
        weights = loaders[model_name]() if model_name in loaders else None
        return DXO(DataKind.WEIGHTS, data=weights) if weights is not None else None
