"""Checks of the exercises, one module a notebook; `engine` says how a check speaks."""
