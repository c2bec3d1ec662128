#include "agent/cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/cli/display.h"

enum { WIDTH_OF_A_SILENT_TERMINAL = 80, WIDTH_MAX = 100000 };

static size_t width_by_environment(void)
{
	const char *columns = getenv("COLUMNS");
	char *end;
	long width;

	if (!columns || columns[0] < '0' || columns[0] > '9')
		return 0;
	width = strtol(columns, &end, 10);
	return *end || width <= 0 || width > WIDTH_MAX ? 0 : (size_t)width;
}

static size_t width_of(int fd, bool is_terminal)
{
	struct winsize size;
	size_t width;

	if (is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	width = width_by_environment();
	if (width > 0)
		return width;
	return is_terminal ? WIDTH_OF_A_SILENT_TERMINAL : LF_CELLS_UNLIMITED;
}

static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

struct lf_terminal lf_terminal_of(int fd)
{
	bool is_terminal = isatty(fd);

	return (struct lf_terminal){
		.width = width_of(fd, is_terminal),
		.colour = is_terminal && wants_colour(),
	};
}
