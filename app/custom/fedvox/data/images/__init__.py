"""Files of every form to volumes, and what a header and its voxels say of themselves."""
