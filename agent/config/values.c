/* The types of values: how each is read, and printed. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/config/internal.h"
#include "agent/map/flags.h"
#include "hashing/utf8.h"
#include "hashing/namespace.h"

int lf_value_no_memory(const struct lf_key *key, struct lf_error *err)
{
	return lf_fail(err, -ENOMEM, "%s.%s cannot be read: out of memory", key->section, key->name);
}

/* `what` is wrong with the value, which is shown. */
int lf_value_refuse(const struct lf_config *config, const struct lf_key *key, struct lf_text value, const char *what,
                    struct lf_error *err)
{
	char shown[LF_TOML_SHOWN_MAX];

	return lf_key_wrong(config, key, err, "%s.%s is '%s': it takes %s", key->section, key->name,
	                    lf_toml_shown(value, shown), what);
}

/* ---- Booleans and numbers ---- */

static int set_boolean(struct lf_config *config, const struct lf_key *key,
                       const struct lf_toml_node *node, struct lf_error *err)
{
	(void)err;
	*(bool *)lf_key_value(config, key) = node->as.boolean;
	return 0;
}

static void print_boolean(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	(void)fputs(*(bool *)lf_key_value(config, key) ? "true" : "false", out);
}

const struct lf_value_kind lf_value_boolean = { "true or false", LF_TOML_BOOLEAN, set_boolean, print_boolean };

static int set_integer(struct lf_config *config, const struct lf_key *key,
                       const struct lf_toml_node *node, struct lf_error *err)
{
	char takes[LF_KEY_TAKES_MAX];

	if (node->as.integer < key->least || node->as.integer > key->most)
		return lf_key_wrong(config, key, err, "%s.%s is %" PRId64 ": it takes %s", key->section,
		                    key->name, node->as.integer, lf_key_takes(key, takes));
	*(int64_t *)lf_key_value(config, key) = node->as.integer;
	return 0;
}

static void print_integer(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	(void)fprintf(out, "%" PRId64, *(int64_t *)lf_key_value(config, key));
}

const struct lf_value_kind lf_value_integer = { "a whole number", LF_TOML_INTEGER, set_integer, print_integer };

/* ---- Texts ---- */

static const char **text_of(const struct lf_config *config, const struct lf_key *key)
{
	return lf_key_value(config, key);
}

static int keep(struct lf_config *config, const char **to, const struct lf_key *key,
                struct lf_text text, struct lf_error *err)
{
	struct lf_config_texts *texts = config->texts;
	const char *copy;

	if (!lf_utf8_is_clean(text))
		return lf_key_wrong(config, key, err, "%s.%s holds a NUL or is not UTF-8: remove that",
		                    key->section, key->name);
	copy = lf_pool_text(&texts->pool, text);
	if (!copy)
		return lf_value_no_memory(key, err);
	*to = copy;
	return 0;
}

int lf_value_keep(struct lf_config *config, const char **to, const struct lf_key *key, struct lf_text text, bool is_good,
                  struct lf_error *err)
{
	if ((int64_t)text.len > key->most)
		return lf_key_wrong(config, key, err, "%s.%s is longer than %" PRId64 " bytes: shorten it",
		                    key->section, key->name, key->most);
	if (!is_good)
		return lf_value_refuse(config, key, text, key->kind->takes, err);
	return keep(config, to, key, text, err);
}

static int keep_checked(struct lf_config *config, const struct lf_key *key, struct lf_text text, bool is_good,
                        struct lf_error *err)
{
	return lf_value_keep(config, text_of(config, key), key, text, is_good, err);
}

void lf_value_print_text(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	lf_print_string(*text_of(config, key), out);
}

static int set_path(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                    struct lf_error *err)
{
	struct lf_text path = node->as.string;
	bool is_good = path.len == 0 || path.data[0] == '/';

	/* Somebody may have written the password in the place of its file. */
	if (!is_good && strstr(key->name, "password"))
		return lf_key_wrong(config, key, err, "%s.%s names no file: it takes %s", key->section,
		                    key->name, key->kind->takes);
	return keep_checked(config, key, path, is_good, err);
}

