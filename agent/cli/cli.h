/* The logfold command: what all subcommands share.
 *
 * commands.c holds the one table of commands; help, usage errors and dispatch come out of it.  A command
 * gets its options parsed and its words counted; it prints its result on stdout, sentences on stderr
 * through lf_complain(), and returns its exit status.
 */
#ifndef LOGFOLD_CLI_CLI_H
#define LOGFOLD_CLI_CLI_H

#include <stddef.h>
#include <stdio.h>

#include "agent/cli/options.h"
#include "agent/core/reporter.h"

enum lf_exit {
	LF_EXIT_OK = 0,
	LF_EXIT_FAILED = 1,          /* nothing found, or something failed: a sentence says it */
	LF_EXIT_HEALTHY = 0,         /* health: and what it found */
	LF_EXIT_DEGRADED = 1,
	LF_EXIT_CRITICAL = 2,        /* or nobody answers */
	LF_EXIT_USAGE = 64,          /* EX_USAGE */
	LF_EXIT_RUN_FAILED = 125,    /* run: logfold's own failure, as env and timeout do */
	LF_EXIT_NOT_EXECUTABLE = 126, /* run: found, but cannot be run */
	LF_EXIT_NOT_FOUND = 127,     /* run: not found */
};

enum { LF_WORDS_ANY = -1 };

struct lf_command {
	const char *name;
	int (*run)(const struct lf_options *options);
	const char *words; /* of the usage line, behind the options: "SELECTOR…" */
	const char *help;  /* one line */
	unsigned takes;    /* enum lf_takes */
	int words_min, words_max;
};

/* The table; ends with a row whose name is NULL. */
extern const struct lf_command lf_commands[];

int lf_cmd_run(const struct lf_options *options);
int lf_cmd_ls(const struct lf_options *options);
int lf_cmd_show(const struct lf_options *options);
int lf_cmd_mute(const struct lf_options *options);
int lf_cmd_unmute(const struct lf_options *options);
int lf_cmd_sample(const struct lf_options *options);
int lf_cmd_limit(const struct lf_options *options);
int lf_cmd_fold(const struct lf_options *options);
int lf_cmd_pass(const struct lf_options *options);
int lf_cmd_tag(const struct lf_options *options);
int lf_cmd_untag(const struct lf_options *options);
int lf_cmd_export(const struct lf_options *options);
int lf_cmd_import(const struct lf_options *options);
int lf_cmd_agent(const struct lf_options *options);
int lf_cmd_health(const struct lf_options *options);
int lf_cmd_cache(const struct lf_options *options);
int lf_cmd_help(const struct lf_options *options);
int lf_cmd_version(const struct lf_options *options);

/* `logfold: sentence` on stderr, in one write. */
__attribute__((format(printf, 1, 2))) void lf_complain(const char *format, ...);

/* The same when nothing is held up by it any more: waits for a full stderr that is non-blocking. */
__attribute__((format(printf, 1, 2))) void lf_announce(const char *format, ...);

/* A reporter that complains, and keeps silent where stderr is full: who reports must not be held up. */
extern const struct lf_reporter lf_complainer;

/* The row, or NULL. */
const struct lf_command *lf_command_find(const char *name);

void lf_help_overview(FILE *out);
void lf_help_command(FILE *out, const struct lf_command *command);

/* Complains of a command that does not exist, with the nearest one that does; LF_EXIT_USAGE. */
int lf_help_unknown(const char *name);

#endif
