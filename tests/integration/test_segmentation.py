"""The segmentation service as its users meet it: a real process with a small model that this test writes."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from numpy.testing import assert_array_equal

from loadtests.service_process import REPOSITORY, ServiceFailed, ServiceProcess
from retinue.segmentation.v1 import segmentation_pb2 as pb
from retinue.segmentation.v1 import segmentation_pb2_grpc
from tests.integration.synthetic_slide import SyntheticSlide
from tests.unit.services.segmentation.asking import (
    Streamed,
    batch_of,
    class_map,
    facts_of,
    image_of,
    options_of,
    request_of,
    start_of,
    stream_of,
    tiles_of,
)
from tests.unit.services.segmentation.tiny_segmenters import with_discs, write_segmenter

FULL_NAME = "retinue.segmentation.v1.SegmentationService"
DISCS, COUNT = with_discs(260, 330)
TILED = {"tile_size_px": 96, "overlap_px": 20}
MOST_GROWTH_MB = 300


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("models")
    write_segmenter(root, tiles={"tile_size_px": 512, "overlap_px": 64})
    return root


def settings_of(root: Path, **more: str) -> dict[str, str]:
    return {
        "RETINUE_MODELS__ROOTS": json.dumps([str(root)]),
        "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false",
        "RETINUE_MODELS__DEFAULT": "tiny",
        "RETINUE_ENGINE__WORKERS": "2",
        **more,
    }


@pytest.fixture(scope="module")
def segmentation(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    log = tmp_path_factory.mktemp("segmentation") / "service.log"
    with ServiceProcess("segmentation", log, settings_of(root)) as process:
        yield process


@pytest.fixture(scope="module")
def stub(segmentation: ServiceProcess) -> Iterator[Any]:
    with grpc.insecure_channel(segmentation.target) as channel:
        yield segmentation_pb2_grpc.SegmentationServiceStub(channel)


def test_classes_and_things_are_where_they_are(stub: Any) -> None:
    response = stub.Segment(request_of(image_of(DISCS)))
    expected = np.where(DISCS[..., 0] > 128, 1, np.where(DISCS[..., 1] > 128, 2, 0))
    assert_array_equal(class_map(response.classes, 260, 330), expected)
    assert len(response.instances) == COUNT
    assert (response.model.name, response.model.version) == ("tiny", "1")


def test_every_way_to_look_gives_the_same(stub: Any) -> None:
    """At once, through windows, in a batch, and tile by tile."""
    whole = stub.Segment(request_of(image_of(DISCS)))
    tiled = stub.Segment(request_of(image_of(DISCS), tiling=TILED))
    (result,) = stub.BatchSegment(batch_of(image_of(DISCS))).results
    streamed = Streamed.of(stub.SegmentStream(stream_of(DISCS, 100, 130), timeout=30), 260, 330)
    assert result.response.instances == whole.instances
    assert facts_of(tiled.instances) == facts_of(whole.instances) == facts_of(streamed.instances)
    assert tiled.classes == whole.classes == result.response.classes
    assert_array_equal(streamed.codes, class_map(whole.classes, 260, 330))


def test_streams_at_the_same_time_do_not_mix(stub: Any) -> None:
    pictures = [with_discs(200, 230, seed) for seed in range(4)]
    found: dict[int, Streamed] = {}

    def ask(number: int) -> None:
        messages = stream_of(pictures[number][0], 64, 80)
        found[number] = Streamed.of(stub.SegmentStream(messages, timeout=60), 200, 230)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number, (pixels, count) in enumerate(pictures):
        assert found[number].summary.instance_count == count
        assert_array_equal(found[number].codes > 0, pixels.max(axis=2) > 0)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mask_threshold": 2.0}, "options.mask_threshold"),
        ({"tiling": {"tile_size_px": 31}}, "options.tiling.tile_size_px"),
        ({"max_instances": 0}, "options.max_instances"),
    ],
)
def test_what_cannot_be_answered_says_why(stub: Any, options: dict[str, Any], word: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Segment(request_of(image_of(DISCS), **options))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert word in str(caught.value.details())


def test_the_serving_process_has_not_loaded_torch(segmentation: ServiceProcess, stub: Any) -> None:
    stub.Segment(request_of(image_of(DISCS)))
    loaded = Path(f"/proc/{segmentation.pid}/maps").read_text()
    assert "onnxruntime" in loaded  # so that the check can fail
    assert "torch" not in loaded


def test_reflection_and_health_know_the_service(segmentation: ServiceProcess) -> None:
    with grpc.insecure_channel(segmentation.target) as channel:
        assert FULL_NAME in ProtoReflectionDescriptorDatabase(channel).get_services()
        request = health_pb2.HealthCheckRequest(service=FULL_NAME)
        status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status
        assert status == health_pb2.HealthCheckResponse.SERVING


def test_tritonclient_gets_the_same_maps(segmentation: ServiceProcess, stub: Any, tmp_path: Path) -> None:
    """Run the stock client in another process, since two descriptions of its proto cannot live in one."""
    pictures = [with_discs(130, 90, seed)[0] for seed in range(3)]
    for number, pixels in enumerate(pictures):
        (tmp_path / f"{number}.png").write_bytes(image_of(pixels).encoded)
    program = REPOSITORY / "tests" / "integration" / "ask_triton_maps.py"
    files = sorted(tmp_path.glob("*.png"))
    command: list[str | Path] = [sys.executable, program, segmentation.target, "tiny", tmp_path / "maps.npz", *files]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert told["is_ready"]
    assert told["outputs"] == [
        ["class_map", "UINT16", [-1, -1, -1]],
        ["class_pixels", "INT64", [-1, 3]],
        ["instance_map", "INT32", [-1, -1, -1]],
    ]
    maps = np.load(tmp_path / "maps.npz")
    for number, pixels in enumerate(pictures):
        expected = stub.Segment(request_of(image_of(pixels)))
        assert_array_equal(maps["class_map"][number], class_map(expected.classes, 130, 90))
        assert maps["class_pixels"][number].tolist() == [one.pixel_count for one in expected.classes]
        areas = np.bincount(maps["instance_map"][number].ravel())[1:]
        assert sorted(areas.tolist()) == sorted(one.area_px for one in expected.instances)


# --- the end


class Paused:
    """A stream that stops after some messages until it is told to go on."""

    def __init__(self, messages: Iterator[pb.SegmentStreamRequest], count: int) -> None:
        self._messages = messages
        self._count = count
        self.is_paused = threading.Event()
        self.goes_on = threading.Event()

    def __iter__(self) -> Iterator[pb.SegmentStreamRequest]:
        for number, message in enumerate(self._messages):
            if number == self._count:
                self.is_paused.set()
                assert self.goes_on.wait(30)
            yield message


def test_a_stream_under_way_is_answered_to_its_end_after_sigterm(root: Path, tmp_path: Path) -> None:
    """And what comes later is told UNAVAILABLE."""
    pixels, count = with_discs(600, 200)
    messages = Paused(stream_of(pixels, 64, 100), 9)
    with (
        ServiceProcess("segmentation", tmp_path / "service.log", settings_of(root)) as service,
        grpc.insecure_channel(service.target) as channel,
        grpc.insecure_channel(service.target, [("grpc.use_local_subchannel_pool", 1)]) as other,
    ):
        stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
        call = stub.SegmentStream(iter(messages), timeout=60)
        assert messages.is_paused.wait(30)
        later = segmentation_pb2_grpc.SegmentationServiceStub(other)
        later.Segment(request_of(image_of(DISCS)))  # it is connected
        service.terminate()
        codes = set()
        give_up_s = time.monotonic() + 20
        while grpc.StatusCode.UNAVAILABLE not in codes and time.monotonic() < give_up_s:
            try:
                later.Segment(request_of(image_of(DISCS)), timeout=5)
            except grpc.RpcError as error:
                codes.add(error.code())
        messages.goes_on.set()
        found = Streamed.of(call, 600, 200)
        assert service.wait() == 0
        events = [event["event"] for event in service.events()]
    assert codes == {grpc.StatusCode.UNAVAILABLE}
    assert found.summary.instance_count == count
    assert events.index("draining") < events.index("stopped")


def test_a_stream_that_stalls_does_not_keep_the_service_from_ending(root: Path, tmp_path: Path) -> None:
    settings = settings_of(root, RETINUE_GRPC__GRACE_S="0.5")
    messages = Paused(iter([start_of(128, 128), *tiles_of(DISCS[:128, :128])]), 2)
    with (
        ServiceProcess("segmentation", tmp_path / "service.log", settings) as service,
        grpc.insecure_channel(service.target) as channel,
    ):
        call = segmentation_pb2_grpc.SegmentationServiceStub(channel).SegmentStream(iter(messages), timeout=60)
        assert messages.is_paused.wait(30)
        begin_s = time.monotonic()
        service.terminate()
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        messages.goes_on.set()
        assert service.wait() == 0
        assert time.monotonic() - begin_s < 15
    assert caught.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize(
    ("settings", "exit_code", "words"),
    [
        ({"RETINUE_SLIDES__STALL_TIMEOUT_S": "0"}, 2, "slides.stall_timeout_s"),
        ({"RETINUE_SLIDES__MAX_TILES": "5"}, 2, "RETINUE_SLIDES__MAX_TILES"),
        ({"RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"}, 1, "no_model_loaded"),
    ],
)
def test_a_service_that_cannot_serve_says_why_and_ends(
    tmp_path: Path, settings: dict[str, str], exit_code: int, words: str
) -> None:
    process = ServiceProcess("segmentation", tmp_path / "service.log", settings)
    with pytest.raises(ServiceFailed, match=words), process:
        pass
    assert process.wait() == exit_code


# --- slides


def memory_mb(process: ServiceProcess, name: str) -> float:
    """Return the resident memory of a process, now (``VmRSS``) or at its highest (``VmHWM``)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (kib,) = [int(line.split()[1]) for line in lines if line.startswith(f"{name}:")]
    return kib / 1024