const struct lf_value_kind lf_value_path = { "an absolute path", LF_TOML_STRING, set_path, lf_value_print_text };

/* How many of the first bytes are of the set. */
static size_t span(struct lf_text text, const char *set)
{
	size_t i = 0;

	while (i < text.len && text.data[i] && strchr(set, text.data[i]))
		i++;
	return i;
}

static bool is_name(struct lf_text text, size_t most)
{
	return text.len > 0 && text.len <= most && span(text, LF_NAMESPACE_CHARS) == text.len;
}

static int set_namespace(struct lf_config *config, const struct lf_key *key,
                         const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_text text = node->as.string;

	return keep_checked(config, key, text, is_name(text, LF_NAMESPACE_MAX), err);
}

const struct lf_value_kind lf_value_namespace = { "1 to 64 of letters, digits, '.', '_' and '-'",
	                                   LF_TOML_STRING, set_namespace, lf_value_print_text };

static int set_database(struct lf_config *config, const struct lf_key *key,
                        const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_text text = node->as.string;

	return keep_checked(config, key, text,
	                    is_name(text, (size_t)key->most) && !memchr(text.data, '.', text.len), err);
}

const struct lf_value_kind lf_value_database = { "1 to 63 of letters, digits, '_' and '-'", LF_TOML_STRING,
	                                  set_database, lf_value_print_text };

static int set_users(struct lf_config *config, const struct lf_key *key,
                     const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_text text = node->as.string;
	bool all = text.len == 3 && memcmp(text.data, "all", 3) == 0;

	if (!all && !(text.len == 3 && memcmp(text.data, "own", 3) == 0))
		return lf_value_refuse(config, key, text, key->kind->takes, err);
	*(bool *)lf_key_value(config, key) = all;
	return 0;
}

static void print_users(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	lf_print_string(*(bool *)lf_key_value(config, key) ? "all" : "own", out);
}

const struct lf_value_kind lf_value_users = { "\"own\" or \"all\"", LF_TOML_STRING, set_users, print_users };

/* ---- Lists ---- */

static int not_strings(const struct lf_config *config, const struct lf_key *key,
                       const struct lf_toml_node *item, struct lf_error *err)
{
	return lf_key_wrong(config, key, err, "%s.%s holds %s: it takes %s", key->section, key->name,
	                    lf_toml_type_name(item->type), key->kind->takes);
}

static int empty_list(const struct lf_config *config, const struct lf_key *key, struct lf_error *err)
{
	return lf_key_wrong(config, key, err, "%s.%s is empty: it takes %s; or leave it out", key->section,
	                    key->name, key->kind->takes);
}

static bool is_star(struct lf_text text)
{
	return text.len == 1 && text.data[0] == '*';
}

/* A user is a name or a number as /etc/passwd may have it. */
static bool is_user(struct lf_text text)
{
	return text.len > 0 && (is_star(text) || span(text, LF_NAMESPACE_CHARS "$@+") == text.len);
}

/* NAMESPACE or USER:NAMESPACE. */
static bool is_grant(struct lf_text text)
{
	const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
	struct lf_text namespace = text;

	if (colon) {
		struct lf_text user = { text.data, (size_t)(colon - text.data) };

		if (!is_user(user))
			return false;
		namespace = (struct lf_text){ colon + 1, text.len - user.len - 1 };
	}
	return is_star(namespace) || is_name(namespace, LF_NAMESPACE_MAX);
}

int lf_value_keep_list(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                       bool (*is_good)(struct lf_text text), bool may_be_empty, struct lf_error *err)
{
	struct lf_strings *list = lf_key_value(config, key), found = { NULL, 0 };
	struct lf_config_texts *texts = config->texts;
	const struct lf_toml_node *item;
	size_t count = 0;
	int rc;

	for (item = node->first; item; item = item->next)
		count++;
	if (count == 0 && !may_be_empty)
		return empty_list(config, key, err);
	found.item = lf_pool_alloc(&texts->pool, (count + 1) * sizeof(*found.item));
	if (!found.item)
		return lf_value_no_memory(key, err);
	for (item = node->first; item; item = item->next) {
		if (item->type != LF_TOML_STRING)
			return not_strings(config, key, item, err);
		if ((int64_t)item->as.string.len > key->most || !is_good(item->as.string))
			return lf_value_refuse(config, key, item->as.string, key->kind->takes, err);
		rc = keep(config, &found.item[found.count++], key, item->as.string, err);
		if (rc < 0)
			return rc;
	}
	*list = found;
	return 0;
}

