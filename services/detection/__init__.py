"""Detection: a picture in, boxes with labels and scores out."""
