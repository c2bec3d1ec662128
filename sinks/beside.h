/* The other files of the installation: beside the command, or the library that this is in, else where it was installed to. */
#ifndef LOGFOLD_SINKS_BESIDE_H
#define LOGFOLD_SINKS_BESIDE_H

#include <limits.h>
#include <stdbool.h>

#define LF_MODULE_DIR_ENV "LOGFOLD_MODULE_DIR" /* instead of both places; for tests and odd installations */

extern const char lf_beside_libdir[];

/* False: none is there that we may use so (R_OK, X_OK). */
bool lf_beside_find(const char *file, int mode, char out[PATH_MAX]);

/* For people: the command or the library that it is looked beside. */
const char *lf_beside_whom(void);

#endif
