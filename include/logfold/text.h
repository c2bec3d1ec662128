/* Text that we did not make: pointer and length, not NUL-terminated. */
#ifndef LOGFOLD_TEXT_H
#define LOGFOLD_TEXT_H

#include <stddef.h>

struct lf_text {
	const char *data;
	size_t len;
};

#endif
