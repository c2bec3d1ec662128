/* Entries that this machine's store does not have: the agent asks its tiers for them. */
#ifndef LOGFOLD_CLI_AFAR_H
#define LOGFOLD_CLI_AFAR_H

#include "agent/cli/options.h"
#include "logfold/entry.h"

/* When the one word of `options` is a whole hash that the store does not know, the agent of the base run
 * directory is asked, and `show` called with what it found and where: "redis", say.  True when it was
 * called.  What goes wrong is not told: then nobody knows the entry, and the caller says so. */
bool lf_afar_show(const struct lf_options *options,
                  void (*show)(const struct lf_entry *entry, const char *source));

#endif
