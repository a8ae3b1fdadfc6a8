"""Updates as few bytes: top-k with error feedback, stochastic quantisation, an exact codec."""
