"""The matching service: pairs two sets, scores detections, follows things through frames."""
