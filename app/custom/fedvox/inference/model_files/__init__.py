"""Models as files: FedVox's own, MONAI bundles, TorchScript."""
