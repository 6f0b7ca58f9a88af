"""Diagnosis: what goes wrong with a training, measured and said in words."""
