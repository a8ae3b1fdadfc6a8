"""The three workflows of a job, under the paths that jobs and the sites' policies name."""

from fedvox.flare.workflow_evaluation import FedVoxCrossSiteEval
from fedvox.flare.workflow_results import WriteResults
from fedvox.flare.workflow_training import FedVoxScatterAndGather

__all__ = ["FedVoxCrossSiteEval", "FedVoxScatterAndGather", "WriteResults"]
