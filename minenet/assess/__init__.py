"""Scores and figures of a trained model on scenes that it has not seen."""