@dataclass(frozen=True)
class Walk:
    """What a slide's stream gave, and what it took."""

    areas: list[int]
    tile_count: int
    summary: pb.SlideSummary
    growth_mb: float


def walked(service: ServiceProcess, stub: Any, slide: SyntheticSlide, tile_px: int) -> Walk:
    """Send a slide and keep of the answers what is needed, so that this process stays small too."""
    options = options_of()
    for _ in stub.SegmentStream(SyntheticSlide(1500, 1500).messages(tile_px, tile_px, options), timeout=120):
        pass  # to be warm
    before_mb = memory_mb(service, "VmRSS")
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # the highest begins anew
    areas: list[int] = []
    tiles, summary = 0, pb.SlideSummary()
    for response in stub.SegmentStream(slide.messages(tile_px, tile_px, options)):
        tiles += response.HasField("tile")
        areas += [one.area_px for one in response.instances.instances]
        if response.HasField("summary"):
            summary = response.summary
    return Walk(areas, tiles, summary, memory_mb(service, "VmHWM") - before_mb)


def assert_right(walk: Walk, slide: SyntheticSlide, tile_px: int) -> None:
    """In every respect, and to the pixel: the discs are far from touching, and each pixel is looked at by itself."""
    summary = walk.summary
    assert walk.tile_count == summary.tile_count == -(-slide.height // tile_px) * -(-slide.width // tile_px)
    assert len(walk.areas) == summary.instance_count == slide.count
    expected = slide.areas()
    assert sum(walk.areas) == expected.sum()
    assert [one.instance_area_px for one in summary.classes] == expected.tolist()
    assert [one.pixel_count for one in summary.classes][1:] == expected[1:].tolist()
    assert sum(one.pixel_count for one in summary.classes) == slide.height * slide.width
    counts = np.bincount(slide.discs[..., 3].ravel(), minlength=3)
    assert [one.instance_count for one in summary.classes] == counts.tolist()


def test_a_slide_of_12_megapixels_is_counted_in_little_memory(segmentation: ServiceProcess, stub: Any) -> None:
    slide = SyntheticSlide(3000, 4000)
    walk = walked(segmentation, stub, slide, 512)
    assert_right(walk, slide, 512)
    assert walk.growth_mb < MOST_GROWTH_MB


@pytest.mark.slow
@pytest.mark.parametrize("tile_px", [512, 1000])
def test_a_slide_of_400_megapixels_is_counted_in_little_memory(root: Path, tmp_path: Path, tile_px: int) -> None:
    """20 000 x 20 000 pixels would be 1.2 GB, and their class map and label map 2 GB more."""
    slide = SyntheticSlide(20_000, 20_000)
    with (
        ServiceProcess("segmentation", tmp_path / "service.log", settings_of(root)) as service,
        grpc.insecure_channel(service.target, [("grpc.max_receive_message_length", -1)]) as channel,
    ):
        stub = segmentation_pb2_grpc.SegmentationServiceStub(channel)
        begin_s, cpu_s = time.monotonic(), service.cpu_s()
        walk = walked(service, stub, slide, tile_px)
        print(  # noqa: T201 - shown by -s: what was measured
            f"{tile_px}: growth {walk.growth_mb:.0f} MB, {time.monotonic() - begin_s:.0f} s, "
            f"CPU of the service {service.cpu_s() - cpu_s:.0f} s, {len(walk.areas)} of {slide.count}"
        )
    assert_right(walk, slide, tile_px)
    assert walk.growth_mb < MOST_GROWTH_MB
