/*
 * Included before every file of Lua's, which leaves these to whoever builds it.
 */
#ifndef MOONFORK_LUA_CONFIG_H
#define MOONFORK_LUA_CONFIG_H

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
