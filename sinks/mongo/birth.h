/* Makes a client by a deadline, also where its uri names a service (mongodb+srv): then the library asks
 * the resolver for the hosts while it makes it, and knows no deadline for that. */
#ifndef LOGFOLD_SINKS_MONGO_BIRTH_H
#define LOGFOLD_SINKS_MONGO_BIRTH_H

#include <mongoc/mongoc.h>

struct lf_mongo_birth;

/* NULL with a *birth: not yet; call again with it, or give it up.  NULL without one: the library cannot make
 * a client of this uri, or nobody knows the service.  *birth is NULL at first. */
mongoc_client_t *lf_mongo_birth(struct lf_mongo_birth **birth, const mongoc_uri_t *uri, int timeout_ms);
void lf_mongo_birth_give_up(struct lf_mongo_birth *birth); /* NULL is fine */

#endif
