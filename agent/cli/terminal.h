/* What a table needs to know of where it is printed. */
#ifndef LOGFOLD_CLI_TERMINAL_H
#define LOGFOLD_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

struct lf_terminal {
	size_t width; /* cells; LF_CELLS_UNLIMITED: as wide as it wants */
	bool colour;
};

/* Width: what the terminal says, else $COLUMNS, else 80 on a terminal and no limit elsewhere.
 * Colour: on a terminal, unless NO_COLOR is set and not empty or TERM is dumb. */
struct lf_terminal lf_terminal_of(int fd);

#endif
