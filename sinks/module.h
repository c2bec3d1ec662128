/* The modules: `logfold-<name>.so`, each with its client library, loaded when a configuration first names it. */
#ifndef LOGFOLD_SINKS_MODULE_H
#define LOGFOLD_SINKS_MODULE_H

#include "logfold/error.h"

/* One object that the module exports; the module stays loaded.  -ENOENT: there is no such module; -ENOEXEC: it cannot
 * be loaded, or does not export that. */
LF_MUST_CHECK int lf_module_load(const char *name, const char *symbol, const void **out, struct lf_error *err);

/* What is said, and returned, of one that exports something else than we know: -ENOEXEC. */
LF_MUST_CHECK int lf_module_is_other(const char *name, struct lf_error *err);

#endif
