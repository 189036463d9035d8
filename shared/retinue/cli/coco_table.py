"""COCO's twelve lines."""

from collections.abc import Iterator

from retinue.client.evaluation_answer import CocoSummary

# As pycocotools has them: which figure, at which IoU, of which areas, with how many detections.
_ROWS = (
    ("ap", "0.50:0.95", "all", 100),
    ("ap50", "0.50", "all", 100),
    ("ap75", "0.75", "all", 100),
    ("ap_small", "0.50:0.95", "small", 100),
    ("ap_medium", "0.50:0.95", "medium", 100),
    ("ap_large", "0.50:0.95", "large", 100),
    ("ar_1", "0.50:0.95", "all", 1),
    ("ar_10", "0.50:0.95", "all", 10),
    ("ar_100", "0.50:0.95", "all", 100),
    ("ar_small", "0.50:0.95", "small", 100),
    ("ar_medium", "0.50:0.95", "medium", 100),
    ("ar_large", "0.50:0.95", "large", 100),
)


def coco_lines(summary: CocoSummary) -> Iterator[str]:
    """Yield the lines that pycocotools prints, letter by letter; figures that are absent are -1.000.

    >>> next(coco_lines(CocoSummary(0.5, *[None] * 11)))
    ' Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500'
    """
    for name, iou, area, limit in _ROWS:
        title, kind = ("Average Precision", "(AP)") if name.startswith("ap") else ("Average Recall", "(AR)")
        figure = getattr(summary, name)
        value = -1.0 if figure is None else figure
        yield f" {title:<18} {kind} @[ IoU={iou:<9} | area={area:>6s} | maxDets={limit:>3d} ] = {value:0.3f}"
