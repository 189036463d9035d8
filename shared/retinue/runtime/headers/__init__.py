"""What each file format says about a picture before its pixels: one format, one file."""
