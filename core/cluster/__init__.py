"""Work on other machines, and with several processes at once, through Ray: an optional extra."""
