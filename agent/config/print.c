/* The configuration as a file, the sample of one, and the table of keys. */
#include <string.h>

#include "agent/config/internal.h"

/* ---- Texts ---- */

static void print_characters(const char *text, size_t len, FILE *out)
{
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < ' ' || c == 0x7f)
			(void)fprintf(out, "\\u%04x", c);
		else
			(void)fprintf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
}

void lf_print_string(const char *text, FILE *out)
{
	(void)fputc('"', out);
	print_characters(text, strlen(text), out);
	(void)fputc('"', out);
}

/* ---- URIs ---- */

static const char masked[] = "***";

/* USER:PASSWORD@, and in a Redis URL a lone word before the @, which may be either. */
static const char *print_userinfo(const char *uri, const char *from, FILE *out)
{
	size_t len = strcspn(from, "/?#");
	const char *at = memrchr(from, '@', len), *colon = memchr(from, ':', len);

	if (!at)
		return from;
	if (colon && colon < at)
		print_characters(from, (size_t)(colon + 1 - from), out);
	else if (strncmp(uri, "mongodb", 7) == 0)
		return from;
	(void)fputs(masked, out);
	return at;
}

static bool is_secret(const char *option, size_t len)
{
	static const char *const words[] = { "password", "token", "secret", "authmechanismproperties" };
	size_t i, j;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		for (j = 0; j + strlen(words[i]) <= len; j++)
			if (strncasecmp(option + j, words[i], strlen(words[i])) == 0)
				return true;
	return false;
}

/* ?NAME=VALUE&NAME=VALUE… */
static void print_options(const char *from, FILE *out)
{
	while (*from) {
		size_t name = 1 + strcspn(from + 1, "=&;"), len = 1 + strcspn(from + 1, "&;");
		bool hide = name < len && is_secret(from, name);

		print_characters(from, hide ? name + 1 : len, out);
		if (hide)
			(void)fputs(masked, out);
		from += len;
	}
}

void lf_print_masked_uri(const char *uri, FILE *out)
{
	const char *from = strstr(uri, "://");
	size_t len;

	from = from ? from + 3 : uri;
	(void)fputc('"', out);
	print_characters(uri, (size_t)(from - uri), out);
	from = print_userinfo(uri, from, out);
	len = strcspn(from, "?");
	print_characters(from, len, out);
	print_options(from + len, out);
	(void)fputc('"', out);
}

/* ---- Files ---- */

static void print_keys_of(const struct lf_section *section, FILE *out,
                          void (*print)(const struct lf_key *, const struct lf_config *, FILE *),
                          const struct lf_config *config)
{
	const struct lf_key *key;

	for (key = lf_keys; key->name; key++)
		if (strcmp(key->section, section->name) == 0)
			print(key, config, out);
}

static void print_value(const struct lf_key *key, const struct lf_config *config, FILE *out)
{
	(void)fprintf(out, "%s = ", key->name);
	key->kind->print(config, key, out);
	(void)fputc('\n', out);
}

void lf_config_print(const struct lf_config *config, FILE *out)
{
	const struct lf_section *section;

	for (section = lf_sections; section->name; section++) {
		(void)fprintf(out, "%s[%s]\n", section == lf_sections ? "" : "\n", section->name);
		print_keys_of(section, out, print_value, config);
	}
}

static void print_sample_key(const struct lf_key *key, const struct lf_config *config, FILE *out)
{
	char takes[LF_KEY_TAKES_MAX];

	(void)config;
	(void)fprintf(out, "\n# %s\n# (%s%s%s)\n#%s = %s\n", key->help, lf_key_takes(key, takes),
	              key->variable ? "; $" : "", key->variable ? key->variable : "", key->name,
	              key->fallback);
}

void lf_config_print_sample(FILE *out)
{
	const struct lf_section *section;

	(void)fputs("# The configuration of `logfold agent`: /etc/logfold/agent.toml, or where -c says.\n"
	            "#\n"
	            "# Every key is here, with its default: take away the # before the ones to change.\n"
	            "# `logfold agent -c FILE --check` says whether a file is right.  A variable of the\n"
	            "# environment, where one is named, comes before the file.\n",
	            out);
	for (section = lf_sections; section->name; section++) {
		(void)fprintf(out, "\n\n# ---- %s\n[%s]\n", section->help, section->name);
		print_keys_of(section, out, print_sample_key, NULL);
	}
}

static void print_row(const struct lf_key *key, const struct lf_config *config, FILE *out)
{
	char takes[LF_KEY_TAKES_MAX];

	(void)config;
	(void)fprintf(out, "| `%s.%s` | `%s` | %s | %s", key->section, key->name, key->fallback,
	              lf_key_takes(key, takes), key->help);
	if (key->variable)
		(void)fprintf(out, " (`$%s`)", key->variable);
	(void)fputs(" |\n", out);
}

void lf_config_print_table(FILE *out)
{
	const struct lf_section *section;

	(void)fputs("| key | default | takes | what it is |\n|---|---|---|---|\n", out);
	for (section = lf_sections; section->name; section++)
		print_keys_of(section, out, print_row, NULL);
}
