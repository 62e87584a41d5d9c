"""What a library of macOS or Windows says of itself, read from its bytes by the formats' own descriptions."""

import struct
from dataclasses import dataclass, field


@dataclass
class Library:
    """Processor, names that it offers and names that it asks for, by library; and whether it is signed (macOS)."""

    processor: int
    exports: set = field(default_factory=set)
    imports: dict = field(default_factory=dict)
    is_signed: bool = False


def _text(data, at):
    return data[at : data.index(b"\0", at)].decode("ascii")


def read_macho(data):
    """Read a dynamic library of 64 bits; what it asks for is held by its number among the libraries (two-level names)."""
    magic, processor, _, kind, commands = struct.unpack_from("<5I", data)
    assert (magic, kind) == (0xFEEDFACF, 6)
    found, libraries, symbols = Library(processor), [], []
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<2I", data, at)
        if command == 0xC:  # LC_LOAD_DYLIB
            libraries.append(_text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
        elif command == 0x2:  # LC_SYMTAB
            first, count, names, _ = struct.unpack_from("<4I", data, at + 8)
            entries = [struct.unpack_from("<IBBHQ", data, first + 16 * index) for index in range(count)]
            symbols = [(_text(data, names + name), kind, note) for name, kind, _, note, _ in entries]
        elif command == 0x1D:  # LC_CODE_SIGNATURE
            place, length = struct.unpack_from("<2I", data, at + 8)
            found.is_signed = struct.unpack_from(">I", data, place)[0] == 0xFADE0CC0 and length > 0
        at += size
    for name, kind, note in symbols:
        if kind & 0x0E:  # defined here; the lowest bit: for others too
            found.exports |= {name} if kind & 1 else set()
        else:
            found.imports.setdefault(libraries[(note >> 8) - 1], set()).add(name)
    return found


def read_pe(data):
    """Read a DLL of 64 bits."""
    head = struct.unpack_from("<I", data, 0x3C)[0]
    assert (data[:2], data[head : head + 4]) == (b"MZ", b"PE\0\0")
    processor, sections, _, _, _, optional, flags = struct.unpack_from("<HHIIIHH", data, head + 4)
    assert flags & 0x2000  # a DLL
    options = head + 24
    assert struct.unpack_from("<H", data, options)[0] == 0x20B
    table = [struct.unpack_from("<4I", data, options + optional + 40 * index + 8) for index in range(sections)]

    def place(address):
        return next(raw + address - start for size, start, length, raw in table if start <= address < start + max(size, length))

    found = Library(processor)
    exports, imports = (struct.unpack_from("<I", data, options + 112 + 8 * index)[0] for index in (0, 1))
    count, _, names = struct.unpack_from("<3I", data, place(exports) + 24)
    found.exports = {_text(data, place(name)) for name in struct.unpack_from(f"<{count}I", data, place(names))}
    at = place(imports) if imports else None
    while at and any(data[at : at + 20]):
        lookup, _, _, library, _ = struct.unpack_from("<5I", data, at)
        functions, entry = set(), place(lookup)
        while address := struct.unpack_from("<Q", data, entry)[0]:
            functions.add(_text(data, place(address) + 2))  # after a hint
            entry += 8
        found.imports[_text(data, place(library))] = functions
        at += 20
    return found
