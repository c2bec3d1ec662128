/* Text that we did not make, as it may go to a person's terminal.
 *
 * Control characters are shown (\n, \t, \x1b), never sent; so are the invisible ones that change
 * the direction of text.  Width is counted in cells as a terminal does it, by wcwidth(3) of the
 * current locale; main() sees to it that this is a UTF-8 one.
 */
#ifndef LOGFOLD_CLI_DISPLAY_H
#define LOGFOLD_CLI_DISPLAY_H

#include <stdio.h>
#include <string.h>

#include "logfold/entry.h"

enum { LF_CELLS_UNLIMITED = 0 };

static inline struct lf_text lf_text_of(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

/* How many cells the text takes when it is shown whole. */
size_t lf_display_cells(struct lf_text text);

/* Prints the text in at most `cells_max` cells; what is cut off is replaced by `…`.  Returns how
 * many cells it took. */
size_t lf_display(FILE *out, struct lf_text text, size_t cells_max);

#endif
