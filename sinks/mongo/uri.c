#include "sinks/mongo/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CONNECT_TIMEOUT_MS = 5000, PEM_BYTES_MAX = 1 << 20, NEVER_MS = INT32_MAX };

/* ---- The library's log ---- */

/* What it warned of while this thread had it take a uri apart: there it has no other way to say that
 * an option is unknown. */
static _Thread_local struct {
	bool listening;
	char text[256];
} warning;

static void hear(mongoc_log_level_t level, const char *domain, const char *message, void *arg)
{
	(void)domain;
	(void)arg;
	if (!warning.listening || level > MONGOC_LOG_LEVEL_WARNING || warning.text[0])
		return;
	if (strncasecmp(message, "Deprecated", 10) != 0 && strncasecmp(message, "Overwriting", 11) != 0)
		(void)snprintf(warning.text, sizeof(warning.text), "%s", message);
}

static void start_library(void)
{
	mongoc_log_set_handler(hear, NULL);
	mongoc_init();
}

void lf_mongo_library_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, start_library);
}

/* ---- Secrets ---- */

static void hide(char *text, const char *secret)
{
	size_t len = strlen(secret);
	char *at;

	if (len == 0)
		return;
	while ((at = strstr(text, secret)) != NULL) {
		size_t stars = len < 3 ? len : 3;

		memset(at, '*', stars);
		memmove(at + stars, at + len, strlen(at + len) + 1);
	}
}

void lf_mongo_uri_hide(const struct lf_mongo_uri *uri, char *text)
{
	if (uri->secret && strspn(uri->secret, "*") != strlen(uri->secret))
		hide(text, uri->secret);
}

/* What the library quotes of a uri with a user may be his password. */
static void hide_quoted(char *why, const char *uri)
{
	char *from = strchr(why, '"'), *to = strrchr(why, '"');

	if (strchr(uri, '@') && from && to > from)
		memmove(from, to + 1, strlen(to + 1) + 1);
}

/* ---- Taking apart ---- */

static int refuse(struct lf_error *err, const char *uri, const char *why)
{
	const char *user = strrchr(uri, '@');
	size_t scheme = strcspn(uri, ":"), len;
	const char *rest;

	scheme = strncmp(uri + scheme, "://", 3) == 0 ? scheme + 3 : 0;
	rest = user ? user + 1 : uri + scheme;
	len = strcspn(rest, "?");
	/* All before the last @ may be a secret. */
	return lf_fail(err, -EINVAL, "mongo: the uri '%.*s%.*s' is not one: %s", (int)scheme, uri,
	               len < 200 ? (int)len : 200, rest, why);
}

static int parse(struct lf_mongo_uri *out, const char *uri, struct lf_error *err)
{
	bson_error_t error = { 0 };

	warning.text[0] = '\0';
	warning.listening = true;
	out->uri = mongoc_uri_new_with_error(uri, &error);
	warning.listening = false;
	if (!out->uri) {
		hide_quoted(error.message, uri);
		return refuse(err, uri, error.message[0] ? error.message : "it begins with mongodb://");
	}
	if (warning.text[0])
		return lf_fail(err, -EINVAL, "mongo: an option in the uri is not known, or not of that kind: "
		               "%s: is it misspelled?", warning.text);
	return 0;
}

static void name_hosts(struct lf_mongo_uri *out)
{
	const mongoc_host_list_t *host = mongoc_uri_get_hosts(out->uri);
	const char *service = mongoc_uri_get_srv_hostname(out->uri);
	size_t used = 0;

	if (service) {
		(void)snprintf(out->address, sizeof(out->address), "%s", service);
		return;
	}
	for (; host && used < sizeof(out->address); host = host->next)
		used += (size_t)snprintf(out->address + used, sizeof(out->address) - used, "%s%s",
		                         used ? "," : "", host->host_and_port);
}

static int take_password(struct lf_mongo_uri *out, const char *password, struct lf_error *err)
{
	if (password && !mongoc_uri_get_username(out->uri))
		return lf_fail(err, -EINVAL, "mongo: there is a password, but the uri names no user: "
		               "mongodb://USER@%s/", out->address);
	if (password && !mongoc_uri_set_password(out->uri, password))
		return lf_fail(err, -EINVAL, "mongo: the password is not valid UTF-8");
	password = mongoc_uri_get_password(out->uri);
	out->secret = password ? strdup(password) : NULL;
	return password && !out->secret ? lf_fail(err, -ENOMEM, "mongo: there is no memory") : 0;
}

