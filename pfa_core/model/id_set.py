"""Ids that were seen, of which there may be millions."""

from __future__ import annotations

from array import array


class IdSet:
    """A set of texts that keeps them one behind the other.

    A text takes 40 bytes, in a `set` a hundred. Open addressing by the texts' hashes.
    """

    def __init__(self) -> None:
        self._texts = bytearray()
        self._ends, self._hashes = array("Q", [0]), array("q")
        self._mask, self._slots = 15, array("I", bytes(4 * 16))

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, text: str) -> bool:
        return self._slots[self._place(text)] != 0

    def add(self, text: str) -> None:
        """Add a text, if it is not there."""
        place = self._place(text)
        if self._slots[place]:
            return
        self._texts += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._texts))
        self._hashes.append(hash(text))
        self._slots[place] = len(self._hashes)
        if 2 * len(self._hashes) > self._mask:
            self._grow()

    def _place(self, text: str) -> int:
        """Find the slot of a text, or the empty one where it would be."""
        own, mask, slots = hash(text), self._mask, self._slots
        place = own & mask
        while number := slots[place]:
            # Equal hashes are of equal texts but for one in 10^19, which the texts themselves tell apart.
            if self._hashes[number - 1] == own and self._text(number) == text:
                return place
            place = place + 1 & mask
        return place

    def _text(self, number: int) -> str:
        content = self._texts[self._ends[number - 1] : self._ends[number]]
        return content.decode("utf-8", "surrogatepass")

    def _grow(self) -> None:
        size = 2 * (self._mask + 1)
        self._mask, self._slots = size - 1, array("I", bytes(4 * size))
        mask, slots = self._mask, self._slots
        for number, own in enumerate(self._hashes, 1):
            place = own & mask
            while slots[place]:
                place = place + 1 & mask
            slots[place] = number
