/*
 * Included before every file of Lua's, which leaves these to whoever builds it.
 */
#ifndef MOONFORK_LUA_CONFIG_H
#define MOONFORK_LUA_CONFIG_H

#include <stddef.h>
#include <stdint.h>

struct lua_State;

/* See protect.s. */
void moonfork_protect(void (*function)(struct lua_State *, void *), struct lua_State *state,
                      void *data);
_Noreturn void moonfork_throw(void);

/*
 * Which Lua thread runs at the moment: a protected call or a resume says so on its way in, and
 * restores what was there on its way out. After a trap it is still the one that was stopped.
 */
extern struct lua_State *moonfork_running;

/* There is one place where Lua tries: `luaD_rawrunprotected`, where the call is `f(L, ud)`. */
#define LUAI_THROW(L, c) moonfork_throw()
#define LUAI_TRY(L, c, a)                                       \
    {                                                           \
        struct lua_State *moonfork_before = moonfork_running;   \
        moonfork_running = (L);                                 \
        moonfork_protect(f, L, ud);                             \
        moonfork_running = moonfork_before;                     \
    }
#define luai_jmpbuf char

/*
 * What a C function returns after a yield or an error that unwinds Lua's stack by returning, up
 * to where a jump would lead: see 11-unwind-by-return.patch.
 */
#define UNWINDING (-2)

/* Notes that the last value of the stack is what was raised with `error`, changed: see raised.rs. */
void moonfork_derived(struct lua_State *L, const void *error);

/* Notes the frames of `co`, which the last value of the stack has ended: see site.rs. */
void moonfork_died(struct lua_State *L, struct lua_State *co);

/* Notes where there is no memory: see site.rs. */
void moonfork_out_of_memory(struct lua_State *L);

/* As `lua_error`, for a C function that returns at once what this returns. */
int moonfork_error(struct lua_State *L);

/* As `lua_pcallk`, for a C function that returns `UNWINDING` at once if this does. */
int moonfork_pcallk(struct lua_State *L, int nargs, int nresults, int errfunc, intptr_t ctx,
                    int (*k)(struct lua_State *, int, intptr_t));

/*
 * Three of the C library's functions, for texts that mostly are of a few characters: that library
 * goes from byte to byte, and calls of it cost. WebAssembly reads words at any address, the lowest
 * byte first.
 */

/* `memcpy` */
static inline void moonfork_copy(char *to, const char *from, size_t length)
{
    if (length > 16) {
        __builtin_memcpy(to, from, length);
    } else if (length >= 8) {
        uint64_t first, last;
        __builtin_memcpy(&first, from, 8);
        __builtin_memcpy(&last, from + length - 8, 8);
        __builtin_memcpy(to, &first, 8);
        __builtin_memcpy(to + length - 8, &last, 8);
    } else if (length >= 4) {
        uint32_t first, last;
        __builtin_memcpy(&first, from, 4);
        __builtin_memcpy(&last, from + length - 4, 4);
        __builtin_memcpy(to, &first, 4);
        __builtin_memcpy(to + length - 4, &last, 4);
    } else if (length > 0) {
        char first = from[0], middle = from[length / 2], last = from[length - 1];
        to[0] = first;
        to[length / 2] = middle;
        to[length - 1] = last;
    }
}

/* Whether `memcmp` gives 0. */
static inline int moonfork_same(const char *a, const char *b, size_t length)
{
    uint64_t left, right;
    if (length >= 8) {
        size_t at;
        for (at = 0; at + 8 < length; at += 8) {
            __builtin_memcpy(&left, a + at, 8);
            __builtin_memcpy(&right, b + at, 8);
            if (left != right)
                return 0;
        }
        __builtin_memcpy(&left, a + length - 8, 8);
        __builtin_memcpy(&right, b + length - 8, 8);
        return left == right;
    }
    if (length >= 4) {
        uint32_t first, last, other;
        __builtin_memcpy(&first, a, 4);
        __builtin_memcpy(&other, b, 4);
        if (first != other)
            return 0;
        __builtin_memcpy(&last, a + length - 4, 4);
        __builtin_memcpy(&other, b + length - 4, 4);
        return last == other;
    }
    return length == 0 || (a[0] == b[0] && a[length / 2] == b[length / 2] &&
                           a[length - 1] == b[length - 1]);
}

/* `memchr`, which gives `end` if there is none. */
static inline const char *moonfork_find(const char *s, const char *end, int c)
{
    const uint64_t ones = 0x0101010101010101;
    const uint64_t wanted = ones * (unsigned char)c;
    for (; end - s >= 8; s += 8) {
        uint64_t word;
        __builtin_memcpy(&word, s, 8);
        word ^= wanted;
        word = (word - ones) & ~word & ones << 7; /* the lowest bit is right */
        if (word != 0)
            return s + (__builtin_ctzll(word) >> 3);
    }
    while (s < end && (unsigned char)*s != (unsigned char)c)
        s++;
    return s;
}

/* Writes `value` to `to`, as "%lld" does; gives the length. */
static inline int moonfork_decimal(char *to, long long value)
{
    char digits[20];
    unsigned long long rest = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
    int count = 0;
    int length = 0;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        to[length++] = '-';
    while (count > 0)
        to[length++] = digits[--count];
    to[length] = '\0';
    return length;
}

#endif
