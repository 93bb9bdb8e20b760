"""Measure a model's lines on held-out prompts, report, merge, chat."""
