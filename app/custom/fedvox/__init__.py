"""FedVox: one 3D segmentation model across hospitals, without moving a scan."""

__version__ = "0.1.0"
