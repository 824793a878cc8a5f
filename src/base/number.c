#include "base/number.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t plain; /* 0 without memory: then numbers are the program's */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void plain_make(void) { plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

double number_parse(const char *text, char **end) {
    pthread_once(&once, plain_make);
    return plain ? strtod_l(text, end, plain) : strtod(text, end);
}

void number_text(double value, int digits, char text[NUMBER_BYTES]) {
    pthread_once(&once, plain_make);
    locale_t before = plain ? uselocale(plain) : (locale_t)0;
    snprintf(text, NUMBER_BYTES, "%.*g", digits, value);
    if (before) uselocale(before);
}
