/* The types of values of [cache] and [http]. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "agent/config/internal.h"

/* ---- Names and patterns ---- */

static int set_name(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                    struct lf_error *err)
{
	return lf_value_keep(config, lf_key_value(config, key), key, node->as.string, node->as.string.len > 0, err);
}

const struct lf_value_kind lf_value_name = { "a text of 1 to 128 bytes", LF_TOML_STRING, set_name, lf_value_print_text };

static bool is_pattern(struct lf_text text)
{
	return text.len > 0;
}

static int set_patterns(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                        struct lf_error *err)
{
	return lf_value_keep_list(config, key, node, is_pattern, true, err);
}

const struct lf_value_kind lf_value_patterns = { "a list of TYPE:ORG:ID, with * ? [a-z] for any", LF_TOML_ARRAY,
	                                         set_patterns, lf_value_print_list };

/* ---- Who goes first ---- */

static const char *const policy_names[] = {
	[LF_CACHE_LRU] = "lru",       [LF_CACHE_LFU] = "lfu",   [LF_CACHE_FIFO] = "fifo",
	[LF_CACHE_S3FIFO] = "s3fifo", [LF_CACHE_NONE] = "none",
};

static int set_policy(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                      struct lf_error *err)
{
	struct lf_text name = node->as.string;
	unsigned i;

	for (i = 0; i < sizeof(policy_names) / sizeof(*policy_names); i++) {
		if (strlen(policy_names[i]) != name.len || memcmp(policy_names[i], name.data, name.len) != 0)
			continue;
		*(enum lf_cache_policy *)lf_key_value(config, key) = (enum lf_cache_policy)i;
		return 0;
	}
	return lf_value_refuse(config, key, name, key->kind->takes, err);
}

static void print_policy(const struct lf_config *config, const struct lf_key *key, FILE *out)
{
	lf_print_string(policy_names[*(enum lf_cache_policy *)lf_key_value(config, key)], out);
}

const struct lf_value_kind lf_value_policy = { "\"lru\", \"lfu\", \"fifo\", \"s3fifo\" or \"none\"", LF_TOML_STRING,
	                                       set_policy, print_policy };

/* ---- Where the HTTP server listens: where nobody comes from another machine ---- */

static bool is_port(const char *text)
{
	char *end;
	long port = strtol(text, &end, 10);

	return text[0] >= '1' && text[0] <= '9' && *end == '\0' && port <= 65535;
}

/* 127.0.0.0/8, ::1 and localhost. */
static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (host[0] == '[') {
		char inner[INET6_ADDRSTRLEN];
		size_t len = strlen(host);

		if (host[len - 1] != ']' || len - 2 >= sizeof(inner))
			return false;
		(void)snprintf(inner, sizeof(inner), "%.*s", (int)(len - 2), host + 1);
		return inet_pton(AF_INET6, inner, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	}
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static bool is_listen(struct lf_text text)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path) + 8], *colon;

	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, '\0', text.len))
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (strncmp(copy, "unix:", 5) == 0)
		return copy[5] == '/' && strlen(copy + 5) < sizeof(((struct sockaddr_un *)0)->sun_path);
	colon = strrchr(copy, ':');
	if (!colon || !is_port(colon + 1))
		return false;
	*colon = '\0';
	return *copy && is_loopback(copy);
}

static int set_listen(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                      struct lf_error *err)
{
	return lf_value_keep(config, lf_key_value(config, key), key, node->as.string, is_listen(node->as.string), err);
}

const struct lf_value_kind lf_value_listen = { "127.0.0.1:PORT, [::1]:PORT or unix:/PATH: nobody else's machine",
	                                       LF_TOML_STRING, set_listen, lf_value_print_text };
