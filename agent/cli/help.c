/* Help, all out of the table of commands. */
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cache.h"
#include "agent/cli/cli.h"
#include "agent/config/nearest.h"

enum { COMMANDS_MAX = 64 };

int lf_help_unknown(const char *name)
{
	const char *names[COMMANDS_MAX];
	const char *nearest;
	size_t i;

	for (i = 0; lf_commands[i].name && i + 1 < COMMANDS_MAX; i++)
		names[i] = lf_commands[i].name;
	names[i] = NULL;
	nearest = lf_nearest(name, names);
	if (nearest)
		lf_complain("there is no command '%s': did you mean `logfold %s`?", name, nearest);
	else
		lf_complain("there is no command '%s': `logfold help` lists them", name);
	return LF_EXIT_USAGE;
}

void lf_help_overview(FILE *out)
{
	const struct lf_command *command;

	(void)fputs("usage: logfold COMMAND [OPTION…] [ARGUMENT…]\n\n"
		    "Folds repeated console output: counts each message, and mutes those you choose.\n\n",
		    out);
	for (command = lf_commands; command->name; command++)
		(void)fprintf(out, "  %-9s%s\n", command->name, command->help);
	(void)fputs("\n`logfold COMMAND --help` tells more about a command.\n", out);
}

void lf_help_command(FILE *out, const struct lf_command *command)
{
	(void)fprintf(out, "usage: logfold %s [OPTION…]%s%s\n\n%s\n\n", command->name,
		      *command->words ? " " : "", command->words, command->help);
	lf_options_help(out, command->takes);
	if (strstr(command->words, "SELECTOR"))
		(void)fputs("\nA SELECTOR is the first 4 or more characters of a hash, or method=NAME,\n"
			    "template~=REGEX, frame~=REGEX, tag=NAME, family=ID.  Several of one kind widen\n"
			    "the choice, different kinds narrow it.\n",
			    out);
	if (command->run == lf_cmd_cache)
		lf_cache_tasks_help(out);
	if (strstr(command->words, "PERIOD"))
		(void)fputs("\nA PERIOD is a whole number and its unit: 500ms, 30s, 5m or 2h.  It is counted in\n"
			    "each process by itself.\n",
			    out);
}

int lf_cmd_help(const struct lf_options *options)
{
	const struct lf_command *command;

	if (options->words_count == 0) {
		lf_help_overview(stdout);
		return LF_EXIT_OK;
	}
	command = lf_command_find(options->words[0]);
	if (!command)
		return lf_help_unknown(options->words[0]);
	lf_help_command(stdout, command);
	return LF_EXIT_OK;
}
