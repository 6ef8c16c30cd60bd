"""The compiler of Liquid for batches, compared with python-liquid."""
