"""Measures of models: classification, overlap of masks, linear probes, maps of
features.
"""
