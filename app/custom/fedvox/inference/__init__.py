"""From a model and an image to labels and scores."""
