/* Reading the configuration: the defaults, then the file, then the environment. */
#include "agent/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/internal.h"
#include "agent/config/nearest.h"

/* ---- One value ---- */

static int set_key(struct lf_config *config, const struct lf_key *key, const char *place,
                   const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_config_texts *texts = config->texts;
	char takes[LF_KEY_TAKES_MAX];

	texts->origin[key - lf_keys] = (struct lf_origin){ place, place ? node->line : 0 };
	if (node->type != key->kind->type)
		return lf_key_wrong(config, key, err, "%s.%s is %s: it takes %s", key->section, key->name,
		                    lf_toml_type_name(node->type), lf_key_takes(key, takes));
	return key->kind->set(config, key, node, err);
}

/* ---- The defaults ---- */

/* A default is written as in the file, and goes the same way. */
static int set_default(struct lf_config *config, const struct lf_key *key, struct lf_error *err)
{
	struct lf_toml *toml = NULL;
	char line[256];
	int rc, len = snprintf(line, sizeof(line), "%s = %s", key->name, key->fallback);

	rc = lf_toml_parse(&toml, "the defaults", (struct lf_text){ line, (size_t)len }, err);
	if (rc == 0)
		rc = set_key(config, key, NULL, lf_toml_root(toml)->first, err);
	lf_toml_free(toml);
	return rc;
}

static int set_defaults(struct lf_config *config, struct lf_error *err)
{
	const struct lf_key *key;
	int rc = 0;

	for (key = lf_keys; rc == 0 && key->name; key++)
		rc = set_default(config, key, err);
	return rc;
}

/* ---- The file ---- */

static bool is_named(const struct lf_toml_node *node, const char *name)
{
	return strlen(name) == node->key.len && memcmp(name, node->key.data, node->key.len) == 0;
}

__attribute__((format(printf, 4, 5))) static int wrong(const char *file, unsigned line,
                                                       struct lf_error *err, const char *format, ...)
{
	char sentence[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return lf_fail(err, -EINVAL, "%.200s:%u: %s", file, line, sentence);
}

static int no_such_key(const char *file, const struct lf_section *section,
                       const struct lf_toml_node *node, struct lf_error *err)
{
	const char *names[LF_KEYS_MAX], *nearest;
	char shown[LF_TOML_SHOWN_MAX];
	const struct lf_key *key;
	size_t count = 0;

	for (key = lf_keys; key->name; key++)
		if (strcmp(key->section, section->name) == 0)
			names[count++] = key->name;
	names[count] = NULL;
	nearest = lf_nearest(lf_toml_shown(node->key, shown), names);
	if (nearest)
		return wrong(file, node->line, err, "there is no key '%s.%s': did you mean '%s'?",
		             section->name, shown, nearest);
	return wrong(file, node->line, err,
	             "there is no key '%s.%s': `logfold agent --print-keys` lists them", section->name,
	             shown);
}

static int no_such_section(const char *file, const struct lf_toml_node *node, struct lf_error *err)
{
	const char *names[LF_KEYS_MAX], *nearest;
	char shown[LF_TOML_SHOWN_MAX];
	const struct lf_key *key;
	size_t count = 0;

	lf_toml_shown(node->key, shown);
	for (key = lf_keys; node->type != LF_TOML_TABLE && key->name; key++)
		if (strcmp(key->name, shown) == 0)
			return wrong(file, node->line, err, "the key '%s' stands outside a section: put it "
			                                    "below a line [%s]", shown, key->section);
	for (; lf_sections[count].name; count++)
		names[count] = lf_sections[count].name;
	names[count] = NULL;
	nearest = lf_nearest(shown, names);
	if (nearest)
		return wrong(file, node->line, err, "there is no section '%s': did you mean [%s]?", shown,
		             nearest);
	return wrong(file, node->line, err,
	             "there is no section '%s': `logfold agent --print-keys` lists all", shown);
}

static int read_section(struct lf_config *config, const char *file, const struct lf_section *section,
                        const struct lf_toml_node *table, struct lf_error *err)
{
	const struct lf_toml_node *node;
	const struct lf_key *key;
	int rc = 0;

	if (table->type != LF_TOML_TABLE)
		return wrong(file, table->line, err, "'%s' is a section: write [%s] on a line of its own",
		             section->name, section->name);
	for (node = table->first; rc == 0 && node; node = node->next) {
		for (key = lf_keys; key->name; key++)
			if (strcmp(key->section, section->name) == 0 && is_named(node, key->name))
				break;
		rc = key->name ? set_key(config, key, file, node, err) :
		                 no_such_key(file, section, node, err);
	}
	return rc;
}

static int read_tree(struct lf_config *config, const char *file, const struct lf_toml_node *root,
                     struct lf_error *err)
{
	const struct lf_section *section;
	const struct lf_toml_node *node;
	int rc = 0;

