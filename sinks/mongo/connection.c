#include "sinks/mongo/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mongo/birth.h"
#include "sinks/mongo/dial.h"
#include "sinks/mongo/uri.h"

enum { GOODBYE_MS = 200 };

struct lf_mongo {
	struct lf_mongo_uri uri;
	struct lf_mongo_deadline deadline;
	struct lf_mongo_dial dial;
	int timeout_ms; /* of the call under way, for people */
	char *database;
	char *collection; /* of the entries; NULL: the usual one */
	mongoc_client_t *client; /* NULL: none yet */
	struct lf_mongo_birth *birth; /* of one that is not there yet */
	mongoc_collection_t *collections[LF_MONGO_COLLECTIONS];
	bool broken; /* the next call begins with a new one */
	bool lost;   /* one was broken, and no call has gone well since */
	void (*on_drop)(void *arg);
	void *on_drop_arg;
};

static const char *const names[LF_MONGO_COLLECTIONS] = { "entries", "counts", "leases", "cache", "cache_stamps" };

const char *lf_mongo_collection_name(enum lf_mongo_collection which)
{
	return names[which];
}

/* ---- Opening and closing ---- */

int lf_mongo_open(struct lf_mongo **out, const struct lf_sink_options *options, struct lf_error *err)
{
	struct lf_mongo *mongo;
	int rc;

	lf_mongo_library_init();
	mongo = calloc(1, sizeof(*mongo));
	if (!mongo)
		return lf_fail(err, -ENOMEM, "mongo: there is no memory");
	rc = lf_mongo_uri_init(&mongo->uri, options, err);
	if (rc != 0) {
		free(mongo);
		return rc;
	}
	mongo->database = strdup(options->database ? options->database : "logfold");
	mongo->dial = (struct lf_mongo_dial){ .deadline = &mongo->deadline,
		                              .connect_timeout_ms = mongo->uri.connect_timeout_ms,
		                              .tls = mongo->uri.tls ? &mongo->uri.tls_options : NULL };
	mongo->collection = options->collection ? strdup(options->collection) : NULL;
	if (!mongo->database || (options->collection && !mongo->collection)) {
		lf_mongo_close(mongo);
		return lf_fail(err, -ENOMEM, "mongo: there is no memory");
	}
	*out = mongo;
	return 0;
}

/* The library says goodbye to the server, for which there is time only where the server is well.  Where it
 * is not, it would look for another one first; a client that was reset has nobody to take leave of. */
static void drop(struct lf_mongo *mongo)
{
	lf_mongo_deadline_set(&mongo->deadline, mongo->broken ? 0 : GOODBYE_MS);
	if (mongo->broken && mongo->client)
		mongoc_client_reset(mongo->client);
	if (mongo->on_drop)
		mongo->on_drop(mongo->on_drop_arg);
	for (int i = 0; i < LF_MONGO_COLLECTIONS; i++) {
		if (mongo->collections[i])
			mongoc_collection_destroy(mongo->collections[i]);
		mongo->collections[i] = NULL;
	}
	if (mongo->client)
		mongoc_client_destroy(mongo->client);
	mongo->client = NULL;
	mongo->broken = false;
}

void lf_mongo_close(struct lf_mongo *mongo)
{
	if (!mongo)
		return;
	drop(mongo);
	lf_mongo_birth_give_up(mongo->birth);
	lf_mongo_dial_fini(&mongo->dial);
	lf_mongo_uri_fini(&mongo->uri);
	free(mongo->database);
	free(mongo->collection);
	free(mongo);
}

void lf_mongo_on_drop(struct lf_mongo *mongo, void (*on_drop)(void *arg), void *arg)
{
	mongo->on_drop = on_drop;
	mongo->on_drop_arg = arg;
}

/* ---- A call ---- */

/* Whatever the uri says of reading: a lease or a mark of a while ago is another's by now, and a record of the
 * cache is compared with what was just written. */
static void set_primary(mongoc_collection_t *collection)
{
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);

	mongoc_collection_set_read_prefs(collection, primary);
	mongoc_read_prefs_destroy(primary);
}

