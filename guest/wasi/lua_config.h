/*
 * Included before every file of Lua's, which leaves these to whoever builds it.
 */
#ifndef MOONFORK_LUA_CONFIG_H
#define MOONFORK_LUA_CONFIG_H

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

/* The iterator of `ipairs`, which the interpreter knows: see lvm_ahead.h. */
int moonfork_ipairsaux(struct lua_State *state);

#endif
