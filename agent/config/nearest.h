/* What somebody may have meant who misspelled a name. */
#ifndef LOGFOLD_CONFIG_NEAREST_H
#define LOGFOLD_CONFIG_NEAREST_H

/* The closest of the names, when one is close enough to have been meant; else NULL.  `names` ends
 * with NULL. */
const char *lf_nearest(const char *word, const char *const *names);

#endif
