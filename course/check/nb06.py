"""Answers and usual mistakes of notebook 06, samplers."""
