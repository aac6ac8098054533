"""Reads a compiled program in XLA's text form: its exchanges between devices, and its memory traffic.

XLA's own cost analysis counts the body of a loop once. Here every instruction counts as often as it runs. The form of
the text is that of `jax.stages.Compiled.as_text`, of CPUs, GPUs and TPUs alike.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_MEMORY_SPACE = re.compile(r"S\((\d+)\)")
_NAME = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"\b(body|condition|calls|to_apply)=%?([\w.\-]+)")
_TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_GROUP = re.compile(r"replica_groups=(?:\{\{([\d,]*)\}|\[(\d+),(\d+)\])")

_COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# fmt: off
_MOVE_NOTHING = frozenset((
    "parameter", "constant", "iota", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id",
    "conditional", "optimization-barrier",
))
# fmt: on


class Array(NamedTuple):
    """An array of a shape.

    Attributes:
      num_bytes: its size, without the padding that a layout may add.
      memory_space: where it is: 0 is the device's main memory; the meaning of others is the platform's.
    """

    num_bytes: int
    memory_space: int


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
      name: its name in its computation.
      opcode: what it does.
      arrays: what it makes; several where the result is a tuple.
      operands: names of the instructions whose results it takes.
      text: the whole of it.
      is_root: whether its result is the computation's.
    """

    name: str
    opcode: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    text: str
    is_root: bool


Computation = dict[str, Instruction]


class Collective(NamedTuple):
    """Exchanges of one kind between devices.

    Attributes:
      name: the kind.
      num_devices: devices that exchange with one another.
      times: how often they do.
      num_bytes: size of all results on one device.
      sent_bytes: what one device must send for that, at least.
    """

    name: str
    num_devices: int
    times: int
    num_bytes: int
    sent_bytes: float


class Module(NamedTuple):
    """A compiled program.

    Attributes:
      computations: by name.
      entry: the name of the one that runs.
    """

    computations: dict[str, Computation]
    entry: str

    def executed(self) -> Iterator[tuple[Instruction, Computation, int]]:
        """Every instruction that runs, with its computation and how often. Fusions are one instruction."""
        return self._executed(self.entry, 1)

    def _executed(self, name: str, times: int) -> Iterator[tuple[Instruction, Computation, int]]:
        computation = self.computations[name]
        for instruction in computation.values():
            called = dict(_CALLED.findall(instruction.text))
            if instruction.opcode == "while":
                yield from self._executed(called["body"], times * self._trip_count(instruction, called["condition"]))
            elif instruction.opcode == "call":
                yield from self._executed(called["to_apply"], times)
            elif instruction.opcode == "async-start":
                yield from self._executed(called["calls"], times)
            else:
                yield instruction, computation, times

    def _trip_count(self, loop: Instruction, condition: str) -> int:
        """How often a loop runs: as XLA has noted, or as its condition `i < n` says; 1 where neither tells."""
        noted = _TRIP_COUNT.search(loop.text)
        if noted:
            return int(noted.group(1))
        instructions = self.computations[condition]
        root = next(instruction for instruction in instructions.values() if instruction.is_root)
        if root.opcode == "compare" and "direction=LT" in root.text:
            limit = re.search(r"constant\((\d+)\)", instructions[root.operands[1]].text)
            return int(limit.group(1)) if limit else 1
        return 1


def parse_module(text: str) -> Module:
    """Reads a compiled program's text."""
    computations: dict[str, Computation] = {}
    entry, current = "", None
    for line in text.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            current = computations.setdefault(header.group(2), {})
            entry = header.group(2) if header.group(1) else entry
        elif current is not None and (match := _INSTRUCTION.match(line)):
            instruction = _parse_instruction(match.group(2), match.group(3), is_root=bool(match.group(1)))
            current[instruction.name] = instruction
    return Module(computations, entry)


def collectives(module: Module) -> list[Collective]:
    """What one run exchanges between devices, by kind and number of devices."""
    found: dict[tuple[str, int], Collective] = {}
    for instruction, _, times in module.executed():
        for exchange in _exchanges(module, instruction):
            name = exchange.opcode.removesuffix("-start")
            num_devices = _group_size(exchange.text)
            num_bytes = _result_bytes(exchange, name)
            before = found.get((name, num_devices), Collective(name, num_devices, 0, 0, 0.0))
            found[name, num_devices] = before._replace(
                times=before.times + times,
                num_bytes=before.num_bytes + times * num_bytes,
                sent_bytes=before.sent_bytes + times * _sent_bytes(name, num_bytes, num_devices),
            )
    return list(found.values())


