"""FedVox: one 3D segmentation model across hospitals, without moving a scan."""

from fedvox.identity import settle

__version__ = "0.1.0"

settle()
