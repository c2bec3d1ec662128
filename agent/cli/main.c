/* logfold: from the command line to a command of the table (commands.c). */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/signals.h"

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
	lf_signals_outlive_file_limit();
	choose_locale();
	if (argc < 2) {
		lf_help_overview(stderr);
		return LF_EXIT_USAGE;
	}
	command = lf_command_find(command_name(argv[1]));
	if (!command)
		return lf_help_unknown(argv[1]);
	return finish_output(dispatch(command, argc - 1, argv + 1));
}
