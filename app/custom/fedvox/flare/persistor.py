"""The global model at the server: initial, or the newest checkpoint of the same run."""

from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.model import ModelLearnable, make_model_learnable
from nvflare.app_common.abstract.model_persistor import ModelPersistor

from fedvox.encryption.cipher import is_sealed
from fedvox.errors import ModelError
from fedvox.flare.run.server_run import server_run
from fedvox.job.model import initial_model
from fedvox.job.weights import load_weights, weights_of


class SafetensorsPersistor(ModelPersistor):
    """Loads and keeps the global model as safetensors with its architecture checked."""

    def load_model(self, fl_ctx: FLContext) -> ModelLearnable:
        """The newest checkpoint of this run, or the job's initial weights, less what stays at the
        sites.

        Raises:
            ConfigError: ``training.personal`` does not fit the network.
            ModelError: the checkpoint belongs to another architecture, or it or the memory that
                was written with it is damaged.
        """
        run = server_run(fl_ctx)
        model = initial_model(run.job)
        common = run.parts.common(weights_of(model))
        saved = run.state.load_last()
        if saved is not None and run.job.encryption is not None and is_sealed(saved):
            run.state.load_memory()
            self.log_info(fl_ctx, f"resuming after round {run.state.version}, encrypted")
            return make_model_learnable(saved, {})
        if saved is not None:
            load_weights(model, saved, common)
            run.state.load_memory()  # damage is told before anybody trains
            self.log_info(fl_ctx, f"resuming after round {run.state.version}")
        weights = weights_of(model)
        return make_model_learnable({name: weights[name] for name in common}, {})

    def save_model(self, model: ModelLearnable, fl_ctx: FLContext) -> None:
        """Checks that the round's model is on disk; the aggregator writes it with its record.

        Raises:
            ModelError: there is no checkpoint of this round.
        """
        if server_run(fl_ctx).state.load_last() is None:
            raise ModelError("no checkpoint was written in this round; check the server's disk")
