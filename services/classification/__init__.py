"""Classification: a picture in, its most likely labels out."""
