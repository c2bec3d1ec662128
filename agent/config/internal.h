/* What the parts of the configuration share. */
#ifndef LOGFOLD_CONFIG_INTERNAL_H
#define LOGFOLD_CONFIG_INTERNAL_H

#include "agent/config/config.h"
#include "agent/config/pool.h"
#include "agent/config/toml.h"

enum { LF_KEYS_MAX = 96 };

/* Where a value comes from, for what is wrong with it. */
struct lf_origin {
	const char *place; /* a file or a variable; NULL: the default */
	unsigned line;     /* 0: a variable */
};

/* Behind `texts` of struct lf_config. */
struct lf_config_texts {
	struct lf_pool pool;
	struct lf_origin origin[LF_KEYS_MAX]; /* by the index of the key */
};

struct lf_key;

/* A type of values. */
struct lf_value_kind {
	const char *takes; /* "true or false" */
	enum lf_toml_type type;
	/* The node has the type. */
	int (*set)(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
	           struct lf_error *err);
	/* As TOML, with what is secret masked. */
	void (*print)(const struct lf_config *config, const struct lf_key *key, FILE *out);
};

struct lf_key {
	const char *section, *name;
	const struct lf_value_kind *kind;
	size_t at;            /* its member of struct lf_config */
	int64_t least, most;  /* of a number; of a text `most` bytes */
	const char *unit;     /* NULL: none */
	const char *fallback; /* the default, as TOML */
	const char *help;     /* one line */
	const char *variable; /* of the environment, which comes before the file; NULL: none */
};

struct lf_section {
	const char *name, *help;
};

/* Both end with a row whose name is NULL; the keys of a section stand together, in the sections' order. */
extern const struct lf_key lf_keys[];
extern const struct lf_section lf_sections[];

extern const struct lf_value_kind lf_value_boolean, lf_value_integer, lf_value_path, lf_value_database,
	lf_value_mongo_uri, lf_value_redis_uri, lf_value_namespace, lf_value_namespaces, lf_value_users,
	lf_value_sources, lf_value_frames, lf_value_name, lf_value_patterns, lf_value_policy,
	lf_value_listen;

/* The row, which is there. */
const struct lf_key *lf_key_find(const char *section, const char *name);

static inline void *lf_key_value(const struct lf_config *config, const struct lf_key *key)
{
	return (char *)(uintptr_t)config + key->at;
}

/* "10 to 60000 ms", "true or false".  Returns `out`. */
enum { LF_KEY_TAKES_MAX = 96 };
const char *lf_key_takes(const struct lf_key *key, char out[LF_KEY_TAKES_MAX]);

/* -EINVAL, with the sentence behind the file and line, or the variable, that the value comes from. */
__attribute__((format(printf, 4, 5))) int lf_key_wrong(const struct lf_config *config,
                                                       const struct lf_key *key, struct lf_error *err,
                                                       const char *format, ...);

/* For who reads a value (values.c): -EINVAL with what is wrong, the value shown; -ENOMEM. */
int lf_value_refuse(const struct lf_config *config, const struct lf_key *key, struct lf_text value, const char *what,
                    struct lf_error *err);
int lf_value_no_memory(const struct lf_key *key, struct lf_error *err);
/* A copy that lives as long as the configuration; what is too long, not `is_good` or unclean is refused. */
LF_MUST_CHECK int lf_value_keep(struct lf_config *config, const char **to, const struct lf_key *key, struct lf_text text,
                                bool is_good, struct lf_error *err);
/* A list of strings, each of which `is_good` takes; an empty one only where `may_be_empty`. */
LF_MUST_CHECK int lf_value_keep_list(struct lf_config *config, const struct lf_key *key, const struct lf_toml_node *node,
                                     bool (*is_good)(struct lf_text text), bool may_be_empty, struct lf_error *err);
void lf_value_print_text(const struct lf_config *config, const struct lf_key *key, FILE *out);
void lf_value_print_list(const struct lf_config *config, const struct lf_key *key, FILE *out);

/* A text as a TOML string. */
void lf_print_string(const char *text, FILE *out);

/* The same with the secrets of a URI as `***`. */
void lf_print_masked_uri(const char *uri, FILE *out);

/* What only several keys together can have wrong. */
LF_MUST_CHECK int lf_config_check(const struct lf_config *config, struct lf_error *err);

#endif
