/* logfold agent: the daemon, and what concerns its configuration. */
#include <limits.h>

#include "agent/cli/cli.h"
#include "agent/config/config.h"
#include "agent/core/allowed.h"
#include "agent/core/daemon.h"
#include "agent/http/server.h"

/* That the users it names exist here. */
static int check_users(const struct lf_config *config, struct lf_error *err)
{
	const struct lf_strings *namespaces = &config->agent.namespaces;
	struct lf_allowed *allowed = NULL;
	int rc = lf_allowed_new(&allowed, namespaces->item, namespaces->count, err);

	lf_allowed_free(allowed);
	return rc;
}

/* `file` is NULL for the defaults. */
static int check(const struct lf_config *config, const char *file)
{
	struct lf_error err;

	if (lf_config_check_files(config, &err) < 0 || check_users(config, &err) < 0) {
		lf_complain("%s", err.text);
		return LF_EXIT_FAILED;
	}
	(void)printf("%s: ok\n", file ? file : "the defaults");
	return LF_EXIT_OK;
}

/* Takes the configuration over. */
static int serve(struct lf_config *config, const char *file)
{
	struct lf_error err = { "" };

	if (lf_daemon_run(config, file, &lf_complainer, &lf_http_server, &err) == 0)
		return LF_EXIT_OK;
	lf_complain("%s", err.text);
	return LF_EXIT_FAILED;
}

static int print(const struct lf_config *config)
{
	lf_config_print(config, stdout);
	return LF_EXIT_OK;
}

static int read_and_do(const struct lf_options *options)
{
	const char *file = options->config;
	struct lf_config *config = NULL;
	char found[PATH_MAX];
	struct lf_error err;
	int status;

	if (!file && lf_config_default_file(found))
		file = found;
	if (lf_config_read(&config, file, &err) < 0) {
		lf_complain("%s", err.text);
		return LF_EXIT_FAILED;
	}
	if (options->agent_task == LF_AGENT_SERVE)
		return serve(config, file);
	status = options->agent_task == LF_AGENT_CHECK ? check(config, file) : print(config);
	lf_config_free(config);
	return status;
}

int lf_cmd_agent(const struct lf_options *options)
{
	switch (options->agent_task) {
	case LF_AGENT_PRINT_SAMPLE:
		lf_config_print_sample(stdout);
		return LF_EXIT_OK;
	case LF_AGENT_PRINT_KEYS:
		lf_config_print_table(stdout);
		return LF_EXIT_OK;
	default:
		return read_and_do(options);
	}
}
