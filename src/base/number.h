/* Numbers as text: with a decimal point, whatever the locale of the program around us. */
#ifndef REL_BASE_NUMBER_H
#define REL_BASE_NUMBER_H

enum { NUMBER_BYTES = 32 };

/* strtod in the C locale. */
double number_parse(const char *text, char **end);
/* "%.*g" in the C locale, with 1 to 17 digits. */
void number_text(double value, int digits, char text[NUMBER_BYTES]);

#endif
