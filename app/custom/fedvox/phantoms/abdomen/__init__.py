"""The abdomen: six organs, bowel, vessels and the trunk around them."""
