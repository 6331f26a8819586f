/*
 * `setjmp` and `longjmp` for WebAssembly, as LLVM's lowering expects them.
 *
 * Debian's wasi-libc has no <setjmp.h>: it is older than WebAssembly exceptions. clang turns
 * every call of `setjmp` and `longjmp` into calls of the functions in setjmp.c and into a
 * WebAssembly exception (`-mllvm -wasm-enable-sjlj`), so all that is declared here is what
 * the C standard asks for.
 */
#ifndef MOONFORK_SETJMP_H
#define MOONFORK_SETJMP_H

/* Room for `struct jump` of setjmp.c: four words on wasm32. */
typedef struct {
    _Alignas(void *) unsigned char bytes[4 * sizeof(void *)];
} jmp_buf[1];

int setjmp(jmp_buf) __attribute__((__returns_twice__));
_Noreturn void longjmp(jmp_buf, int);

/* WASI has no signal mask to save, so the variants that leave it alone are the same. Lua
 * uses these two when it is compiled for POSIX. */
#define setjmp setjmp
#define _setjmp(env) setjmp(env)
#define _longjmp(env, value) longjmp(env, value)

#endif
