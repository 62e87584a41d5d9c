"""Names in C: of models, buffers, steps and arrays, and which a project cannot take. Knows programs; nothing of what the C does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from codegen.kernels import PREFIX
from edgebn.errors import UsageError
from edgebn.program import Program

SIGNIFICANT = 31  # C99, 5.2.4.1: the initial characters that tell names apart which a linker sees
_LONGEST = 40  # of an identifier made from a layer's name: lines stay readable
_LONGEST_DERIVED = 19  # of a model's name that is made from its file's: the longest that leaves every function distinct
_SUFFIX = 3  # letters that tell an array's suffix from any other
_SHORTEST_STEM = 4


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Keywords of C99 and of C23, which compilers of today take by default, and words that GCC defines unless told a standard.
_KEYWORDS = _words("""
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    alignas alignof bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual
    asm i386 linux unix
""")
# What the emitted code uses itself.
_USED = _words("""
    main memory arena instance scratch input output memcpy memset memmove step data bytes int8_t uint8_t int16_t uint16_t int32_t
    uint32_t int64_t uint64_t
""")
_TAKEN = _KEYWORDS | _USED
# Headers of the C library: a file of that name would hide one from whoever compiles with the project as an include folder. What a
# project includes itself is added to them.
_HEADERS = _words("""
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbit
    stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype
    alloca endian features fcntl malloc memory poll pthread sched semaphore strings unistd arm_mve arm_neon arm_acle
""")
# Functions of the C and POSIX libraries that end as ours do.
_LIBRARY_STEMS = _words("""
    atomic cnd mtx sem pthread_attr pthread_barrier pthread_cond pthread_mutex pthread_rwlock pthread_spin
""")
# Targets of CMake's own, and words that mean something to it in a list of libraries.
_CMAKE = _words("""
    all all_build clean depend edit_cache help install list_install_components package package_source preinstall
    rebuild_cache run_tests test zero_check debug general optimized
""")
_DEVICE = re.compile(r"aux|con|nul|prn|(?:com|lpt)[0-9]")  # no file of Windows can have these names, whatever its suffix
_NAME = re.compile(r"[a-z][a-z0-9_]*")

# Declarations of what a linker sees, in a header: functions and arrays, each from the beginning of a line.
_EXTERNAL = re.compile(
    r"^(?!static\b|typedef\b|return\b|\w*INLINE\b|\w*SHARED\b)(?:extern )?[A-Za-z_][\w \*]*?\b(\w+) *[\[(][^;{]*;", re.MULTILINE
)
_WORD = re.compile(r"\b[A-Za-z_]\w*")
_INCLUDED = re.compile(r"^\s*#\s*include\s*<([^>]+)>", re.MULTILINE)

SCRATCH = "EDGEBN@SCRATCH"  # stands for a step's scratch memory until the arena is planned; no C text contains an @


class NameTakenError(UsageError):
    """A name that means something else in C or in the project."""


def identifier(text: str, longest: int = _LONGEST, reserved: Iterable[str] = ()) -> str:
    """Return `text` as a C identifier: the last two parts of a path, in lower case; none that begins as `reserved` ones do."""
    name = _letters("_".join(text.split("/")[-2:]), longest) or "value"
    name = f"v{name}"[:longest] if name[0].isdigit() else name
    starts = tuple(f"{prefix}_" for prefix in (PREFIX, *reserved))
    return f"{name[: longest - 1]}_" if name in _TAKEN or name.startswith(starts) else name


def _letters(text: str, longest: int) -> str:
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_")[:longest].rstrip("_")


def identifiers(
    texts: Iterable[str], taken: Iterable[str] = (), longest: int = _LONGEST, reserved: Iterable[str] = ()
) -> dict[str, str]:
    """Return one identifier for each text, all different and none of `taken`; see `identifier`."""
    used = set(taken)
    found: dict[str, str] = {}
    for text in texts:
        base = name = identifier(text, longest, reserved)
        number = 2
        while name in used:
            tail = f"_{number}"
            name = f"{base[: longest - len(tail)]}{tail}"
            number += 1
        used.add(name)
        found[text] = name
    return found


def stems(texts: Iterable[str], name: str, parameters: Iterable[str] = ()) -> dict[str, str]:
    """Return what the names of arrays begin with, for each text: `<name>_<stem>`, to which `_<suffix>` is added.

    The names differ within the letters that C99 tells apart as long as `name` leaves room for them, and, as no suffix has an
    underscore, from each other whatever the texts are.

    Parameters
    ----------
    texts : iterable of str
        Names of steps, or of buffers.
    name : str
        The model's.
    parameters : iterable of str
        The words behind `<name>_` in functions: no stem is a part of one.
    """
    longest = max(_SHORTEST_STEM, SIGNIFICANT - _SUFFIX - len(f"{name}__"))
    parts = {"_".join(words[:i]) for words in (word.split("_") for word in parameters) for i in range(1, len(words) + 1)}
    return {text: f"{name}_{stem}" for text, stem in identifiers(texts, parts, longest).items()}


def parameter_names(word: str, buffers: tuple[str, ...], name: str) -> list[str]:
    """Return the C names of inputs or outputs: `word` itself for one, `word` and the buffer's name, or its number, for several."""
    if len(buffers) == 1:
        return [word]
    names = [f"{word}_{found}" for found in identifiers(buffers).values()]
    room = SIGNIFICANT - _SUFFIX - len(f"{name}_")
    return names if max(map(len, names)) <= room else [f"{word}_{number}" for number in range(1, len(buffers) + 1)]


