"""Compiled loops over plain arrays; they know nothing of games."""
