/* logfold: the table of commands, and the way to them. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "logfold/version.h"

#define TAKES_PLACE (LF_TAKES_STORE | LF_TAKES_AGENT | LF_TAKES_NAMESPACE | LF_TAKES_JSON)
#define TAKES_RUN (LF_TAKES_STORE | LF_TAKES_NAMESPACE | LF_TAKES_SUMMARY | LF_TAKES_COMMAND)

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

/* A standard fd that is closed would be taken by the next file that we open, and a message to
 * stderr would land in the store.  An O_PATH fd fills the place, fails every read and write, and is
 * gone in the command that `run` starts. */
static void occupy_standard_fds(void)
{
	int fd;

	do
		fd = open("/", O_PATH | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

/* Texts are UTF-8, whatever the locale; only their width is asked of it. */
static void choose_locale(void)
{
	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

static int complain_of_usage(const struct lf_command *command, const char *mistake)
{
	lf_complain("%s: %s; `logfold %s --help` tells more", command->name, mistake, command->name);
	return LF_EXIT_USAGE;
}

static int complain_of_command(const char *name)
{
	const char *names[sizeof(lf_commands) / sizeof(*lf_commands)];
	const char *nearest;
	size_t i;

	for (i = 0; lf_commands[i].name; i++)
		names[i] = lf_commands[i].name;
	names[i] = NULL;
	nearest = lf_nearest(name, names);
	if (nearest)
		lf_complain("there is no command '%s': did you mean `logfold %s`?", name, nearest);
	else
		lf_complain("there is no command '%s': `logfold help` lists them", name);
	return LF_EXIT_USAGE;
}

static int count_words(const struct lf_command *command, const struct lf_options *options,
                       struct lf_error *err)
{
	if (options->words_count < command->words_min)
		return lf_fail(err, -EINVAL, "something is missing: logfold %s %s", command->name,
			       command->words);
	if (command->words_max != LF_WORDS_ANY && options->words_count > command->words_max)
		return lf_fail(err, -EINVAL, "'%.200s' is too much: leave it out",
			       options->words[command->words_max]);
	return 0;
}

static int dispatch(const struct lf_command *command, int argc, char **argv)
{
	struct lf_options options;
	struct lf_error err;

	if (lf_options_parse(&options, command->takes, argc, argv, &err) < 0)
		return complain_of_usage(command, err.text);
	if (options.help) {
		lf_help_command(stdout, command);
		return LF_EXIT_OK;
	}
	if (count_words(command, &options, &err) < 0)
		return complain_of_usage(command, err.text);
	return command->run(&options);
}

/* --help and --version, as everybody tries them first. */
static const char *command_name(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	if (strcmp(word, "--version") == 0)
		return "version";
	return word;
}

/* What could not be written to stdout is a failure, though each printf went well.  Flushing again
 * after an error asks the kernel for its reason once more. */
static int finish_output(int status)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	lf_complain("output cannot be written: %s",
		    errno ? strerror(errno) : "an earlier write failed");
	return status == LF_EXIT_OK ? LF_EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
	const struct lf_command *command;

	occupy_standard_fds();
	choose_locale();
	if (argc < 2) {
		lf_help_overview(stderr);
		return LF_EXIT_USAGE;
	}
	command = lf_command_find(command_name(argv[1]));
	if (!command)
		return complain_of_command(argv[1]);
	return finish_output(dispatch(command, argc - 1, argv + 1));
}