def memory_traffic(module: Module, memory_spaces: frozenset[int] = frozenset({0})) -> int:
    """Bytes that one run reads from and writes to the memory spaces given.

    An instruction reads its operands and writes its result. Slices count as what is sliced, in and out of place, also
    where a fusion slices what it is given. What is in other memory spaces, such as a TPU's vector memory, is free. Of
    conditionals nothing is counted.
    """

    def in_memory(arrays: tuple[Array, ...]) -> int:
        return sum(array.num_bytes for array in arrays if array.memory_space in memory_spaces)

    def by_fusion(fusion: Instruction, caller: Computation, inside: Computation) -> int:
        users: dict[str, list[Instruction]] = defaultdict(list)
        for instruction in inside.values():
            for operand in instruction.operands:
                users[operand].append(instruction)
        total = sum(
            min(in_memory((whole,)), sum(array.num_bytes for array in _written_arrays(inside, part)))
            for whole, part in zip(fusion.arrays, _results(inside), strict=False)
        )
        parameters = [instruction for instruction in inside.values() if instruction.opcode == "parameter"]
        for parameter in parameters:
            number = int(re.search(r"parameter\((\d+)\)", parameter.text).group(1))  # type: ignore[union-attr]
            given = in_memory(caller[fusion.operands[number]].arrays)
            total += min(given, sum(_read_bytes(user, parameter) for user in users[parameter.name]))
        return total

    total = 0
    for instruction, computation, times in module.executed():
        opcode, operands = instruction.opcode, [computation[name].arrays for name in instruction.operands]
        if (
            opcode in _MOVE_NOTHING
            or opcode.endswith("-done")
            or 'custom_call_target="AllocateBuffer"' in instruction.text
        ):
            continue
        if opcode == "fusion":
            inside = module.computations[dict(_CALLED.findall(instruction.text))["calls"]]
            total += times * by_fusion(instruction, computation, inside)
        elif opcode in ("dynamic-slice", "slice", "gather"):
            total += times * (
                in_memory(instruction.arrays) + min(in_memory(operands[0]), instruction.arrays[0].num_bytes)
            )
        elif opcode in ("dynamic-update-slice", "scatter"):
            total += (
                times * 2 * min(in_memory(instruction.arrays), operands[-1 if opcode == "scatter" else 1][0].num_bytes)
            )
        elif opcode in ("copy-start", "slice-start"):  # the result names both ends
            moved = min(array.num_bytes for array in instruction.arrays[:2])
            total += times * sum(min(moved, in_memory((end,))) for end in instruction.arrays[:2])
        else:
            total += times * (sum(map(in_memory, operands)) + in_memory(instruction.arrays))
    return total


def _parse_instruction(name: str, text: str, is_root: bool) -> Instruction:
    shape, rest = _split_shape(text)
    opcode, _, after = rest.partition("(")
    return Instruction(name, opcode, _arrays(shape), tuple(_NAME.findall(after[: _closing(after)])), text, is_root)


def _split_shape(text: str) -> tuple[str, str]:
    """The shape at the beginning of an instruction, and the rest. That of a tuple stands in parentheses."""
    end = _closing(text[1:]) + 2 if text.startswith("(") else text.index(" ")
    return text[:end], text[end:].strip()


def _closing(text: str) -> int:
    """Where the parenthesis closes that has opened just before a text."""
    depth = 1
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index
    return len(text)


def _arrays(shape: str) -> tuple[Array, ...]:
    arrays = []
    for kind, extents, layout in _ARRAY.findall(shape):
        num_elements = math.prod(int(extent) for extent in extents.split(",") if extent)
        space = _MEMORY_SPACE.search(layout)
        arrays.append(Array(math.ceil(num_elements * _bits(kind) / 8), int(space.group(1)) if space else 0))
    return tuple(arrays)


def _bits(kind: str) -> int:
    """Bits of an element: the number in its type's name, such as f32 or f8e4m3."""
    number = re.match(r"[a-z]+(\d+)", kind)
    return int(number.group(1)) if number else {"pred": 8}.get(kind, 0)


def _exchanges(module: Module, instruction: Instruction) -> list[Instruction]:
    """The collectives that an instruction is, or that are fused into it."""
    if instruction.opcode == "fusion":
        inside = module.computations[dict(_CALLED.findall(instruction.text))["calls"]]
        return [each for fused in inside.values() for each in _exchanges(module, fused)]
    return [instruction] if instruction.opcode.removesuffix("-start") in _COLLECTIVES else []


def _group_size(text: str) -> int:
    """Devices of a group: groups are listed, or given as [number of groups, size]."""
    group = _GROUP.search(text)
    if group is None:
        return 2  # a permutation names pairs
    return int(group.group(3)) if group.group(3) else len(group.group(1).split(","))


def _result_bytes(exchange: Instruction, name: str) -> int:
    """Size of the result. What starts an all-gather or a permutation has its operand in the tuple as well."""
    arrays = exchange.arrays
    if exchange.opcode.endswith("-start") and name != "all-reduce" and len(arrays) > 1:
        arrays = arrays[len(exchange.operands) : 2 * len(exchange.operands)]
    return sum(array.num_bytes for array in arrays)


def _sent_bytes(name: str, num_bytes: int, num_devices: int) -> float:
    """What a device must send for a result: the rings that Thakur et al. 2005 show to be optimal in bandwidth."""
    share = (num_devices - 1) / num_devices
    factor = {"all-reduce": 2 * share, "all-gather": share, "reduce-scatter": num_devices * share, "all-to-all": share}
    return factor.get(name, 1.0) * num_bytes


def _results(inside: Computation) -> list[Instruction]:
    """What a fused computation makes: its root, or the parts of it."""
    root = next(instruction for instruction in inside.values() if instruction.is_root)
    return [inside[name] for name in root.operands] if root.opcode == "tuple" else [root]


def _written_arrays(inside: Computation, result: Instruction) -> tuple[Array, ...]:
    """What is written for a result: all of it, or what is put into a slice of an operand that it goes on from."""
    while result.opcode == "bitcast":
        result = inside[result.operands[0]]
    return inside[result.operands[1]].arrays if result.opcode == "dynamic-update-slice" else result.arrays


def _read_bytes(user: Instruction, parameter: Instruction) -> int:
    """What an instruction in a fusion reads of a parameter."""
    if user.opcode in ("dynamic-slice", "slice", "gather") and user.operands[0] == parameter.name:
        return user.arrays[0].num_bytes
    if user.opcode == "dynamic-update-slice" and user.operands[0] == parameter.name:
        return 0
    return parameter.arrays[0].num_bytes
