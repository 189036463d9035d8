"""The blocking client of classification against a real server in this process."""

import pytest

from retinue.classification.v1 import classification_pb2 as pb
from retinue.client.classification import ClassificationClient
from retinue.client.pictures import Picture
from retinue.common.v1 import image_pb2, model_pb2
from tests.unit.client.scripted_service import Running

JPEG = b"\xff\xd8 not looked at"


def test_an_answer_arrives_as_a_value(client: ClassificationClient, served: Running) -> None:
    found = client.classify(Picture(JPEG, "a.jpg"))
    assert found.image_id == "a.jpg"
    assert found.best is not None
    assert (found.best.label.class_id, found.best.label.name, found.best.score) == (3, "cat", 0.75)
    assert (found.model_name, found.model_version) == ("pets", "2")
    assert (found.unknown_score, found.is_unknown) == (0.5, False)
    assert found.timings.total_s == pytest.approx(1.001)  # nanoseconds are exact, their sum is not
    assert found.logits is None


def test_every_option_reaches_the_service(client: ClassificationClient, served: Running) -> None:
    client.classify(
        JPEG,
        model="pets@2",
        top_k=7,
        score_threshold=0.0,
        activation="sigmoid",
        return_logits=True,
        return_embedding=True,
        request_id="frame-17",
    )
    (request,) = served.service.requests
    assert request == pb.ClassifyRequest(
        image=image_pb2.Image(encoded=JPEG),
        model=model_pb2.ModelRef(name="pets", version="2"),
        options=pb.ClassificationOptions(
            top_k=7,
            score_threshold=0.0,
            activation=pb.ACTIVATION_SIGMOID,
            return_logits=True,
            return_embedding=True,
        ),
    )
    assert request.options.HasField("score_threshold"), "0.0 is a threshold and not the absence of one"
    assert served.service.metadata[0]["x-request-id"] == "frame-17"


def test_unset_options_are_left_to_the_service(client: ClassificationClient, served: Running) -> None:
    client.classify(JPEG)
    (request,) = served.service.requests
    assert not request.HasField("model")
    assert request.options == pb.ClassificationOptions()
