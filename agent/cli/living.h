/* Which processes of a run directory are still alive. */
#ifndef LOGFOLD_CLI_LIVING_H
#define LOGFOLD_CLI_LIVING_H

/* How many processes own a segment in this run directory and have not ended.  A process in another
 * pid namespace is not seen; what cannot be read counts as none. */
unsigned lf_living_count(const char *run_dir);

#endif