def check_name(name: str, prefix: str) -> str:
    """Return `name`, which a caller chose for a model and which files, functions and macros will carry.

    Raises
    ------
    UsageError
        It is no lower-case C identifier, or one that C, CMake, a system of files or the kernels have taken.
    """
    why = _objection(name, prefix)
    if why is not None:
        raise NameTakenError(_refusal(name, why, prefix))
    return name


def check_prefix(prefix: str) -> str:
    """Return `prefix`, which a caller chose for the kernels.

    Raises
    ------
    UsageError
        As `check_name`.
    """
    why = _unfit(prefix)
    if why is not None:
        raise UsageError(_prefix_refusal(prefix, why))
    return prefix


def _objection(name: str, prefix: str) -> str | None:
    """Return why a model cannot have the name, as far as no project needs to be looked at."""
    if f"{name}_".startswith((f"{prefix}_", f"{PREFIX}_")):
        return "the kernels' names begin so"
    if name in _CMAKE:
        return "CMake has taken that word"
    return f"the system's library has a function {name}_init" if name in _LIBRARY_STEMS else _unfit(name)


def _unfit(name: str) -> str | None:
    """Return why neither a model nor the kernels can have the name."""
    if not _NAME.fullmatch(name):
        return "letters are a to z, 0 to 9 and _, and the first is one of a to z"
    if name in _KEYWORDS:
        return "C has that word for itself"
    if name in _USED:
        return "the emitted code uses that word itself"
    return "Windows has no files of that name" if _DEVICE.fullmatch(name) else None


def _refusal(name: str, why: str, prefix: str) -> str:
    example = f"{_letters(name, 12).rstrip('_')}_net"
    if _objection(example, prefix) is not None:
        example = "kws_net"
    return (
        f"{name!r} cannot be the name of the model: {why}; give another C identifier in lower case with name=, "
        f"for example {example}"
    )


def _prefix_refusal(prefix: str, why: str) -> str:
    return (
        f"{prefix!r} cannot be the prefix of the kernels: {why}; give another C identifier in lower case with prefix=, "
        "for example acme"
    )


