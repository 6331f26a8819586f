/*
 * Lua's ldo.c includes this header and, as guest/lua/lua_config.h configures it, needs nothing of it.
 * Debian's wasi-libc has none, and that of a WASI SDK refuses to be included without flags.
 */