	for (node = root->first; rc == 0 && node; node = node->next) {
		for (section = lf_sections; section->name && !is_named(node, section->name); section++)
			;
		rc = section->name ? read_section(config, file, section, node, err) :
		                     no_such_section(file, node, err);
	}
	return rc;
}

static int unreadable(const char *file, int error, struct lf_error *err)
{
	const char *remedy = error == ENOENT ? "name another with -c, or write it with `logfold agent "
	                                       "--print-sample`" :
	                     error == EISDIR ? "name the file in it" :
	                                       "let the agent's user read it";

	return lf_fail(err, -error, "%.200s cannot be read: %s: %s", file, strerror(error), remedy);
}

/* At most one byte more than the parser takes: it says so. */
static int read_file(const char *file, struct lf_text *out, struct lf_error *err)
{
	const size_t size = LF_TOML_BYTES_MAX + 1;
	int fd = open(file, O_RDONLY | O_CLOEXEC), rc;
	char *bytes = NULL;
	size_t len = 0;
	ssize_t got = -1;

	if (fd < 0)
		return unreadable(file, errno, err);
	bytes = malloc(size);
	while (bytes && len < size) {
		got = read(fd, bytes + len, size - len);
		if (got == 0 || (got < 0 && errno != EINTR))
			break;
		len += got > 0 ? (size_t)got : 0;
	}
	rc = !bytes || got < 0 ? unreadable(file, bytes ? errno : ENOMEM, err) : 0;
	(void)close(fd);
	if (rc < 0)
		free(bytes);
	else
		*out = (struct lf_text){ bytes, len };
	return rc;
}

static int apply_file(struct lf_config *config, const char *file, struct lf_error *err)
{
	struct lf_config_texts *texts = config->texts;
	struct lf_text text = { NULL, 0 };
	struct lf_toml *toml = NULL;
	const char *place;
	int rc = read_file(file, &text, err);

	if (rc < 0)
		return rc;
	rc = lf_toml_parse(&toml, file, text, err);
	free((void *)(uintptr_t)text.data);
	place = rc == 0 ? lf_pool_text(&texts->pool, (struct lf_text){ file, strlen(file) }) : NULL;
	if (place)
		rc = read_tree(config, place, lf_toml_root(toml), err);
	else if (rc == 0)
		rc = unreadable(file, ENOMEM, err);
	lf_toml_free(toml);
	return rc;
}

/* ---- The environment ---- */

/* A variable that is set and empty is what unit files and compose files leave of one that is not given. */
static int apply_environment(struct lf_config *config, struct lf_error *err)
{
	const struct lf_key *key;
	int rc = 0;

	for (key = lf_keys; rc == 0 && key->name; key++) {
		const char *value = key->variable ? getenv(key->variable) : NULL;
		struct lf_toml_node node = { .type = LF_TOML_STRING };

		if (!value || !*value)
			continue;
		node.as.string = (struct lf_text){ value, strlen(value) };
		rc = set_key(config, key, key->variable, &node, err);
	}
	return rc;
}

/* ---- All of it ---- */

int lf_config_read(struct lf_config **out, const char *file, struct lf_error *err)
{
	struct lf_config *config = calloc(1, sizeof(*config));
	int rc;

	if (config)
		config->texts = calloc(1, sizeof(struct lf_config_texts));
	rc = config && config->texts ?
	             set_defaults(config, err) :
	             lf_fail(err, -ENOMEM, "the configuration cannot be read: out of memory");
	if (rc == 0 && file)
		rc = apply_file(config, file, err);
	if (rc == 0)
		rc = apply_environment(config, err);
	if (rc == 0)
		rc = lf_config_check(config, err);
	if (rc < 0)
		lf_config_free(config);
	else
		*out = config;
	return rc;
}

void lf_config_free(struct lf_config *config)
{
	struct lf_config_texts *texts = config ? config->texts : NULL;

	if (texts)
		lf_pool_fini(&texts->pool);
	free(texts);
	free(config);
}

static bool is_there(char path[PATH_MAX], const char *folder, const char *rest)
{
	int len = snprintf(path, PATH_MAX, "%s%s", folder, rest);

	return len < PATH_MAX && access(path, F_OK) == 0;
}

bool lf_config_default_file(char out[PATH_MAX])
{
	const char *config_home = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (geteuid() == 0 && is_there(out, "/etc", "/logfold/agent.toml"))
		return true;
	if (config_home && config_home[0] == '/')
		return is_there(out, config_home, "/logfold/agent.toml");
	return home && home[0] == '/' && is_there(out, home, "/.config/logfold/agent.toml");
}
