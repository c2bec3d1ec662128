/* The preload library: where it is, and what LD_PRELOAD has to say for it to be loaded. */
#ifndef LOGFOLD_CLI_PRELOAD_H
#define LOGFOLD_CLI_PRELOAD_H

#include <limits.h>

#include "logfold/error.h"

#define LF_PRELOAD_ENV "LOGFOLD_PRELOAD_LIB"

/* The absolute path of liblogfold-preload.so: $LOGFOLD_PRELOAD_LIB, else the file beside the running
 * executable, else the one in LF_LIBDIR.  A file that is missing, or whose path LD_PRELOAD cannot
 * express, is an error whose sentence names file and remedy. */
LF_MUST_CHECK int lf_preload_find(char out[PATH_MAX], struct lf_error *err);

/* `before` (may be NULL) with the library at its end, once.  Allocated; NULL when out of memory. */
char *lf_preload_append(const char *before, const char *library);

#endif
