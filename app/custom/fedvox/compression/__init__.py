"""Updates as few bytes: top-k with error feedback, fitted quantisation, an exact codec."""
