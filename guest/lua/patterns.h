/*
** Included in lstrlib.c, in place of what it has for matching patterns.
**
** A pattern is walked as Lua walks it, and gives the same matches, captures and errors. What
** differs is what is done on the way:
**
** - Whether a character is in a class is looked up in a set of 256 bits. Those of classes are
**   there; that of brackets is made where many characters are tried, and kept for the next time.
** - Where a pattern begins with a character or a set that has to be there, places without it are
**   passed over (`seek`), and likewise where that follows a repetition (`needed`).
** - Captures don't recurse: who tries several ways goes back to the captures that it began with. For
**   "pattern too complex" all recursions of Lua's count nevertheless.
*/

/* Sets of characters: the bit `c & 63` of the word `c >> 6`. */
#define WORDS  4

/* The classes, in the order of CLASSES. */
#define CLASSES  "acdglpsuwxz"
static const uint64_t class_sets[][WORDS] = {
  {0, 0x07FFFFFE07FFFFFE, 0, 0},  /* letters */
  {0x00000000FFFFFFFF, 0x8000000000000000, 0, 0},  /* control characters */
  {0x03FF000000000000, 0, 0, 0},  /* digits */
  {0xFFFFFFFE00000000, 0x7FFFFFFFFFFFFFFF, 0, 0},  /* what can be seen */
  {0, 0x07FFFFFE00000000, 0, 0},  /* lower case */
  {0xFC00FFFE00000000, 0x78000001F8000001, 0, 0},  /* punctuation */
  {0x0000000100003E00, 0, 0, 0},  /* spaces */
  {0, 0x0000000007FFFFFE, 0, 0},  /* upper case */
  {0x03FF000000000000, 0x07FFFFFE07FFFFFE, 0, 0},  /* letters and digits */
  {0x03FF000000000000, 0x0000007E0000007E, 0, 0},  /* hexadecimal digits */
  {1, 0, 0, 0}  /* zero */
};

/* The place of a letter in CLASSES, and one more; 0 for those that are no class. */
static const unsigned char class_of[32] = {
  0, 1, 0, 2, 3, 0, 0, 4, 0, 0, 0, 0, 5, 0, 0, 0,
  6, 0, 0, 7, 0, 8, 0, 9, 10, 0, 11, 0, 0, 0, 0, 0
};

/* Which class `cl` is, behind a '%', whether in upper or lower case; 0 for a plain character. */
#define classindex(cl)  ((cl) & 0x40 && (cl) < 0x80 ? class_of[(cl) & 31] : 0)

/* Upper case is the class's complement. */
#define isnegated(cl)  (!((cl) & 0x20))

#define inset(set,c)  ((set)[(c) >> 6] >> ((c) & 63) & 1)


static int match_class (int c, int cl) {
  unsigned int class = classindex(cl);
  if (class == 0)
    return cl == c;
  return inset(class_sets[class - 1], c) != isnegated(cl);
}


static int matchbracketclass (int c, const char *p, const char *ec) {
  int sig = 1;
  if (*(p+1) == '^') {
    sig = 0;
    p++;  /* skip the '^' */
  }
  while (++p < ec) {
    if (*p == L_ESC) {
      p++;
      if (match_class(c, uchar(*p)))
        return sig;
    }
    else if ((*(p+1) == '-') && (p+2 < ec)) {
      p+=2;
      if (uchar(*(p-2)) <= c && c <= uchar(*p))
        return sig;
    }
    else if (uchar(*p) == c) return sig;
  }
  return !sig;
}


/* What characters an item of a pattern stands for. Good until the next one is asked for. */
typedef struct Item {
  const uint64_t *set;  /* NULL if it is one character */
  unsigned int flip;  /* 1 for the complement of the set */
  int c;  /* that character */
} Item;

#define initem(item,ch)  \
  ((item).set == NULL ? (item).c == (ch) : (inset((item).set, ch) ^ (item).flip) != 0)

/* Which set is kept for the bracket at `p`; -1 if none is. */
#define keptset(ms,at)  ((ms)->set[0].of == (at) ? 0 : (ms)->set[1].of == (at) ? 1 : -1)

static const uint64_t no_characters[WORDS] = {0, 0, 0, 0};


