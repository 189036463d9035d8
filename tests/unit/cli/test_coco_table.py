import contextlib
import io

import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from retinue.cli.coco_table import coco_lines
from retinue.client.evaluation_answer import CocoSummary


@pytest.mark.parametrize("figures", [[0.0, 1.0, 0.5, None, 0.12345, None, 0.9996, 0.0004, None, 0.25, 0.75, None]])
def test_the_lines_are_those_of_pycocotools(figures: list[float | None]) -> None:
    """Its own summary, of precisions and recalls that have these means."""
    names = ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]
    judge = COCOeval()
    judge.params.catIds = [1]
    precision, recall = np.full((10, 101, 1, 4, 3), -1.0), np.full((10, 1, 4, 3), -1.0)
    ap = dict(zip(names, figures, strict=False))
    for area, name in enumerate(("ap", "ap_small", "ap_medium", "ap_large")):
        value = ap[name]
        if value is not None:
            precision[:, :, 0, area, 2] = value
    recalls = {(0, 0): figures[6], (0, 1): figures[7], (0, 2): figures[8]}
    recalls |= {(area, 2): figures[8 + area] for area in (1, 2, 3)}
    for (area, limit), value in recalls.items():
        if value is not None:
            recall[:, 0, area, limit] = value
    judge.eval = {"precision": precision, "recall": recall}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        judge.summarize()
    # At one threshold alone it reads the same precisions.
    told = [figures[0], figures[0], figures[0], *figures[3:]]
    assert list(coco_lines(CocoSummary(*told))) == printed.getvalue().splitlines()
