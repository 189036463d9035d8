"""In processes of their own: gevent's patches would change this one."""

import subprocess
import sys

import pytest

from loadtests.service_process import REPOSITORY

pytest.importorskip("gevent", reason="the extra loadtests is not installed")

PROGRAM = """
import gevent.monkey
gevent.monkey.patch_all()
from loadtests.load.cooperation import GeventMissing, assert_calls_give_way, set_up_gevent
try:
    {0}()
except GeventMissing as error:
    print(error)
"""


def output_of(function: str) -> str:
    command = [sys.executable, "-c", PROGRAM.format(function)]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout


def test_calls_give_way_once_gevent_is_set_up() -> None:
    assert output_of("set_up_gevent") == ""


def test_it_is_noticed_where_gevent_was_not_set_up() -> None:
    assert "init_gevent was not called" in output_of("assert_calls_give_way")
