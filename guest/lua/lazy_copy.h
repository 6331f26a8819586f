/*
** Included in ltable.c: lazy copies of tables that scripts don't see, the originals.
**
** What many tables have in common is there once, as an original. Each place that shows it has a lazy
** copy, a table of its own that is empty, and whose metatable is the original. Reading a number or a
** text looks it up there; where a script writes, asks for what follows a key or reads a table, the copy is
** filled with what the original has, in the same order, and is a table like others from there on. The tables in
** it are lazy copies then, of those in the original. So whatever a script does to one copy, no other changes,
** and the original never does.
**
** Nothing is ever written to an original once it is sealed, and no script has one in its hands.
*/

/* The collection of what tables were made from, which the guest keeps: see guest/src/value.rs. It
** says of a copy that has been filled which original that was of. */
static Table *origins;

/* Flags of a table that nobody writes to, and that has no metamethods: but for `__newindex`, which
** whoever asks for has to ask first whether this is a metatable at all, before it writes. */
#define SEALED  (BITORIGINAL | (maskflags & ~(1u << TM_NEWINDEX)))

/* A lazy copy of `original`, a sealed table that somebody holds. */
static Table *lazycopy (lua_State *L, Table *original) {
  Table *t = luaH_new(L);
  t->metatable = original;
  setnorealasize(t);  /* so that no iterator takes it for an empty table: see `OP_TFORCALL` */
  return t;
}

/* Where `value`, which `holder` has, is a table, puts a lazy copy in its place. */
static void copyvalue (lua_State *L, Table *holder, TValue *value) {
  if (ttistable(value)) {
    Table *t = lazycopy(L, hvalue(value));
    sethvalue(L, value, t);
  }
  luaC_barrierback(L, obj2gco(holder), value);
}

/*
** Fills a lazy copy with what its original has. May raise a memory error, and then it is as it was.
** There have to be two free places on the stack.
*/
void luaH_fill (lua_State *L, Table *t) {
  Table *original = t->metatable;
  unsigned int asize = luaH_realasize(original);
  unsigned int i;
  Table *copy = luaH_new(L);
  sethvalue2s(L, L->top.p, t);  /* anchor both */
  L->top.p++;
  sethvalue2s(L, L->top.p, copy);
  L->top.p++;
  luaH_resize(L, copy, asize, allocsizenode(original));
  for (i = 0; i < asize; i++) {
    setobj2t(L, &copy->array[i], &original->array[i]);
    copyvalue(L, copy, &copy->array[i]);
  }
  if (!isdummy(original)) {
    unsigned int size = cast_uint(sizenode(original));
    /* The keys lie where they do in the original, for an iteration to find them in the same order. */
    for (i = 0; i < size; i++)
      *gnode(copy, i) = *gnode(original, i);
    copy->lastfree = gnode(copy, 0) + (original->lastfree - gnode(original, 0));
    for (i = 0; i < size; i++) {
      Node *n = gnode(copy, i);
      if (!isempty(gval(n))) {
        TValue key;
        getnodekey(L, &key, n);
        luaC_barrierback(L, obj2gco(copy), &key);
        copyvalue(L, copy, gval(n));
      }
    }
  }
  if (origins != NULL) {
    TValue key, value;
    sethvalue(L, &key, t);
    sethvalue(L, &value, original);
    luaH_set(L, origins, &key, &value);
    luaC_barrierback(L, obj2gco(origins), &value);
  }
  /* From here on nothing fails. */
  t->metatable = NULL;
  t->flags = cast_byte(maskflags);
  t->alimit = copy->alimit;
  t->array = copy->array;
  t->node = copy->node;
  t->lsizenode = copy->lsizenode;
  t->lastfree = copy->lastfree;
  copy->alimit = 0;
  copy->array = NULL;
  setnodevector(L, copy, 0);
  if (isblack(obj2gco(t)))
    luaC_barrierback_(L, obj2gco(t));
  L->top.p -= 2;
}

/* Whether two values would be written the same; tables are not compared. */
static int samevalue (const TValue *one, const TValue *other) {
  if (rawtt(one) != rawtt(other))
    return 0;
  if (ttisfloat(one))  /* zero has a sign */
    return memcmp(&one->value_.n, &other->value_.n, sizeof(lua_Number)) == 0;
  return luaV_rawequalobj(one, other);
}

