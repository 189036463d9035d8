from retinue.zoo.errors import CheckpointMismatch


def test_long_lists_are_cut_and_counted() -> None:
    error = CheckpointMismatch("net", missing=[f"w{i}" for i in range(20)])
    assert str(error) == ("the checkpoint does not fit net: missing: w0, w1, w2, w3, w4, w5, w6, w7 and 12 more")
    assert len(error.missing) == 20