/* Makes the set of the bracket from `p` to `ep`, as `matchbracketclass` reads it, but for '^'. */
static __attribute__((noinline)) int makeset (MatchState *ms, const char *p, const char *ep) {
  const char *ec = ep - 1;
  int i = ms->oldest;
  uint64_t *set = ms->set[i].bits;
  ms->oldest = !i;
  ms->set[i].of = p;
  ms->set[i].end = ep;
  if (*(p + 1) == '^')
    p++;
  for (i = 0; i < WORDS; i++)
    set[i] = 0;
  while (++p < ec) {
    int low = uchar(*p);
    int high = low;
    if (low == L_ESC) {
      unsigned int class;
      low = high = uchar(*++p);
      class = classindex(low);
      if (class != 0) {
        for (i = 0; i < WORDS; i++)
          set[i] |= isnegated(low) ? ~class_sets[class - 1][i] : class_sets[class - 1][i];
        continue;
      }
    }
    else if ((*(p+1) == '-') && (p+2 < ec)) {
      p += 2;
      high = uchar(*p);
    }
    for (; low <= high; low++)
      set[low >> 6] |= (uint64_t)1 << (low & 63);
  }
  return ms->oldest ^ 1;
}


/* What the item of a pattern from `p` to `ep` stands for. */
static inline __attribute__((always_inline)) Item itemof (MatchState *ms, const char *p, const char *ep) {
  Item item;
  item.set = NULL;
  item.flip = 0;
  item.c = uchar(*p);
  switch (*p) {
    case '.': {
      item.set = no_characters;
      item.flip = 1;
      break;
    }
    case L_ESC: {
      unsigned int class;
      item.c = uchar(*(p + 1));
      class = classindex(item.c);
      if (class != 0) {
        item.set = class_sets[class - 1];
        item.flip = isnegated(item.c);
      }
      break;
    }
    case '[': {
      int i = keptset(ms, p);
      if (i < 0)
        i = makeset(ms, p, ep);
      item.set = ms->set[i].bits;
      item.flip = (*(p + 1) == '^');
      break;
    }
  }
  return item;
}


/* Gives the first place from `s` on where this is so, or `end`. */
#define scan(condition)  { \
  for (; end - s >= 4; s += 4) { \
    int c = uchar(s[0]); \
    if (condition) return s; \
    c = uchar(s[1]); \
    if (condition) return s + 1; \
    c = uchar(s[2]); \
    if (condition) return s + 2; \
    c = uchar(s[3]); \
    if (condition) return s + 3; \
  } \
  for (; s < end; s++) { \
    int c = uchar(*s); \
    if (condition) return s; \
  } \
  return end; }

/* The first place from `s` on that isn't in a set, or is if `flip` is 1. */
static const char *leaves (const uint64_t *set, unsigned int flip, const char *s, const char *end) {
  if (flip)
    scan(inset(set, c))
  else
    scan(!inset(set, c))
}


/* Where what an item stands for ends that is at `s` and behind. */
static inline const char *behind (Item item, const char *s, const char *end) {
  if (item.set == NULL) {
    while (s < end && uchar(*s) == item.c)
      s++;
    return s;
  }
  return (item.set == no_characters) ? end : leaves(item.set, item.flip, s, end);
}

#undef scan


/* Whether an item can do without a character. */
#define isoptional(suffix)  ((suffix) == '*' || (suffix) == '?' || (suffix) == '-')


/*
** The first place from `s` on at which the pattern isn't seen to fail by what it begins with, or NULL.
** Raises nothing but what `match` would raise at `s`.
*/
static const char *seek (MatchState *ms, const char *s, const char *p) {
  const char *ep;
  Item item;
  if (*p == '(')
    p += (*(p + 1) == ')') ? 2 : 1;
  if (p >= ms->p_end)
    return s;
  switch (*p) {
    case '(': case ')':
      return s;
    case '$': {
      if (p + 1 == ms->p_end)
        return s;
      break;
    }
    case L_ESC: {
      if (p + 1 == ms->p_end || *(p + 1) == 'b' || *(p + 1) == 'f' || isdigit(uchar(*(p + 1))))
        return s;
      break;
    }
  }
  ep = classend(ms, p);
  if (isoptional(*ep))
    return s;
  item = itemof(ms, p, ep);
  s = (item.set == NULL) ? moonfork_find(s, ms->src_end, item.c)
                         : leaves(item.set, item.flip ^ 1, s, ms->src_end);
  return s < ms->src_end ? s : NULL;
}