/* ---- TLS ---- */

static int append_file(int fd, const char *path, struct lf_error *err)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	char *text = malloc(PEM_BYTES_MAX);
	ssize_t got = from < 0 || !text ? -1 : read(from, text, PEM_BYTES_MAX);

	if (got < 0 || write(fd, text, (size_t)got) != got || write(fd, "\n", 1) != 1)
		rc = lf_fail(err, -EINVAL, "mongo: the file '%s' cannot be read: %s", path, strerror(errno));
	free(text);
	if (from >= 0)
		(void)close(from);
	return rc;
}

/* Certificate and key are one file to the library. */
static int join_key(struct lf_mongo_uri *out, const struct lf_sink_options *options, struct lf_error *err)
{
	char path[64];
	int rc;

	out->pem_fd = memfd_create("logfold-mongo-key", MFD_CLOEXEC);
	if (out->pem_fd < 0)
		return lf_fail(err, -errno, "mongo: there is no memory for the TLS key");
	rc = append_file(out->pem_fd, options->tls_certificate_file, err);
	if (rc == 0)
		rc = append_file(out->pem_fd, options->tls_key_file, err);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", out->pem_fd);
	if (rc == 0)
		(void)mongoc_uri_set_option_as_utf8(out->uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, path);
	return rc;
}

static int take_certificate(struct lf_mongo_uri *out, const struct lf_sink_options *options,
                            struct lf_error *err)
{
	const char *certificate = options->tls_certificate_file, *key = options->tls_key_file;

	if (!certificate && !key)
		return 0;
	if (!certificate)
		return lf_fail(err, -EINVAL, "mongo: tls_key_file needs tls_certificate_file besides it");
	if (key && strcmp(key, certificate) != 0)
		return join_key(out, options, err);
	(void)mongoc_uri_set_option_as_utf8(out->uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, certificate);
	return 0;
}

static const char *word(const mongoc_uri_t *uri, const char *option)
{
	return mongoc_uri_get_option_as_utf8(uri, option, NULL);
}

static bool yes(const mongoc_uri_t *uri, const char *option)
{
	return mongoc_uri_get_option_as_bool(uri, option, false);
}

static void read_tls_options(struct lf_mongo_uri *out)
{
	bool lax = yes(out->uri, MONGOC_URI_TLSINSECURE);

	out->tls_options = (mongoc_ssl_opt_t){
		.pem_file = word(out->uri, MONGOC_URI_TLSCERTIFICATEKEYFILE),
		.pem_pwd = word(out->uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD),
		.ca_file = word(out->uri, MONGOC_URI_TLSCAFILE),
		.weak_cert_validation = lax || yes(out->uri, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES),
		.allow_invalid_hostname = lax || yes(out->uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES),
	};
}

static int take_tls(struct lf_mongo_uri *out, const struct lf_sink_options *options, struct lf_error *err)
{
	int rc;

	if (options->tls_ca_file)
		(void)mongoc_uri_set_option_as_utf8(out->uri, MONGOC_URI_TLSCAFILE, options->tls_ca_file);
	rc = take_certificate(out, options, err);
	if (rc != 0)
		return rc;
	if (options->tls_ca_file || options->tls_certificate_file) {
		if (!mongoc_uri_get_option_as_bool(out->uri, MONGOC_URI_TLS, true))
			return lf_fail(err, -EINVAL, "mongo: there are files for TLS, but the uri says tls=false");
		(void)mongoc_uri_set_option_as_bool(out->uri, MONGOC_URI_TLS, true);
	}
	out->tls = mongoc_uri_get_tls(out->uri);
	return 0;
}

/* ---- What the uri leaves open ---- */

static void set_unless_given(mongoc_uri_t *uri, const char *option, bool value)
{
	if (!mongoc_uri_has_option(uri, option))
		(void)mongoc_uri_set_option_as_bool(uri, option, value);
}

