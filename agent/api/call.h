/* What call.c and print.c share. */
#ifndef LOGFOLD_API_CALL_H
#define LOGFOLD_API_CALL_H

#include "agent/api/linked.h"

/* The only names that leave the library (exports.map). */
#pragma GCC visibility push(default)
#include "logfold/logfold.h"
#pragma GCC visibility pop

/* struct lf_site_of_call.kind */
enum { LF_SITE_FORMAT = 0, LF_SITE_TEXT = 1, LF_SITE_FOREIGN = 2 };

/* The repeats of a fold that are to be told before this thread's next print. */
struct lf_untold {
	const char *message;
	uint32_t repeats; /* 0: none */
	uint32_t over_ms;
};
struct lf_untold lf_untold_take(void);

#endif