static int set_namespaces(struct lf_config *config, const struct lf_key *key,
                          const struct lf_toml_node *node, struct lf_error *err)
{
	return lf_value_keep_list(config, key, node, is_grant, false, err);
}

void lf_value_print_list(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	const struct lf_strings *list = lf_key_value(config, key);
	size_t i;

	for (i = 0; i < list->count; i++) {
		(void)fputs(i ? ", " : "[", out);
		lf_print_string(list->item[i], out);
	}
	(void)fputs(i ? "]" : "[]", out);
}

const struct lf_value_kind lf_value_namespaces = { "a list of NAMESPACE, USER:NAMESPACE and *", LF_TOML_ARRAY,
	                                    set_namespaces, lf_value_print_list };

static const char *const source_names[LF_READ_SOURCES] = {
	[LF_READ_MEMORY] = "memory",
	[LF_READ_SQLITE] = "sqlite",
	[LF_READ_REDIS] = "redis",
	[LF_READ_MONGO] = "mongo",
};

/* LF_READ_SOURCES: there is none of this name. */
static enum lf_read_source source_of(struct lf_text name)
{
	unsigned i;

	for (i = 0; i < LF_READ_SOURCES; i++)
		if (strlen(source_names[i]) == name.len && memcmp(source_names[i], name.data, name.len) == 0)
			break;
	return (enum lf_read_source)i;
}

static int set_sources(struct lf_config *config, const struct lf_key *key,
                       const struct lf_toml_node *node, struct lf_error *err)
{
	enum lf_read_source found[LF_READ_SOURCES], source;
	const struct lf_toml_node *item;
	unsigned given = 0;
	size_t count = 0;

	for (item = node->first; item; item = item->next) {
		if (item->type != LF_TOML_STRING)
			return not_strings(config, key, item, err);
		source = source_of(item->as.string);
		if (source == LF_READ_SOURCES)
			return lf_value_refuse(config, key, item->as.string, key->kind->takes, err);
		if (given & 1u << source)
			return lf_key_wrong(config, key, err, "%s.%s names '%s' twice: remove one", key->section,
			                    key->name, source_names[source]);
		given |= 1u << source;
		found[count++] = source;
	}
	if (count == 0)
		return empty_list(config, key, err);
	memcpy(config->agent.fallback, found, count * sizeof(*found));
	config->agent.fallback_count = count;
	return 0;
}

static void print_sources(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	size_t i;

	(void)key;
	for (i = 0; i < config->agent.fallback_count; i++)
		(void)fprintf(out, "%s\"%s\"", i ? ", " : "[", source_names[config->agent.fallback[i]]);
	(void)fputc(']', out);
}

const struct lf_value_kind lf_value_sources = { "a list of \"memory\", \"sqlite\", \"redis\" and \"mongo\"",
	                                 LF_TOML_ARRAY, set_sources, print_sources };

/* What a frame may be called, and no line break, which separates them for the processes. */
static bool is_frame_name(struct lf_text text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	return text.len > 0 && text.data[0] != '!' && text.data[text.len - 1] != '!';
}

static int join_frames(const struct lf_config *config, const struct lf_key *key,
                       const struct lf_toml_node *list, char *out, struct lf_error *err)
{
	const struct lf_toml_node *item;
	size_t len = 0;

	for (item = list->first; item; item = item->next) {
		if (item->type != LF_TOML_STRING)
			return not_strings(config, key, item, err);
		if (!is_frame_name(item->as.string))
			return lf_value_refuse(config, key, item->as.string, key->kind->takes, err);
		if (len + item->as.string.len + 1 > (size_t)key->most)
			return lf_key_wrong(config, key, err, "%s.%s has more than %" PRId64
			                    " bytes of names: shorten it", key->section, key->name, key->most);
		memcpy(out + len, item->as.string.data, item->as.string.len);
		len += item->as.string.len;
		out[len++] = '\n';
	}
	out[len] = '\0';
	return 0;
}

