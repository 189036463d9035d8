"""The command: `python -m loadtests.load SCENARIO`, see `run.py`."""

import sys

import gevent.monkey

gevent.monkey.patch_all()  # before anything is imported that waits

from loadtests.load.run import main  # noqa: E402

sys.exit(main())
