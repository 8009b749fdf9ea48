"""What work costs even on a machine that others use: processor time; see the fixture `one_thread`."""

import time
from collections.abc import Callable


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor time of one call, of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start
