"""Whether members draw from the generators of Python and NumPy, which most do not.

To exchange the states of these takes longer than many modules do. So it is left off as soon as a
pass in which all members took part has drawn nothing from them; and then it is watched that none
does so after all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from nas_engine_cgo.members import GlobalStates
from nas_engine_cgo.state import Stream
from nas_engine_cgo.train.refused import RefusedError

__all__ = ["Watch"]


class Watch:
    """Watches the passes of some members.

    Args:
        streams: the members' random numbers.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = tuple(streams)
        self._quiet: set[str] = set()
        self._unasked: set[str] = set()

    @contextmanager
    def over(self, passes: str) -> Iterator[None]:
        """Watch a pass of all members; the name tells of which kind it is.

        Raises:
            RefusedError: one has drawn other numbers than alone.
        """
        if passes in self._quiet:
            states = GlobalStates.now()
            self._exchange(False)
            try:
                yield
            finally:
                self._exchange(True)
            if not states.are_now():
                states.restore()
                reason = f"{passes} draws random numbers of Python, but not always"
                raise RefusedError(range(len(self._streams)), reason)
        elif passes in self._unasked:
            yield
        else:
            before = [stream.elsewhere for stream in self._streams]
            yield
            after = [stream.elsewhere for stream in self._streams]
            if all(a is b for a, b in zip(before, after, strict=True)):
                self._unasked.add(passes)
            elif all(a.are(b) for a, b in zip(before, after, strict=True)):
                self._quiet.add(passes)

    def _exchange(self, exchanges: bool) -> None:
        for stream in self._streams:
            stream.exchanges = exchanges
