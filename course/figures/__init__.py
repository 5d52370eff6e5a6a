"""Figures of single topics, one module a topic. What is general stands in `course/viz.py`."""
