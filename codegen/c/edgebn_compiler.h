/* What the kernels need of a compiler's settings, before any function of theirs: they set it themselves, or say that it is missing. */
#ifndef EDGEBN_COMPILER_H
#define EDGEBN_COMPILER_H

/* Inlined kernels take ten kilobytes of stack at -O0 and two at -Og, and a hundred bytes at -O2. GCC has no macro that tells -Og or -O3
   from -O2: all of them become -O2, but for -Os, unless EDGEBN_OPTIMIZE_AS_TOLD is defined. Clang takes no level from a source
   file, and needs nothing where there is an operating system's stack. */
#if !defined(EDGEBN_OPTIMIZE_AS_TOLD)
#if defined(__clang__)
#if !defined(__OPTIMIZE__) && !defined(__unix__) && !defined(__APPLE__) && !defined(_WIN32)
#error "without optimisation these kernels take kilobytes of stack: compile with -O1 or more, or define EDGEBN_OPTIMIZE_AS_TOLD"
#endif
#elif defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#if defined(__thumb__) && !defined(__thumb2__)
#pragma GCC optimize("O2", "no-schedule-insns") /* as -O2 means there, with eight registers */
#else
#pragma GCC optimize("O2")
#endif
#endif
#endif

#endif
