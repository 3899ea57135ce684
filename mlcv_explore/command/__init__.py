"""The command line: every page's work without a browser. Results on stdout, progress
and errors on stderr.
"""

import os
import sys
from collections.abc import Sequence

from mlcv_explore.command.arguments import UsageError, read
from mlcv_explore.config import SettingError

# the last two as in shells: 128 + SIGINT, 128 + SIGPIPE
DONE, FAILED, BAD_USAGE, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors a user can act on are one
    sentence, bugs keep their traceback.
    """
    try:
        options = read(sys.argv[1:] if words is None else words)
        options.run(options)
        sys.stdout.flush()
        return DONE
    except (UsageError, SettingError) as error:
        return _report_error(error, BAD_USAGE)
    except BrokenPipeError:
        # otherwise flushing at exit raises again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except (ValueError, ArithmeticError, MemoryError, OSError) as error:
        return _report_error(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _report_error(error: BaseException, status: int) -> int:
    print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
    return status