/*
** The character without which what is left of a pattern fails, and raises nothing; or -1, if it
** isn't seen at once. Captures may begin and end before it.
*/
static int needed (const MatchState *ms, const char *p) {
  int c;
  if (ms->matchdepth < 4 || ms->level > LUA_MAXCAPTURES - 1)
    return -1;
  if (*p == ')') {
    if (ms->open == 0)
      return -1;
    p++;
  }
  if (*p == '(')
    p += (*(p + 1) == ')') ? 2 : 1;
  if (p >= ms->p_end)
    return -1;
  c = uchar(*p++);
  switch (c) {
    case '(': case ')': case '.': case '[':
      return -1;
    case '$': {
      if (p == ms->p_end)
        return -1;
      break;
    }
    case L_ESC: {
      if (p == ms->p_end || isalnum(uchar(*p)))
        return -1;
      c = uchar(*p++);
      break;
    }
  }
  return isoptional(*p) ? -1 : c;
}


static const char *matchbalance (MatchState *ms, const char *s,
                                   const char *p) {
  if (l_unlikely(p >= ms->p_end - 1))
    luaL_error(ms->L, "malformed pattern (missing arguments to '%%b')");
  if (*s != *p) return NULL;
  else {
    int b = *p;
    int e = *(p+1);
    int cont = 1;
    while (++s < ms->src_end) {
      if (*s == e) {
        if (--cont == 0) return s+1;
      }
      else if (*s == b) cont++;
    }
  }
  return NULL;  /* string ends out of balance */
}


static const char *match_capture (MatchState *ms, const char *s, int l) {
  size_t len;
  l = check_capture(ms, l);
  len = ms->capture[l].len;
  if ((size_t)(ms->src_end-s) >= len &&
      memcmp(ms->capture[l].init, s, len) == 0)
    return s+len;
  else return NULL;
}


/* What Lua does by a call of `match`: counts it. */
#define deeper(ms)  \
  { if (l_unlikely(ms->matchdepth-- == 0)) luaL_error(ms->L, "pattern too complex"); }

