"""Where rows begin: a bit for each byte, found in one pass over a file.

One bit for each byte tells which are quotes, another which end lines, and a prefix XOR over the
quotes' bits which are inside quotes (Langdale and Lemire, "Parsing Gigabytes of JSON per Second",
2019). The loop is written for LLVM, which makes vector instructions of it for the processor that it
runs on, as fast as memory is read; it is compiled in some milliseconds when it is first needed.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator

import llvmlite.binding as llvm
import numpy as np

_MARK = """
define void @mark(ptr %block, ptr %out, i64 %words, ptr %state) {
entry:
  %ended.place = getelementptr i64, ptr %state, i64 1
  %inside.first = load i64, ptr %state  ; all ones if a quote is open, else 0
  %ended.first = load i64, ptr %ended.place  ; 1 if the byte before ended a row, else 0
  br label %loop
loop:
  %word = phi i64 [0, %entry], [%word.next, %loop]
  %inside = phi i64 [%inside.first, %entry], [%inside.next, %loop]
  %ended = phi i64 [%ended.first, %entry], [%ended.next, %loop]
  %offset = shl i64 %word, 6
  %place = getelementptr i8, ptr %block, i64 %offset
  %bytes = load <64 x i8>, ptr %place, align 1
  %is.quote = icmp eq <64 x i8> %bytes, QUOTES
  %is.newline = icmp eq <64 x i8> %bytes, NEWLINES
  %is.return = icmp eq <64 x i8> %bytes, RETURNS
  %is.end = or <64 x i1> %is.newline, %is.return
  %quotes.0 = bitcast <64 x i1> %is.quote to i64
  %line.ends = bitcast <64 x i1> %is.end to i64
PREFIX_XOR
  %quoted = xor i64 %quotes.6, %inside
  %inside.next = ashr i64 %quoted, 63
  %unquoted = xor i64 %quoted, -1
  %ends = and i64 %line.ends, %unquoted
  ; A row begins after a line end, unless another one follows: an empty line, or a \\r\\n.
  %after.shifted = shl i64 %ends, 1
  %after = or i64 %after.shifted, %ended
  %others = xor i64 %ends, -1
  %starts = and i64 %after, %others
  %out.place = getelementptr i64, ptr %out, i64 %word
  store i64 %starts, ptr %out.place
  %ended.next = lshr i64 %ends, 63
  %word.next = add nuw i64 %word, 1
  %more = icmp ult i64 %word.next, %words
  br i1 %more, label %loop, label %done
done:
  store i64 %inside.next, ptr %state
  store i64 %ended.next, ptr %ended.place
  ret void
}

define i64 @count(ptr %bits, i64 %words) {
entry:
  br label %loop
loop:
  %word = phi i64 [0, %entry], [%word.next, %loop]
  %sum = phi i64 [0, %entry], [%sum.next, %loop]
  %place = getelementptr i64, ptr %bits, i64 %word
  %its = load i64, ptr %place
  %set = call i64 @llvm.ctpop.i64(i64 %its)
  %sum.next = add i64 %sum, %set
  %word.next = add nuw i64 %word, 1
  %more = icmp ult i64 %word.next, %words
  br i1 %more, label %loop, label %done
done:
  ret i64 %sum.next
}

declare i64 @llvm.ctpop.i64(i64)
"""


def _source() -> str:
    xor = "\n".join(
        f"  %s.{i} = shl i64 %quotes.{i}, {1 << i}\n  %quotes.{i + 1} = xor i64 %quotes.{i}, %s.{i}"
        for i in range(6)
    )
    source = _MARK.replace("PREFIX_XOR", xor)
    for name, byte in (("QUOTES", '"'), ("NEWLINES", "\n"), ("RETURNS", "\r")):
        source = source.replace(name, f"<{', '.join([f'i8 {ord(byte)}'] * 64)}>")
    return source


class _Loops:
    """The loops, compiled for this processor. Of no bytes, or words, they must not be asked."""

    def __init__(self, engine: llvm.ExecutionEngine) -> None:
        address, number = ctypes.c_void_p, ctypes.c_int64
        mark = ctypes.CFUNCTYPE(None, address, address, number, address)
        count = ctypes.CFUNCTYPE(number, address, number)
        self.mark = mark(engine.get_function_address("mark"))
        self.count = count(engine.get_function_address("count"))
        self._engine = engine  # which keeps them in memory


@functools.cache
def _loops() -> _Loops:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(llvm.get_host_cpu_name(), features, opt=3)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_source()), machine)
    engine.finalize_object()
    return _Loops(engine)


class RecordStarts:
    """A bit for each byte, set if it begins a row. The bytes are added block by block.

    The first byte begins a row, or ends an empty line. All blocks but the last must be multiples
    of 64 bytes, and so must be the positions given to `restart` and `drop`.
    """

    def __init__(self) -> None:
        self._bits = np.zeros(1 << 17, np.uint64)
        self._words = 0
        self._state = np.array([0, 1], np.uint64)
        self._loops = _loops()

    @property
    def open_at_end(self) -> bool:
        """Whether a quote is open after the last byte."""
        return bool(self._state[0])

    def add(self, block: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        """Mark more bytes."""
        if not len(block):
            return
        words, rest = -(-len(block) // 64), len(block) % 64
        if rest:
            block = np.concatenate([block, np.zeros(64 - rest, np.uint8)])
        while self._words + words > len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        marks = self._bits[self._words : self._words + words]
        self._loops.mark(block.ctypes.data, marks.ctypes.data, words, self._state.ctypes.data)
        if rest:
            marks[-1] &= _below(rest)
        self._words += words

    def restart(self, position: int) -> None:
        """Drop what was added from `position` on; the next byte to be added begins a row."""
        self._words = position // 64
        self._state[:] = 0, 1

    def drop(self, position: int) -> None:
        """Drop what was added before `position`, which becomes 0."""
        self._words -= position // 64
        self._bits[: self._words] = self._bits[position // 64 : position // 64 + self._words]

    def count(self, start: int, end: int) -> int:
        """The number of rows that begin in [start, end)."""
        first, last = start // 64, end // 64
        count = 0
        if last > first:
            count = self._loops.count(self._bits[first:].ctypes.data, last - first)
        return count - self._within(first, start % 64) + self._within(last, end % 64)

    def starts_from(self, position: int) -> Iterator[int]:
        """The positions where rows begin, from `position` on, in order."""
        word, keep = position // 64, ~_below(position % 64)
        while word < self._words:
            bits = int(self._bits[word] & keep)
            while bits:
                yield word * 64 + (bits & -bits).bit_length() - 1
                bits &= bits - 1
            word, keep = word + 1, ~np.uint64(0)
            # Few words have a start of a row: skip those that don't, many at a time.
            ahead = np.flatnonzero(self._bits[word : min(word + 1024, self._words)])
            word += int(ahead[0]) if len(ahead) else 1024

    def _within(self, word: int, bit: int) -> int:
        return int(self._bits[word] & _below(bit)).bit_count() if bit else 0


def _below(bit: int) -> np.uint64:
    """A word with the bits below `bit` set."""
    return np.uint64((1 << bit) - 1)
