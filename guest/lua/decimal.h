/*
** Included in lobject.c and lstrlib.c: numbers with few digits, read and written without the C
** library, which is exact for all of them and slow for each. Here a number is either treated exactly as well,
** or not at all.
*/
#ifndef MOONFORK_DECIMAL_H
#define MOONFORK_DECIMAL_H

#include <math.h>
#include <string.h>

/* A power of ten that a `double` is exactly: all up to the 22nd are, so that multiplying is exact. */
static inline double moonfork_power (int n) {
  double power = 1;
  while (n-- > 0)
    power *= 10;
  return power;
}


/* Writes `count` digits of `value`; gives their end. */
static inline char *writedigits (char *to, uint64_t value, int count) {
  int i;
  for (i = count - 1; i >= 0; i--) {
    to[i] = (char)('0' + value % 10);
    value /= 10;
  }
  return to + count;
}


/*
** Writes `n`, which isn't whole, as "%.14g" does; gives the length, or 0 if there may be more than four digits
** behind the point. A number is written as the quotient that it is nearest to, with no more than 14
** digits: it is so near that they are what rounding to 14 digits gives.
*/
static inline int moonfork_short (char *to, double n) {
  double size = fabs(n);
  int places;
  uint64_t scale = 1;
  if (!(size >= 1e-3 && size < 1e10))
    return 0;
  for (places = 1; places <= 4; places++) {
    uint64_t digits;
    scale *= 10;
    digits = (uint64_t)(size * (double)scale + 0.5);
    if ((double)digits / (double)scale == size) {
      int len = 0;
      if (n < 0)
        to[len++] = '-';
      len += moonfork_decimal(to + len, (long long)(digits / scale));
      to[len++] = '.';
      return (int)(writedigits(to + len, digits % scale, places) - to);
    }
  }
  return 0;
}


/*
** Writes `n`, which is positive or zero, with so many digits behind the point, no more than three, as "%.2f"
** does; gives the length, or 0 if it can't tell how to round. The fraction counts 2^-52ths; numbers below
** one have bits beyond that.
*/
static inline int moonfork_fixed (char *to, double n, int places) {
  const uint64_t one = (uint64_t)1 << 52, half = one / 2;
  uint64_t whole, scale, rest, digits;
  double fraction;
  int len;
  if (!(n < 1e15))
    return 0;
  scale = (uint64_t)moonfork_power(places);
  whole = (uint64_t)n;
  fraction = (n - (double)whole) * (double)one;
  rest = (uint64_t)fraction * scale;
  digits = rest >> 52;
  rest &= one - 1;
  if ((double)(uint64_t)fraction == fraction) {  /* all of it? */
    uint64_t last = (places == 0) ? whole : digits;
    digits += rest > half || (rest == half && (last & 1));
  }
  else if (rest >= half)
    digits++;
  else if (rest + scale > half)
    return 0;
  if (digits == scale) {
    digits = 0;
    whole++;
  }
  len = moonfork_decimal(to, (long long)whole);
  if (places > 0) {
    to[len++] = '.';
    len = (int)(writedigits(to + len, digits, places) - to);
  }
  return len;
}


/*
** Reads a decimal numeral of no more than 15 digits, and a power of ten that is exact, so that
** one operation rounds once; gives its end, or NULL for all else.
*/
static inline const char *moonfork_number (const char *s, double *result) {
  int negative = (*s == '-');
  int some = 0, exponent = 0;
  uint64_t digits = 0;
  double n;
  if (negative || *s == '+')
    s++;
  for (; *s >= '0' && *s <= '9'; s++) {
    if (digits >= 100000000000000)
      return NULL;
    digits = digits * 10 + (uint64_t)(*s - '0');
    some = 1;
  }
  if (*s == '.') {
    for (s++; *s >= '0' && *s <= '9'; s++) {
      if (digits >= 100000000000000)
        return NULL;
      digits = digits * 10 + (uint64_t)(*s - '0');
      exponent--;
      some = 1;
    }
  }
  if (!some)
    return NULL;
  if (*s == 'e' || *s == 'E') {
    int power = 0;
    int sign = (*++s == '-') ? -1 : 1;
    if (*s == '-' || *s == '+')
      s++;
    if (!(*s >= '0' && *s <= '9'))
      return NULL;
    for (; *s >= '0' && *s <= '9'; s++) {
      if (power > 99)
        return NULL;
      power = power * 10 + (*s - '0');
    }
    exponent += sign * power;
  }
  if (*s != '\0' || exponent < -22 || exponent > 22)
    return NULL;
  n = (double)digits;
  n = (exponent < 0) ? n / moonfork_power(-exponent) : n * moonfork_power(exponent);
  *result = negative ? -n : n;
  return s;
}


/*
** Pads the `len` characters that are at `to`, a number without a sign, as a format says that has nothing
** but flags, a width, a precision and a letter; gives the length. Zeros go between sign and digits.
*/
static inline int moonfork_pad (char *to, int len, int negative, const char *form) {
  int left = 0, zeros = 0, width = 0;
  char sign = negative ? '-' : '\0';
  int room;
  for (form++; ; form++) {
    if (*form == '-') left = 1;
    else if (*form == '0') zeros = 1;
    else if (*form == '+') { if (!negative) sign = '+'; }
    else if (*form == ' ') { if (sign == '\0') sign = ' '; }
    else break;
  }
  for (; *form >= '0' && *form <= '9'; form++)
    width = width * 10 + (*form - '0');
  room = width - len - (sign != '\0');
  if (room < 0)
    room = 0;
  if (left) {
    if (sign != '\0') {
      memmove(to + 1, to, (size_t)len);
      *to = sign;
      len++;
    }
    memset(to + len, ' ', (size_t)room);
  }
  else {
    int before = room + (sign != '\0');
    if (before > 0) {
      memmove(to + before, to, (size_t)len);
      memset(to, zeros ? '0' : ' ', (size_t)before);
      if (sign != '\0')
        to[zeros ? 0 : before - 1] = sign;
      len += (sign != '\0');
    }
  }
  return len + room;
}

#endif
