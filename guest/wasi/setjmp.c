/*
 * The run-time half of `setjmp` and `longjmp`: three functions and an exception tag whose
 * names, signatures and meaning are LLVM's (WebAssemblyLowerEmscriptenEHSjLj.cpp).
 *
 * A function that calls `setjmp` is compiled into a loop around a `try`. Each of its calls of
 * `setjmp` has a label. `__wasm_setjmp` notes label and invocation in the buffer; `longjmp`
 * throws the buffer; the catching function asks `__wasm_setjmp_test` whether the buffer was
 * filled by its own invocation, then goes on at the label, or else throws again.
 */
#include <stdint.h>

/* What is thrown: a pointer to this, read by the code that clang generates. */
struct thrown {
    void *env;
    int value;
};

/* What a `jmp_buf` holds. */
struct jump {
    /* An address in the frame that called `setjmp`: the identity of its invocation. */
    void *invocation;
    uint32_t label;
    /* Kept inside the buffer, so that throwing needs no memory of its own. */
    struct thrown thrown;
};

_Static_assert(sizeof(struct jump) == 4 * sizeof(void *), "setjmp.h reserves four words");

/* clang 22 only refers to the tag: whoever implements `longjmp` defines it, once. */
__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

/* `__builtin_wasm_throw` names tags by number: 0 is C++'s exception, 1 is `__c_longjmp`. */
enum { TAG_C_LONGJMP = 1 };

void __wasm_setjmp(void *env, uint32_t label, void *invocation) {
    struct jump *jump = env;
    jump->invocation = invocation;
    jump->label = label;
}

uint32_t __wasm_setjmp_test(void *env, void *invocation) {
    struct jump *jump = env;
    return jump->invocation == invocation ? jump->label : 0;
}

_Noreturn void __wasm_longjmp(void *env, int value) {
    struct jump *jump = env;
    jump->thrown.env = env;
    /* The standard: `setjmp` never returns 0 because of a `longjmp`. */
    jump->thrown.value = value ? value : 1;
    __builtin_wasm_throw(TAG_C_LONGJMP, &jump->thrown);
}
