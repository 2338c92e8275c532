"""A coroutine in a thread of its own, ended when the block around it is left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from olmes.errors import OlmesError

LEAVING_SECONDS = 2.0
"""How long the loop's thread may take to end; it is left behind then, and dies with the process."""


@contextlib.contextmanager
def in_background(work: Coroutine[Any, Any, None]) -> Iterator[Callable[[], bool]]:
    """Run a coroutine in an event loop of a thread of its own; gives whether it still runs.

    Leaving the block early, by whatever exception, cancels the coroutine. Leaving it otherwise
    raises what the coroutine raised. A thread is needed because the caller (a notebook) may already
    run a loop, and because the thread that called must be free to take results.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # raised again in the thread that called
            failed.append(error)
        finally:
            with contextlib.suppress(RuntimeError):
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()

    thread = threading.Thread(target=run, name="olmes-http", daemon=True)
    thread.start()
    try:
        yield thread.is_alive
    except BaseException:
        with contextlib.suppress(RuntimeError):  # the loop may have ended in this moment
            loop.call_soon_threadsafe(task.cancel)
        thread.join(LEAVING_SECONDS)
        raise
    thread.join(LEAVING_SECONDS)
    if failed:
        raise root(failed[0])


def root(error: BaseException) -> BaseException:
    """What a task group wraps: the error for the user before any other."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [root(one) for one in error.exceptions]
    return next((one for one in inner if isinstance(one, OlmesError)), inner[0])
