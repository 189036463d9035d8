"""Round things, drawn at random: what the embedded detector and the embedded segmenter learn from."""
