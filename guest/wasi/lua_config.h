/*
 * Included before every file of Lua's, which leaves these to whoever builds it.
 */
#ifndef MOONFORK_LUA_CONFIG_H
#define MOONFORK_LUA_CONFIG_H

/*
 * Which Lua thread runs at the moment: a protected call or a resume says so on its way in, and
 * restores what was there on its way out. After a trap it is still the one that was stopped.
 * The rest is as Lua has it by default.
 */
struct lua_State;
extern struct lua_State *moonfork_running;

#define LUAI_THROW(L, c) longjmp((c)->b, 1)
#define LUAI_TRY(L, c, a)                                       \
    {                                                           \
        struct lua_State *moonfork_before = moonfork_running;   \
        moonfork_running = (L);                                 \
        if (setjmp((c)->b) == 0) {                              \
            a                                                   \
        }                                                       \
        moonfork_running = moonfork_before;                     \
    }
#define luai_jmpbuf jmp_buf

/* `os` is opened for the time; what it has besides is taken away, and not there to begin with. */
#define l_system(command) ((void)(command), -1)
#define LUA_TMPNAMBUFSIZE 1
#define lua_tmpnam(buffer, failed) \
    {                              \
        (void)(buffer);            \
        (failed) = 1;              \
    }

#endif
