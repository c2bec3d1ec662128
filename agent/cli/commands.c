/* The table of commands: what there is, and how it is explained. */
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/core/policy.h"
#include "logfold/version.h"

#define TAKES_PLACE (LF_TAKES_STORE | LF_TAKES_AGENT | LF_TAKES_NAMESPACE | LF_TAKES_JSON)
#define TAKES_RUN (LF_TAKES_STORE | LF_TAKES_NAMESPACE | LF_TAKES_SUMMARY | LF_TAKES_FOLD | \
		   LF_TAKES_COMMAND)

const struct lf_command lf_commands[] = {
	{ "run", lf_cmd_run, "[--] COMMAND [ARGUMENT…]",
	  "run a command and count what it prints, message by message", TAKES_RUN, 1, LF_WORDS_ANY },
	{ "ls", lf_cmd_ls, "[SELECTOR…]", "list messages, most frequent first",
	  TAKES_PLACE | LF_TAKES_COUNT, 0, LF_WORDS_ANY },
	{ "show", lf_cmd_show, "SELECTOR…", "show all that is known of a message", TAKES_PLACE, 1,
	  LF_WORDS_ANY },
	{ "mute", lf_cmd_mute, "SELECTOR…", "stop printing a message, keep counting it", TAKES_PLACE, 1,
	  LF_WORDS_ANY },
	{ "unmute", lf_cmd_unmute, "SELECTOR…", "print a muted message again", TAKES_PLACE, 1,
	  LF_WORDS_ANY },
	{ "sample", lf_cmd_sample, "SELECTOR… 1/N", "print one call in N of a message", TAKES_PLACE, 2,
	  LF_WORDS_ANY },
	{ "limit", lf_cmd_limit, "SELECTOR… N/PERIOD", "print at most N calls of a message in each period",
	  TAKES_PLACE, 2, LF_WORDS_ANY },
	{ "fold", lf_cmd_fold, "SELECTOR… [PERIOD]",
	  "print the first call of each period (" LF_FOLD_PERIOD "), then how often it was repeated", TAKES_PLACE, 1,
	  LF_WORDS_ANY },
	{ "pass", lf_cmd_pass, "SELECTOR…", "print all calls again: ends sample, limit and fold",
	  TAKES_PLACE, 1, LF_WORDS_ANY },
	{ "tag", lf_cmd_tag, "SELECTOR TAG…", "give a message tags, to choose it by", TAKES_PLACE, 2,
	  LF_WORDS_ANY },
	{ "untag", lf_cmd_untag, "SELECTOR TAG…", "take tags away", TAKES_PLACE, 2, LF_WORDS_ANY },
	{ "export", lf_cmd_export, "[SELECTOR…]", "write entries, and who counted what, as JSON lines",
	  LF_TAKES_STORE | LF_TAKES_AGENT | LF_TAKES_NAMESPACE | LF_TAKES_OUTPUT, 0, LF_WORDS_ANY },
	{ "import", lf_cmd_import, "FROM", "merge an export, a store, or a MongoDB database into a store",
	  LF_TAKES_STORE | LF_TAKES_NAMESPACE | LF_TAKES_IMPORT, 1, 1 },
	{ "agent", lf_cmd_agent, "", "serve all processes of this machine, and the tiers",
	  LF_TAKES_CONFIG | LF_TAKES_TASK, 0, 0 },
	{ "health", lf_cmd_health, "", "how the agent, its store and its tiers are: 0 healthy, 1 degraded, "
	  "2 critical", LF_TAKES_AGENT | LF_TAKES_JSON, 0, 0 },
	{ "cache", lf_cmd_cache, "stats|health|get|set|del|invalidate|warm|export|import [ARGUMENT…]",
	  "look into the tiered cache, and change what is there",
	  LF_TAKES_CACHE | LF_TAKES_CONFIG | LF_TAKES_AGENT | LF_TAKES_JSON, 1, LF_WORDS_ANY },
	{ "help", lf_cmd_help, "[COMMAND]", "explain logfold or one of its commands", 0, 0, 1 },
	{ "version", lf_cmd_version, "", "print the version", 0, 0, 0 },
	{ 0 },
};

int lf_cmd_version(const struct lf_options *options)
{
	(void)options;
	(void)printf("logfold %s\n", LF_VERSION);
	return LF_EXIT_OK;
}

const struct lf_command *lf_command_find(const char *name)
{
	const struct lf_command *command;

	for (command = lf_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}
