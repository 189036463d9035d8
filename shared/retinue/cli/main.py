"""Entry of the `retinue` command: picks the sub-command and turns what goes wrong into one line and an exit code."""

import importlib
import io
import os
import sys
from collections.abc import Sequence

from retinue.cli.arguments import build_parser
from retinue.cli.refusal import Refused, harmless

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 some of it failed, 2 asked wrongly, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may be anything
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
        # Only the chosen command's module is imported, so that help is there at once.
        code: int = importlib.import_module(arguments.command).run(arguments)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse, after it printed help or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    except Refused as refusal:
        sys.stderr.write(f"retinue: {harmless(str(refusal))}\n")
        return refusal.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; the interpreter would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
