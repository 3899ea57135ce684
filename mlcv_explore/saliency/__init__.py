"""Saliency maps: made, compared, scored and doubted."""