static enum lf_sink_result make_client(struct lf_mongo *mongo, int timeout_ms, struct lf_error *err)
{
	lf_mongo_uri_set_timeout(&mongo->uri, timeout_ms);
	if (lf_mongo_uri_check_files(&mongo->uri, err) != 0)
		return LF_SINK_REJECTED;
	mongo->client = lf_mongo_birth(&mongo->birth, mongo->uri.uri, timeout_ms);
	if (!mongo->client && mongoc_uri_get_srv_hostname(mongo->uri.uri)) {
		(void)lf_fail(err, -EAGAIN, "mongo at %s: the hosts of this service are not known%s: is it "
		              "spelled right in the uri, and is the resolver well?", mongo->uri.address,
		              mongo->birth ? " yet" : "");
		return LF_SINK_RETRY;
	}
	if (!mongo->client) {
		(void)lf_fail(err, -EINVAL, "mongo at %s: the client library cannot serve this uri: was it "
		              "built with what the uri asks for (TLS, compression, DNS)?", mongo->uri.address);
		return LF_SINK_REJECTED;
	}
	(void)mongoc_client_set_error_api(mongo->client, MONGOC_ERROR_API_VERSION_2);
	(void)mongoc_client_set_appname(mongo->client, "logfold");
	mongoc_client_set_stream_initiator(mongo->client, lf_mongo_dial, &mongo->dial);
	for (int i = 0; i < LF_MONGO_COLLECTIONS; i++)
		mongo->collections[i] = mongoc_client_get_collection(mongo->client, mongo->database, names[i]);
	for (int i = LF_MONGO_LEASES; i < LF_MONGO_COLLECTIONS; i++)
		set_primary(mongo->collections[i]);
	if (mongo->collection) {
		mongoc_collection_destroy(mongo->collections[LF_MONGO_ENTRIES]);
		mongo->collections[LF_MONGO_ENTRIES] =
			mongoc_client_get_collection(mongo->client, mongo->database, mongo->collection);
	}
	return LF_SINK_DONE;
}

enum lf_sink_result lf_mongo_begin(struct lf_mongo *mongo, int timeout_ms, struct lf_error *err)
{
	mongo->timeout_ms = timeout_ms;
	mongo->dial.failure[0] = '\0';
	if (mongo->broken) {
		drop(mongo);
		mongo->lost = true;
	}
	lf_mongo_deadline_set(&mongo->deadline, timeout_ms);
	return mongo->client ? LF_SINK_DONE : make_client(mongo, timeout_ms, err);
}

int lf_mongo_left_ms(const struct lf_mongo *mongo)
{
	return lf_mongo_deadline_left_ms(&mongo->deadline);
}

bool lf_mongo_connected(const struct lf_mongo *mongo)
{
	return mongo->client && !mongo->broken;
}

bool lf_mongo_came_back(struct lf_mongo *mongo)
{
	bool back = mongo->lost && lf_mongo_connected(mongo);

	if (back)
		mongo->lost = false;
	return back;
}

mongoc_collection_t *lf_mongo_collection(struct lf_mongo *mongo, enum lf_mongo_collection which)
{
	return mongo->collections[which];
}

bool lf_mongo_command(struct lf_mongo *mongo, const bson_t *command, bson_t *reply, bson_error_t *error)
{
	return mongoc_client_write_command_with_opts(mongo->client, mongo->database, command, NULL, reply,
	                                             error);
}

bool lf_mongo_read_command(struct lf_mongo *mongo, const bson_t *command, bson_t *reply,
                           bson_error_t *error)
{
	mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
	bool answered = mongoc_client_read_command_with_opts(mongo->client, mongo->database, command,
	                                                     primary, NULL, reply, error);

	mongoc_read_prefs_destroy(primary);
	return answered;
}

/* ---- Failures ---- */

/* Server errors that stay until somebody changes something.  What is not in the list comes again: a new
 * primary, a full disk, a stop in between, a document that another writer just made. */
static const struct {
	uint32_t code;
	const char *remedy;
} permanent[] = {
	{ 2, "is the server compatible with MongoDB 4 or newer?" },
	{ 9, "is the server compatible with MongoDB 4 or newer?" },
	{ 11, "does the user of the uri exist there?" },
	{ 13, "does the uri name a user who may read and write this database?" },
	{ 14, "is a field of the collection of another type than logfold's?" },
	{ 18, "are the user, the password and authSource right?" },
	{ 20, "does the server allow that?" },
	{ 59, "is the server compatible with MongoDB 4 or newer?" },
	{ 73, "is the database's name right?" },
	{ 121, "does a validator of the collection forbid logfold's documents?" },
	{ 238, "is the server compatible with MongoDB 4 or newer?" },
	{ 8000, "are the user, the password and authSource right?" },
};