/*
** Where the pattern's rest from `p` on ends that begins at `s`, or NULL. In that case, all that is noted of
** captures is as it was.
*/
static const char *match (MatchState *ms, const char *s, const char *p) {
  int depth = ms->matchdepth;
  unsigned char level = ms->level;
  uint32_t open = ms->open;
  deeper(ms);
  init:
  if (p != ms->p_end) {  /* end of pattern? */
    const char *ep;  /* points to optional suffix */
    int fits;  /* does it match at least once? */
    switch (*p) {
      case '(': {  /* start capture */
        int l = ms->level;
        if (l >= LUA_MAXCAPTURES) luaL_error(ms->L, "too many captures");
        ms->capture[l].init = s;
        if (*(p + 1) == ')') {  /* position capture? */
          ms->capture[l].len = CAP_POSITION;
          p += 2;
        }
        else {
          ms->capture[l].len = CAP_UNFINISHED;
          ms->open |= (uint32_t)1 << l;
          p += 1;
        }
        ms->level = l + 1;
        deeper(ms);
        goto init;
      }
      case ')': {  /* end capture */
        int l;
        if (l_unlikely(ms->open == 0))
          luaL_error(ms->L, "invalid pattern capture");
        l = 31 - __builtin_clz(ms->open);
        ms->open ^= (uint32_t)1 << l;
        ms->capture[l].len = s - ms->capture[l].init;  /* close capture */
        p++;
        deeper(ms);
        goto init;
      }
      case '$': {
        if ((p + 1) != ms->p_end)  /* is the '$' the last char in pattern? */
          goto plain;
        s = (s == ms->src_end) ? s : NULL;  /* check end of string */
        goto end;
      }
      case L_ESC: {  /* escaped sequences not in the format class[*+?-]? */
        switch (*(p + 1)) {
          case 'b': {  /* balanced string? */
            s = matchbalance(ms, s, p + 2);
            if (s != NULL) {
              p += 4; goto init;  /* return match(ms, s, p + 4); */
            }  /* else fail (s == NULL) */
            goto end;
          }
          case 'f': {  /* frontier? */
            char previous;
            p += 2;
            if (l_unlikely(*p != '['))
              luaL_error(ms->L, "missing '[' after '%%f' in pattern");
            ep = classend(ms, p);  /* points to what is next */
            previous = (s == ms->src_init) ? '\0' : *(s - 1);
            if (!matchbracketclass(uchar(previous), p, ep - 1) &&
               matchbracketclass(uchar(*s), p, ep - 1)) {
              p = ep; goto init;  /* return match(ms, s, ep); */
            }
            s = NULL;  /* match failed */
            goto end;
          }
          case '0': case '1': case '2': case '3':
          case '4': case '5': case '6': case '7':
          case '8': case '9': {  /* capture results (%0-%9)? */
            s = match_capture(ms, s, uchar(*(p + 1)));
            if (s != NULL) {
              p += 2; goto init;  /* return match(ms, s, p + 2) */
            }
            goto end;
          }
        }
        if (l_unlikely(p + 1 == ms->p_end))
          luaL_error(ms->L, "malformed pattern (ends with '%%')");
        ep = p + 2;
        fits = s < ms->src_end && match_class(uchar(*s), uchar(*(p + 1)));
        break;
      }
      case '[': {
        int i = keptset(ms, p);
        if (i >= 0) {
          ep = ms->set[i].end;
          fits = s < ms->src_end && inset(ms->set[i].bits, uchar(*s)) != (*(p + 1) == '^');
        }
        else {
          ep = classend(ms, p);
          fits = s < ms->src_end && matchbracketclass(uchar(*s), p, ep - 1);
        }
        break;
      }
      case '.': {
        ep = p + 1;
        fits = s < ms->src_end;
        break;
      }
      default: plain: {
        ep = p + 1;
        fits = s < ms->src_end && *s == *p;
        break;
      }
    }
    switch (*ep) {  /* handle optional suffix */
      case '?': {  /* optional */
        if (fits) {
          const char *res = match(ms, s + 1, ep + 1);
          if (res != NULL) {
            s = res;
            goto end;
          }
        }
        p = ep + 1; goto init;  /* else return match(ms, s, ep + 1); */
      }
      case '+':  /* 1 or more repetitions */
        if (!fits) {
          s = NULL;
          goto end;
        }
        s++;  /* 1 match already done */
        goto expand;
      case '*': {  /* 0 or more repetitions */
        if (!fits) {
          p = ep + 1; goto init;
        }
       expand: {
          Item item = itemof(ms, p, ep);
          const char *last = behind(item, s, ms->src_end);
          int c;
          p = ep + 1;
          if (p == ms->p_end || last == s)
            c = -2;  /* there is one way */
          else {
            c = needed(ms, p);
            if (c >= 0 && !initem(item, c)) {  /* nothing before `last` is that? */
              if (last == ms->src_end || uchar(*last) != c) {
                s = NULL;
                goto end;
              }
              c = -2;
            }
          }
          if (c == -2) {
            s = last;
            deeper(ms);
            goto init;
          }
          /* keeps trying to match with the maximum repetitions */
          for (;; last--) {
            if (c < 0 || (last < ms->src_end && uchar(*last) == c)) {
              const char *res = match(ms, last, p);
              if (res != NULL) {
                s = res;
                goto end;
              }
            }
            if (last == s) {
              s = NULL;
              goto end;
            }
          }
        }
      }
      case '-': {  /* 0 or more repetitions (minimum) */
        Item item;
        int c;
        if (!fits) {
          p = ep + 1; goto init;
        }
        item = itemof(ms, p, ep);
        c = needed(ms, ep + 1);
        for (;;) {
          if (c >= 0 && item.set == no_characters)
            s = moonfork_find(s, ms->src_end, c);
          if (c < 0 || (s < ms->src_end && uchar(*s) == c)) {
            const char *res = match(ms, s, ep + 1);
            if (res != NULL) {
              s = res;
              goto end;
            }
            item = itemof(ms, p, ep);
          }
          if (s < ms->src_end && initem(item, uchar(*s)))
            s++;  /* try with one more repetition */
          else {
            s = NULL;
            goto end;
          }
        }
      }
      default: {  /* no suffix */
        if (!fits) {
          s = NULL;
          goto end;
        }
        s++; p = ep; goto init;  /* return match(ms, s + 1, ep); */
      }
    }
  }
 end:
  ms->matchdepth = depth;
  if (s == NULL) {
    ms->level = level;
    ms->open = open;
  }
  return s;
}
