import numpy as np

from retinue.classification.v1 import classification_pb2 as pb
from retinue.client.classification_answer import read_classification
from retinue.client.image_info import ImageInfo
from tests.unit.client.scripted_service import answer


def test_what_the_service_left_out_is_none() -> None:
    found = read_classification(pb.ClassifyResponse())
    assert (found.best, found.unknown_score, found.is_unknown) == (None, None, None)
    assert (found.logits, found.embedding) == (None, None)
    assert found.timings.total_s == 0


def test_a_score_of_zero_and_a_false_are_answers() -> None:
    found = read_classification(pb.ClassifyResponse(unknown_score=0.0, is_unknown=False))
    assert (found.unknown_score, found.is_unknown) == (0.0, False)


def test_logits_and_embedding_are_float32_arrays() -> None:
    found = read_classification(pb.ClassifyResponse(logits=[1.5, -2.0], embedding=[0.25]))
    assert found.logits is not None
    assert found.embedding is not None
    assert found.logits.dtype == found.embedding.dtype == np.float32
    np.testing.assert_array_equal(found.logits, [1.5, -2.0])


def test_answers_with_arrays_can_be_compared() -> None:
    response = answer("x")
    response.logits.extend([1.0, 2.0])
    assert read_classification(response) == read_classification(response)
    assert hash(read_classification(response)) == hash(read_classification(response))


def test_the_picture_as_the_service_saw_it() -> None:
    assert read_classification(answer()).image_info == ImageInfo(40, 30, 6, True, "jpeg")
