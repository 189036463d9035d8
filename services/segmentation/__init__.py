"""Segmentation: a picture in, a class for every pixel and the outlines of single things out."""
