"""External validation: a trained model on the cases of one site, without a federation."""

from fedvox.data.site.site_data import SiteData
from fedvox.errors import ConfigError
from fedvox.inference.model_files.model_file import TrainedModel
from fedvox.inference.predict import loaded
from fedvox.inference.site_rows import site_rows
from fedvox.job.device import memory_errors
from fedvox.metrics.table import MetricRow


def evaluate_model(
    trained: TrainedModel, site: SiteData, split: str = "test", progress: bool = False
) -> list[MetricRow]:
    """Every metric of every case of a part, on the scanner's own grid.

    The tables call the model as its run did: ``global_best`` unless ``model.json`` says otherwise.

    Args:
        trained: from :func:`fedvox.inference.model_files.model_file.read_model`.
        site: opened with the settings of the model's job.
        split: ``test``, ``val`` or ``train``.
        progress: shows a progress bar on a terminal.

    Raises:
        ConfigError: the site holds a modality that the model was not made for, or memory is full.
    """
    foreign = sorted(set(site.modalities) - set(trained.job.data.modality_sets))
    if foreign:
        raise ConfigError(
            f"the site holds {', '.join(foreign)}, the model is for "
            f"{', '.join(trained.job.data.modality_sets)}; name those under 'modalities' in the "
            "site file"
        )
    model, device = loaded(trained)
    with memory_errors(trained.job.data.patch):
        return site_rows(model, trained.name, site, trained.job, split, device, progress)