static const char *remedy_of(uint32_t code)
{
	for (size_t i = 0; i < sizeof(permanent) / sizeof(*permanent); i++)
		if (permanent[i].code == code)
			return permanent[i].remedy;
	return NULL;
}

static bool is_server(const bson_error_t *error)
{
	return error->domain == MONGOC_ERROR_SERVER || error->domain == MONGOC_ERROR_WRITE_CONCERN;
}

bool lf_mongo_not_offered(const bson_error_t *error)
{
	return error->domain == MONGOC_ERROR_SERVER && error->code != 13 && error->code != 18 &&
	       (error->code < 10000 || error->code > 20000) && error->code != 6 && error->code != 7 &&
	       error->code != 89 && error->code != 91 && error->code != 189 && error->code != 262 &&
	       error->code != 9001;
}

static bool is_authentication(const bson_error_t *error)
{
	return error->domain == MONGOC_ERROR_SCRAM || error->domain == MONGOC_ERROR_SASL ||
	       (error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) ||
	       (error->domain == MONGOC_ERROR_SERVER && error->code == 18);
}

static enum lf_sink_result judge(struct lf_mongo *mongo, const bson_error_t *error, const char **why,
                                 const char **remedy)
{
	const struct lf_mongo_dial *dial = &mongo->dial;

	*why = error->message;
	*remedy = "it comes again";
	if (is_server(error)) {
		const char *known = error->domain == MONGOC_ERROR_SERVER ? remedy_of(error->code) : NULL;

		*remedy = known ? known : *remedy;
		return known ? LF_SINK_REJECTED : LF_SINK_RETRY;
	}
	if (error->domain == MONGOC_ERROR_BSON) {
		*remedy = "this is a mistake of logfold's";
		return LF_SINK_REJECTED;
	}
	if (mongo->deadline.foreign_tls) {
		*why = "that port speaks TLS";
		*remedy = "add tls=true to the uri";
		return LF_SINK_REJECTED;
	}
	if (dial->failure[0] && error->domain == MONGOC_ERROR_SERVER_SELECTION) {
		*why = dial->failure;
		*remedy = NULL;
		return dial->result;
	}
	if (mongo->deadline.passed || lf_mongo_left_ms(mongo) == 0) {
		*why = "no answer in time";
		*remedy = "is the server overloaded, or standing still?";
	} else if (mongo->deadline.answered && error->domain == MONGOC_ERROR_SERVER_SELECTION) {
		*remedy = "is a primary there now, and is replicaSet right, if the uri has it?";
	} else if (error->domain == MONGOC_ERROR_SERVER_SELECTION) {
		*why = "it took the connection and did not answer";
		*remedy = "is that a MongoDB server, and does it want TLS (tls=true)?";
	} else if (error->domain == MONGOC_ERROR_STREAM) {
		*why = "the connection was lost";
		*remedy = "what was under way comes again";
	}
	return LF_SINK_RETRY;
}

/* After an answer of the server's the connection is as good as before, but for those that say that
 * another server is to be asked now. */
static bool breaks(const bson_error_t *error)
{
	return !(is_server(error) && (remedy_of(error->code) || error->code == MONGOC_ERROR_DUPLICATE_KEY ||
	                              error->code == 13));
}

enum lf_sink_result lf_mongo_failed(struct lf_mongo *mongo, const char *doing, const bson_error_t *error,
                                    struct lf_error *err)
{
	enum lf_sink_result result = LF_SINK_REJECTED;
	const char *why, *remedy;
	char shown[sizeof(error->message)]; /* the longest that there is */

	if (is_authentication(error)) {
		why = "the server does not accept this user and password";
		remedy = "are they, and authSource, right?";
	} else {
		result = judge(mongo, error, &why, &remedy);
	}
	mongo->broken = breaks(error) || is_authentication(error);
	(void)snprintf(shown, sizeof(shown), "%s", why);
	lf_mongo_uri_hide(&mongo->uri, shown);
	(void)lf_fail(err, -EIO, "mongo at %s, %s: %s%s%s", mongo->uri.address, doing, shown,
	              remedy ? ": " : "", remedy ? remedy : "");
	return result;
}

enum lf_sink_result lf_mongo_too_late(struct lf_mongo *mongo, const char *doing, struct lf_error *err)
{
	(void)lf_fail(err, -ETIMEDOUT, "mongo at %s, %s: not done in %d ms: the rest comes again",
	              mongo->uri.address, doing, mongo->timeout_ms);
	return LF_SINK_RETRY;
}
