"""Names of the classes of detectors that were trained on COCO, by the data set's own ids.

Source:
    Lin et al., ECCV 2014, arXiv:1405.0312. Ten of the 90 categories were never annotated; published detectors keep
    their ids, without a name.
"""

NOT_ANNOTATED = "N/A"
_MISSING = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
_NAMES = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)


def coco_labels(background: str = "background") -> tuple[str, ...]:
    """Return 91 names: the background's at 0, then one for each id up to 90, `NOT_ANNOTATED` where there is none.

    >>> names = coco_labels()
    >>> len(names), names[1], names[13], names[90], names.count(NOT_ANNOTATED)
    (91, 'person', 'stop sign', 'toothbrush', 10)
    """
    named = iter(_NAMES)
    return (background, *(NOT_ANNOTATED if number in _MISSING else next(named) for number in range(1, 91)))