def model_names(program: Program, prefix: str) -> Iterator[str]:
    """Yield names for the C of a model whose caller gives none, the best first: the model file's, or the model's own."""
    stem = PurePosixPath(program.source.replace("\\", "/")).stem
    made = _letters(stem, _LONGEST_DERIVED) or _letters(program.name, _LONGEST_DERIVED) or "model"
    made = f"v{made}"[:_LONGEST_DERIVED].rstrip("_") if made[0].isdigit() else made
    for candidate in (made, f"{made[: _LONGEST_DERIVED - 4].rstrip('_')}_net", "model"):
        try:
            yield check_name(candidate, prefix)
        except NameTakenError:
            continue


def check_project(name: str, prefix: str, own: Mapping[str, str], others: Mapping[str, str]) -> None:
    """Refuse a name that files or words of the project itself have.

    Parameters
    ----------
    name, prefix : str
    own : mapping of str to str
        The files that are called after the model, path to text.
    others : mapping of str to str
        All others.

    Raises
    ------
    UsageError
        A file or a name in C would be there twice, for some compiler or on some system of files.
    """
    why = _doubled_file(own, others) or _doubled_word(name, own, others)
    if why is None:
        alike = _alike({**own, **others})
        if alike and not any(word.startswith(f"{name}_") for word in alike):
            raise UsageError(_prefix_refusal(prefix, _are_alike(prefix, alike)))
        why = _are_alike(name, alike) if alike else None
    if why is not None:
        raise NameTakenError(_refusal(name, why, prefix))


def _are_alike(name: str, alike: tuple[str, str]) -> str:
    first, second = alike
    return f"it has {len(name)} letters, and so {first} and {second} begin with the same {SIGNIFICANT}: C99 compares no more"


def _doubled_file(own: Mapping[str, str], others: Mapping[str, str]) -> str | None:
    """Return an objection to files that meet where case does not count, where a compiler searches, or where objects lie."""
    paths = {path.casefold(): path for path in others}
    names = {PurePosixPath(path).name.casefold(): path for path in others if path.endswith((".h", ".c"))}
    included = {header.casefold() for text in (*own.values(), *others.values()) for header in _INCLUDED.findall(text)}
    library = {f"{header}.h" for header in _HEADERS} | included
    for file in map(str.casefold, own):
        found = paths.get(file) or names.get(PurePosixPath(file).name)
        if found is not None:
            return f"the project has a file {found}"
        if file in library:
            return f"the C library has a header <{file}>"
    return None


def _doubled_word(name: str, own: Mapping[str, str], others: Mapping[str, str]) -> str | None:
    """Return an objection to functions, macros and arrays that the fixed part of a project has as well."""
    starts = (f"{name}_", f"{name.upper()}_")
    mine = {word for text in own.values() for word in _WORD.findall(text) if word.startswith(starts)}
    fixed = {path: text for path, text in others.items() if "/" in path}  # those of the top call the model's functions
    for path, text in fixed.items():
        doubled = mine.intersection(_WORD.findall(text))
        if doubled:
            return f"{path} has {min(doubled)} too"
    return None


def _alike(files: Mapping[str, str]) -> tuple[str, str] | None:
    """Return two different names that a linker sees and that C99 does not tell apart."""
    known: dict[str, str] = {}
    for path, text in files.items():
        for word in _EXTERNAL.findall(text) if path.endswith(".h") else ():
            other = known.setdefault(word[:SIGNIFICANT], word)
            if other != word:
                return other, word
    return None


@dataclass(frozen=True)
class StepNames:
    """C expressions for one step: see `stepcode.Names`."""

    step: str  # the step's stem: see `stems`
    buffers: Mapping[str, str]

    @property
    def scratch(self) -> str:
        """Return what stands for the scratch memory until it has a place."""
        return SCRATCH

    def buffer(self, name: str) -> str:
        """Return the expression for a buffer."""
        return self.buffers[name]

    def array(self, suffix: str) -> str:
        """Return the identifier of one of the step's arrays; a suffix has no underscore."""
        return f"{self.step}_{suffix}"
