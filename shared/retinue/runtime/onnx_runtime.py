"""ONNX Runtime, imported from here alone, since it must be told beforehand not to report its use to its maker.

From 1.29 on, its wheels for Linux send events about the process, the models and their runs unless a variable says
otherwise when they are imported. Its own `disable_telemetry_events` comes too late: by then an identifier of the device
lies in the home folder and an event is on its way. Who wants to report sets ``ORT_DISABLE_TELEMETRY=0``.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - no setting of ours: the library reads it

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

__all__ = ["onnxruntime", "ort_errors"]
