import pytest
from google.protobuf.duration_pb2 import Duration

from retinue.client.timings import read_timings
from retinue.common.v1 import model_pb2


def test_the_total_is_the_sum_of_all_stages() -> None:
    timings = read_timings(
        model_pb2.Timings(
            queue=Duration(nanos=1),
            decode=Duration(nanos=20),
            preprocess=Duration(nanos=300),
            infer=Duration(seconds=1),
            postprocess=Duration(nanos=4000),
            batch_size=4,
        )
    )
    assert (timings.queue_s, timings.decode_s, timings.infer_s, timings.batch_size) == (1e-9, 20e-9, 1.0, 4)
    assert timings.total_s == pytest.approx(1.000004321, abs=1e-12)


def test_what_is_not_told_took_no_time() -> None:
    assert read_timings(model_pb2.Timings()).total_s == 0
