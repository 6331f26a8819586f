/*
** Included in Lua's libraries: what they ask most of Lua's public interface, without a call where it
** is as it mostly is. Anything else is asked as before, and raises what it raises.
*/

#include "lapi.h"
#include "lgc.h"
#include "lobject.h"
#include "lstate.h"
#include "lstring.h"

/* The argument `arg` of the C function that runs, if there is one: asked for only by what is positive. */
#define argument(L,arg)	((L)->ci->func.p + (arg))
#define isgiven(L,o)	((o) < (L)->top.p)

static inline const char *directtext (lua_State *L, int arg, size_t *len) {
  StkId o = argument(L, arg);
  if (l_likely(isgiven(L, o) && ttisstring(s2v(o)))) {
    TString *ts = tsvalue(s2v(o));
    if (len != NULL)
      *len = tsslen(ts);
    return getstr(ts);
  }
  return luaL_checklstring(L, arg, len);
}

static inline lua_Integer directinteger (lua_State *L, int arg) {
  StkId o = argument(L, arg);
  if (l_likely(isgiven(L, o) && ttisinteger(s2v(o))))
    return ivalue(s2v(o));
  return luaL_checkinteger(L, arg);
}

static inline lua_Integer directoptional (lua_State *L, int arg, lua_Integer def) {
  StkId o = argument(L, arg);
  if (!isgiven(L, o))
    return def;
  if (l_likely(ttisinteger(s2v(o))))
    return ivalue(s2v(o));
  return luaL_optinteger(L, arg, def);
}

static inline void directpush (lua_State *L, lua_Integer n) {
  setivalue(s2v(L->top.p), n);
  api_incr_top(L);
}

static inline void directroom (lua_State *L, int space, const char *message) {
  if (l_unlikely(L->ci->top.p - L->top.p < space))
    luaL_checkstack(L, space, message);
}

static inline void directadd (luaL_Buffer *b, const char *s, size_t l) {
  if (l_likely(b->size - b->n >= l)) {
    moonfork_copy(b->b + b->n, s, l);
    b->n += l;
  }
  else
    luaL_addlstring(b, s, l);
}

#define luaL_checklstring(L,arg,len)	directtext(L, arg, len)
#define luaL_checkinteger(L,arg)	directinteger(L, arg)
#define luaL_optinteger(L,arg,def)	directoptional(L, arg, def)
#define luaL_checkstack(L,space,message)	directroom(L, space, message)
#define luaL_addlstring(b,s,l)	directadd(b, s, l)
#define lua_pushinteger(L,n)	directpush(L, n)
