"""Which sites take part: what they tell of themselves, and why a site is refused."""
