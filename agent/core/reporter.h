/* How the agent tells a person: one sentence per failure or event, without a newline. */
#ifndef LOGFOLD_CORE_REPORTER_H
#define LOGFOLD_CORE_REPORTER_H

struct lf_reporter {
	void (*say)(void *arg, const char *sentence); /* NULL: nobody listens */
	void *arg;
};

/* NULL as the reporter is fine.  A sentence over 1 KiB is cut. */
__attribute__((format(printf, 2, 3))) void lf_say(const struct lf_reporter *reporter,
                                                   const char *format, ...);

#endif
