"""How good a site's data are, as one number that the site computes and sends."""