static int set_frames(struct lf_config *config, const struct lf_key *key,
                      const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_config_texts *texts = config->texts;
	char *joined = lf_pool_alloc(&texts->pool, (size_t)key->most + 1);
	int rc;

	if (!joined)
		return lf_value_no_memory(key, err);
	rc = join_frames(config, key, node, joined, err);
	return rc < 0 ? rc : keep(config, text_of(config, key), key,
	                          (struct lf_text){ joined, strlen(joined) }, err);
}

static void print_frames(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	const char *name, *end, *before = "[";
	char one[LF_SKIP_FRAMES_MAX];

	for (name = *text_of(config, key); *name; name = end + 1, before = ", ") {
		end = strchr(name, '\n');
		(void)snprintf(one, sizeof(one), "%.*s", (int)(end - name), name);
		(void)fputs(before, out);
		lf_print_string(one, out);
	}
	(void)fputs(*before == '[' ? "[]" : "]", out);
}

const struct lf_value_kind lf_value_frames = { "a list of FUNCTION and MODULE!FUNCTION", LF_TOML_ARRAY,
	                                set_frames, print_frames };

/* ---- URIs: they may hold a password, and are never shown ---- */

static bool begins(struct lf_text text, const char *prefix)
{
	return text.len > strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

/* Else a password would not end where we and the client library think that it does. */
static int check_userinfo(const struct lf_config *config, const struct lf_key *key, struct lf_text uri,
                          struct lf_error *err)
{
	const char *end = uri.data + uri.len, *at = memmem(uri.data, uri.len, "://", 3);

	for (at += 3; at < end && !strchr("/?#", *at); at++)
		;
	if (at < end && memchr(at, '@', (size_t)(end - at)))
		return lf_key_wrong(config, key, err, "%s.%s has an '@' behind the host: in a password and in "
		                    "options write %%40 for @, %%2F for /, %%3F for ?, %%23 for #",
		                    key->section, key->name);
	return 0;
}

static int set_uri(struct lf_config *config, const struct lf_key *key, struct lf_text uri,
                   bool is_good, struct lf_error *err)
{
	size_t i;
	int rc;

	if (!is_good)
		return lf_key_wrong(config, key, err, "%s.%s is no such address: it takes %s", key->section,
		                    key->name, key->kind->takes);
	for (i = 0; i < uri.len; i++)
		if ((unsigned char)uri.data[i] <= ' ' || uri.data[i] == 0x7f)
			return lf_key_wrong(config, key, err, "%s.%s holds a blank or a control character: "
			                    "remove it, or write %%20 for a blank", key->section, key->name);
	rc = check_userinfo(config, key, uri, err);
	return rc < 0 ? rc : keep_checked(config, key, uri, true, err);
}

static int set_mongo_uri(struct lf_config *config, const struct lf_key *key,
                         const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_text uri = node->as.string;

	return set_uri(config, key, uri, begins(uri, "mongodb://") || begins(uri, "mongodb+srv://"), err);
}

static int set_redis_uri(struct lf_config *config, const struct lf_key *key,
                         const struct lf_toml_node *node, struct lf_error *err)
{
	struct lf_text uri = node->as.string;

	return set_uri(config, key, uri,
	               begins(uri, "redis://") || begins(uri, "rediss://") || begins(uri, "unix://"), err);
}

static void print_uri(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	lf_print_masked_uri(*text_of(config, key), out);
}

const struct lf_value_kind lf_value_mongo_uri = { "mongodb://HOST… or mongodb+srv://HOST…", LF_TOML_STRING,
	                                   set_mongo_uri, print_uri };
const struct lf_value_kind lf_value_redis_uri = { "redis://HOST…, rediss://HOST… or unix:///PATH",
	                                   LF_TOML_STRING, set_redis_uri, print_uri };
