from retinue.zoo.coco_labels import NOT_ANNOTATED, coco_labels


def test_ids_that_were_never_annotated_have_no_name_and_all_others_have_their_own() -> None:
    names = coco_labels()
    missing = [number for number, name in enumerate(names) if name == NOT_ANNOTATED]
    assert missing == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert len(set(names)) == len(names) - len(missing) + 1
    assert (names[17], names[44], names[62], names[84]) == ("cat", "bottle", "chair", "book")
