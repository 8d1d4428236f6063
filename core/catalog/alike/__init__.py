"""What tiles look like: which are alike, the same, or next to each other."""