static void take_timeouts(struct lf_mongo_uri *out, const struct lf_sink_options *options)
{
	int32_t given = mongoc_uri_get_option_as_int32(out->uri, MONGOC_URI_CONNECTTIMEOUTMS, 0);

	out->connect_timeout_ms = options->connect_timeout_ms > 0 ? options->connect_timeout_ms :
	                          given > 0                       ? given :
	                                                            CONNECT_TIMEOUT_MS;
	/* After a failure there is a new client: no look at the servers in between is needed, and none
	 * would know of the deadline of the call that it delays. */
	(void)mongoc_uri_set_option_as_int32(out->uri, MONGOC_URI_HEARTBEATFREQUENCYMS, NEVER_MS);
}

/* The library's own timeouts stand above the streams' deadline; they must not be longer either, since
 * it waits for some things by its own clock.  0 would be its default, not none. */
void lf_mongo_uri_set_timeout(struct lf_mongo_uri *uri, int timeout_ms)
{
	int32_t ms = timeout_ms > 0 ? timeout_ms : 1;

	(void)mongoc_uri_set_option_as_int32(uri->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, ms);
	(void)mongoc_uri_set_option_as_int32(uri->uri, MONGOC_URI_CONNECTTIMEOUTMS, ms);
	(void)mongoc_uri_set_option_as_int32(uri->uri, MONGOC_URI_SOCKETTIMEOUTMS, ms);
	read_tls_options(uri); /* the uri's texts have moved */
}

static int take_write_concern(struct lf_mongo_uri *out, struct lf_error *err)
{
	const mongoc_write_concern_t *given = mongoc_uri_get_write_concern(out->uri);
	mongoc_write_concern_t *concern;

	if (mongoc_write_concern_get_w(given) == MONGOC_WRITE_CONCERN_W_UNACKNOWLEDGED)
		return lf_fail(err, -EINVAL, "mongo: with w=0 nobody knows what was stored: take it out of "
		                             "the uri");
	if (mongoc_write_concern_get_w(given) != MONGOC_WRITE_CONCERN_W_DEFAULT)
		return 0;
	concern = mongoc_write_concern_copy(given);
	mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
	mongoc_uri_set_write_concern(out->uri, concern);
	mongoc_write_concern_destroy(concern);
	return 0;
}

/* ---- The whole ---- */

static int take_all(struct lf_mongo_uri *out, const struct lf_sink_options *options, struct lf_error *err)
{
	int rc = parse(out, options->uri, err);

	if (rc != 0)
		return rc;
	name_hosts(out);
	rc = take_password(out, options->password, err);
	if (rc == 0)
		rc = take_tls(out, options, err);
	if (rc == 0)
		rc = take_write_concern(out, err);
	/* A repetition by the library could apply a write twice on a server that ignores its number; what
	 * is sent is state, and the agent repeats it. */
	set_unless_given(out->uri, MONGOC_URI_RETRYWRITES, false);
	set_unless_given(out->uri, MONGOC_URI_RETRYREADS, false);
	take_timeouts(out, options);
	read_tls_options(out);
	return rc;
}

int lf_mongo_uri_init(struct lf_mongo_uri *out, const struct lf_sink_options *options, struct lf_error *err)
{
	struct lf_error own = { "" };
	int rc;

	*out = (struct lf_mongo_uri){ .pem_fd = -1 };
	if (!options->uri)
		return lf_fail(err, -EINVAL, "mongo: no uri: set it in agent.toml, mongodb://HOST:27017/");
	rc = take_all(out, options, &own);
	if (rc == 0)
		return 0;
	lf_mongo_uri_hide(out, own.text);
	lf_mongo_uri_fini(out);
	return lf_fail(err, rc, "%s", own.text);
}

void lf_mongo_uri_fini(struct lf_mongo_uri *uri)
{
	if (uri->uri)
		mongoc_uri_destroy(uri->uri);
	if (uri->secret)
		explicit_bzero(uri->secret, strlen(uri->secret));
	free(uri->secret);
	if (uri->pem_fd >= 0)
		(void)close(uri->pem_fd);
	*uri = (struct lf_mongo_uri){ .pem_fd = -1 };
}

int lf_mongo_uri_check_files(const struct lf_mongo_uri *uri, struct lf_error *err)
{
	const char *files[] = { uri->tls_options.ca_file, uri->tls_options.pem_file };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (uri->tls && files[i] && access(files[i], R_OK) != 0)
			return lf_fail(err, -EINVAL, "mongo: the TLS file '%s' cannot be read: %s", files[i],
			               strerror(errno));
	return 0;
}
