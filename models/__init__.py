"""Networks only: encoders, heads and their files. Torch in, torch out; imports neither ``core`` nor ``pages``."""
