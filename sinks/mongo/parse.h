/* An entry as it stands in MongoDB, whoever wrote it: fields may be missing, of another type, or be text
 * where a number was meant.  What cannot be understood is as if it were not there. */
#ifndef LOGFOLD_SINKS_MONGO_PARSE_H
#define LOGFOLD_SINKS_MONGO_PARSE_H

#include <bson/bson.h>

#include "logfold/time.h"

enum { LF_MONGO_MADE_MAX = 20 };

/* Its texts are the document's or its own. */
struct lf_mongo_parsed {
	struct lf_entry entry;
	bool has_passed;
	char first[LF_TIME_CHARS + 1], last[LF_TIME_CHARS + 1];
	char *made[LF_MONGO_MADE_MAX];
	size_t made_count;
};

/* False: it has no hash, or is of another namespace.  lf_mongo_parsed_fini() in any case. */
bool lf_mongo_parse_entry(struct lf_mongo_parsed *out, const bson_t *document, const char *namespace);
void lf_mongo_parsed_fini(struct lf_mongo_parsed *parsed);

/* A document of counts; the hash is the document's. */
bool lf_mongo_parse_share(struct lf_share *out, struct lf_text *hash, const bson_t *document);

/* The number in a field, of whatever type; -1: there is none. */
int64_t lf_mongo_parse_number(const bson_iter_t *field);

#endif