/* What `origins` has about a table. */
static const TValue *noted (const Table *t) {
  const Node *n = hashpointer(origins, t);
  for (;;) {
    if (keytt(n) == ctb(LUA_VTABLE) && keyval(n).gc == obj2gco(cast(Table *, t)))
      return gval(n);
    if (gnext(n) == 0)
      return &absentkey;
    n += gnext(n);
  }
}

/* The original of which `t` is or was a lazy copy, unless a script has said that it is something else. */
static const Table *originof (const Table *t) {
  const TValue *value = origins != NULL ? noted(t) : &absentkey;
  if (ttistable(value) && isoriginal(hvalue(value)))
    return hvalue(value);
  return isempty(value) && islazy(t) ? t->metatable : NULL;
}

/* Whether `t` is still what its original is. Neither calls Lua nor allocates. */
static int isunchanged (const Table *t, const Table *original) {
  unsigned int count = 0;
  unsigned int i, size;
  if (originof(t) != original)
    return 0;
  if (islazy(t))
    return 1;
  if (t->metatable != NULL)
    return 0;
  size = luaH_realasize(original);
  for (i = 0; i < size + cast_uint(sizenode(original)); i++) {
    const TValue *value;
    const TValue *own;
    if (i < size) {
      value = &original->array[i];
      own = luaH_getint(cast(Table *, t), cast(lua_Integer, i) + 1);
    }
    else {
      const Node *n = gnode(original, i - size);
      TValue key;
      value = gval(n);
      if (isempty(value))
        continue;
      getnodekey(NULL, &key, n);
      own = luaH_get(cast(Table *, t), &key);
    }
    if (isempty(value)) {
      if (!isempty(own))
        return 0;
      continue;
    }
    count++;
    if (ttistable(value)) {
      if (!ttistable(own) || !isunchanged(hvalue(own), hvalue(value)))
        return 0;
    }
    else if (!samevalue(value, own))
      return 0;
  }
  /* Nothing may have come to it. */
  size = luaH_realasize(t);
  for (i = 0; i < size; i++)
    if (!isempty(&t->array[i]))
      count--;
  for (i = 0; i < cast_uint(sizenode(t)); i++)
    if (!isempty(gval(gnode(t, i))))
      count--;
  return count == 0;
}

/*
** What the guest has of this: see guest/src/raw/lazy.rs. Each is given the address of a table that is on
** the stack of the call, as `lua_topointer` has it, or in one that is.
*/

/* Says which table has what tables were made from, for good. */
void moonfork_origins (const void *table) {
  origins = cast(Table *, table);
}

/* Makes an original of a table in which all tables are originals: from here on nobody writes to it. */
void moonfork_seal (const void *table) {
  Table *t = cast(Table *, table);
  t->flags = cast_byte((t->flags & BITRAS) | SEALED);
}

/* Puts a lazy copy in place of the last value, an original. */
void moonfork_lazy (lua_State *L) {
  Table *t = lazycopy(L, hvalue(s2v(L->top.p - 1)));
  sethvalue2s(L, L->top.p - 1, t);
}

/* Whether it is an original. */
int moonfork_is_original (const void *table) {
  return isoriginal(cast(const Table *, table)) != 0;
}

/* The original of a copy that isn't filled yet, or NULL. */
const void *moonfork_pending (const void *table) {
  const Table *t = cast(const Table *, table);
  return islazy(t) ? t->metatable : NULL;
}

/* The original that the table is a copy of, if it is known, or NULL. */
const void *moonfork_origin (const void *table) {
  return originof(cast(const Table *, table));
}

/* Whether a copy of the original is still what that is. */
int moonfork_is_unchanged (const void *table, const void *original) {
  return isunchanged(cast(const Table *, table), cast(const Table *, original));
}

/* Pushes a table by its address. */
void moonfork_push_table (lua_State *L, const void *table) {
  sethvalue2s(L, L->top.p, cast(Table *, table));
  L->top.p++;
}
