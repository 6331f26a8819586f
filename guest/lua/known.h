/*
** Included in lvm.c, before lvm_ahead.h: C functions that are known by their addresses, and done in place where that needs
** no memory and raises nothing.
*/

int str_byte (lua_State *L);
int str_char (lua_State *L);
int str_len (lua_State *L);
int str_sub (lua_State *L);
int math_abs (lua_State *L);
int math_floor (lua_State *L);
int math_max (lua_State *L);
int math_min (lua_State *L);
int math_sqrt (lua_State *L);

/* The tags of two values as one number: compared once for both, and no two tests of each. */
#define tags(v1,v2)	(cast_uint(rawtt(v1)) << 8 | rawtt(v2))
#define both(tag)	((tag) << 8 | (tag))

/* Whether a short string is this character. */
#define isletter(ts,c)	((ts)->shrlen == 1 && cast_byte(getshrstr(ts)[0]) == (c))

/* The text of one character, if it is among the first three where it would be; else NULL. */
static inline __attribute__((always_inline)) TString *findletter (lua_State *L,
                                                                  unsigned int letter) {
  global_State *g = G(L);
  unsigned int h = g->seed ^ 1u;
  TString *ts;
  h ^= (h << 5) + (h >> 2) + letter;
  ts = g->strt.hash[lmod(h, g->strt.size)];
  if (ts == NULL)
    return NULL;
  if (!isletter(ts, letter)) {
    ts = ts->u.hnext;
    if (ts == NULL)
      return NULL;
    if (!isletter(ts, letter)) {
      ts = ts->u.hnext;
      if (ts == NULL || !isletter(ts, letter))
        return NULL;
    }
  }
  if (isdead(g, ts))
    changewhite(ts);  /* as `internshrstr` does */
  return ts;
}


/*
** Calls the C function at `ra` with `count` arguments, one at least, for one result, without hooks. Gives
** whether it could; otherwise nothing has happened.
*/
static inline __attribute__((always_inline)) int callknown (lua_State *L, StkId ra,
                                                            int count) {
  const TValue *one = s2v(ra + 1);
  const TValue *two = s2v(ra + 2);
  lua_CFunction f = fvalue(s2v(ra));
  TString *ts;
  if (f == str_byte) {
    lua_Integer n = 1;
    size_t length;
    if (!ttisstring(one) || count > 2)
      return 0;
    if (count == 2) {
      if (!ttisinteger(two))
        return 0;
      n = ivalue(two);
    }
    length = tsslen(tsvalue(one));
    if (n < 0)
      n += (lua_Integer)length + 1;
    if (l_castS2U(n) - 1u < length) {
      setivalue(s2v(ra), cast_byte(getstr(tsvalue(one))[n - 1]));
    }
    else {
      setnilvalue(s2v(ra));
    }
    return 1;
  }
  if (f == str_sub) {  /* of one character */
    const TValue *three = s2v(ra + 3);
    size_t length;
    if (count != 3 || !ttisstring(one) || !ttisinteger(two) || !ttisinteger(three))
      return 0;
    length = tsslen(tsvalue(one));
    if (ivalue(two) != ivalue(three) || l_castS2U(ivalue(two)) - 1u >= length)
      return 0;
    ts = findletter(L, cast_byte(getstr(tsvalue(one))[ivalue(two) - 1]));
    if (ts == NULL)
      return 0;
    setsvalue2s(L, ra, ts);
    return 1;
  }
  if (f == str_char) {
    if (count != 1 || !ttisinteger(one) || l_castS2U(ivalue(one)) > UCHAR_MAX)
      return 0;
    ts = findletter(L, cast_byte(ivalue(one)));
    if (ts == NULL)
      return 0;
    setsvalue2s(L, ra, ts);
    return 1;
  }
  if (f == math_floor) {
    if (count != 1)
      return 0;
    if (ttisfloat(one)) {
      lua_Number floored = __builtin_elementwise_floor(fltvalue(one));
      lua_Integer n;
      if (!lua_numbertointeger(floored, &n))
        return 0;
      setivalue(s2v(ra), n);
    }
    else if (ttisinteger(one)) {
      setobjs2s(L, ra, ra + 1);
    }
    else return 0;
    return 1;
  }
  if (f == math_sqrt) {
    lua_Number n;
    if (count != 1)
      return 0;
    if (ttisfloat(one)) n = fltvalue(one);
    else if (ttisinteger(one)) n = cast_num(ivalue(one));
    else return 0;
    setfltvalue(s2v(ra), __builtin_elementwise_sqrt(n));
    return 1;
  }
  if (f == math_abs) {
    if (count != 1)
      return 0;
    if (ttisfloat(one)) {
      setfltvalue(s2v(ra), l_mathop(fabs)(fltvalue(one)));
    }
    else if (ttisinteger(one)) {
      lua_Integer n = ivalue(one);
      if (n < 0) n = intop(-, 0, n);
      setivalue(s2v(ra), n);
    }
    else return 0;
    return 1;
  }
  if (f == math_max || f == math_min) {
    int second;
    if (count != 2)
      return 0;
    if (tags(one, two) == both(LUA_VNUMINT))
      second = (f == math_max) ? ivalue(one) < ivalue(two) : ivalue(two) < ivalue(one);
    else if (tags(one, two) == both(LUA_VNUMFLT))
      second = (f == math_max) ? fltvalue(one) < fltvalue(two) : fltvalue(two) < fltvalue(one);
    else return 0;
    setobjs2s(L, ra, second ? ra + 2 : ra + 1);
    return 1;
  }
  if (f == str_len && count == 1 && ttisstring(one)) {
    setivalue(s2v(ra), tsslen(tsvalue(one)));
    return 1;
  }
  return 0;
}

#undef isletter
