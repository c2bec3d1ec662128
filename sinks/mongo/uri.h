/* Where to and how: a MongoDB uri and the options of agent.toml, taken apart and checked. */
#ifndef LOGFOLD_SINKS_MONGO_URI_H
#define LOGFOLD_SINKS_MONGO_URI_H

#include <mongoc/mongoc.h>

#include "sinks/sink.h"

struct lf_mongo_uri {
	mongoc_uri_t *uri;
	char address[160];   /* the hosts, for people */
	char *secret;        /* the password, to keep it out of what people read; may be NULL */
	bool tls;
	mongoc_ssl_opt_t tls_options; /* its texts are the uri's, until that is changed */
	int connect_timeout_ms;
	int pem_fd; /* certificate and key in one file, which the library wants; -1: none of ours */
};

/* On failure nothing is to be released. */
LF_MUST_CHECK int lf_mongo_uri_init(struct lf_mongo_uri *out, const struct lf_sink_options *options,
                                    struct lf_error *err);
void lf_mongo_uri_fini(struct lf_mongo_uri *uri);

/* For the client that is made next. */
void lf_mongo_uri_set_timeout(struct lf_mongo_uri *uri, int timeout_ms);

/* The files of TLS are there and can be read: the library would only say that something is wrong. */
LF_MUST_CHECK int lf_mongo_uri_check_files(const struct lf_mongo_uri *uri, struct lf_error *err);

/* Replaces the password wherever it stands in the text. */
void lf_mongo_uri_hide(const struct lf_mongo_uri *uri, char *text);

/* The library's log, which would go to stderr, is silenced, and the library started. */
void lf_mongo_library_init(void);

#endif
