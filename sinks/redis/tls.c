#include "sinks/redis/tls.h"
#include "sinks/redis/complaint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct lf_redis_tls {
	SSL_CTX *context;
	SSL *ssl;
	BIO *in, *out; /* belong to ssl */
	const struct lf_redis_place *place;
};

static const char *last_reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason;

	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	reason = ERR_reason_error_string(code);
	return reason ? reason : "no reason is given";
}

/* A key that is locked by a password would ask for it on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return 0;
}

static enum lf_sink_result load_ours(SSL_CTX *context, const struct lf_redis_tls_files *files,
                                     struct lf_error *err)
{
	const char *key = files->key ? files->key : files->certificate;

	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1)
		return lf_redis_fail(err, LF_SINK_REJECTED, "tls_certificate_file '%s' cannot be used: %s",
		                     files->certificate, last_reason());
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return lf_redis_fail(err, LF_SINK_REJECTED, "tls_key_file '%s' cannot be used: %s", key,
		                     last_reason());
	return LF_SINK_DONE;
}

static enum lf_sink_result load(SSL_CTX *context, const struct lf_redis_tls_files *files,
                                struct lf_error *err)
{
	if (files->ca && SSL_CTX_load_verify_file(context, files->ca) != 1)
		return lf_redis_fail(err, LF_SINK_REJECTED, "tls_ca_file '%s' cannot be used: %s", files->ca,
		                     last_reason());
	if (!files->ca && SSL_CTX_set_default_verify_paths(context) != 1)
		return lf_redis_fail(err, LF_SINK_REJECTED, "the system's certificates cannot be used: %s",
		                     last_reason());
	return files->certificate ? load_ours(context, files, err) : LF_SINK_DONE;
}

/* An address is looked for among the certificate's addresses, a name among its names. */
static bool expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static enum lf_sink_result prepare(struct lf_redis_tls *tls, struct lf_error *err)
{
	tls->ssl = SSL_new(tls->context);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->in || !tls->out) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for a TLS connection");
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_connect_state(tls->ssl);
	SSL_set_verify(tls->ssl, SSL_VERIFY_PEER, NULL);
	if (!expect_host(tls->ssl, tls->place->name))
		return lf_redis_fail(err, LF_SINK_REJECTED,
		                     "redis at %s: that host name cannot stand in a certificate",
		                     tls->place->text);
	return LF_SINK_DONE;
}

enum lf_sink_result lf_redis_tls_new(struct lf_redis_tls **out,
                                     const struct lf_redis_tls_files *files,
                                     const struct lf_redis_place *place, struct lf_error *err)
{
	struct lf_redis_tls *tls = calloc(1, sizeof(*tls));
	enum lf_sink_result result;

	ERR_clear_error();
	if (tls)
		tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls || !tls->context) {
		free(tls);
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for a TLS connection");
	}
	tls->place = place;
	(void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	result = load(tls->context, files, err);
	if (result == LF_SINK_DONE)
		result = prepare(tls, err);
	if (result == LF_SINK_DONE)
		*out = tls;
	else
		lf_redis_tls_free(tls);
	return result;
}

void lf_redis_tls_free(struct lf_redis_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	SSL_CTX_free(tls->context);
	free(tls);
}

int lf_redis_tls_received(struct lf_redis_tls *tls, const void *data, size_t len)
{
	return len <= INT_MAX && BIO_write(tls->in, data, (int)len) == (int)len ? 0 : -ENOMEM;
}

static enum lf_sink_result flush_out(struct lf_redis_tls *tls, struct lf_redis_buffer *raw,
                                     struct lf_error *err)
{
	size_t waiting = BIO_ctrl_pending(tls->out);
	char *room = waiting ? lf_redis_buffer_room(raw, waiting) : NULL;

	if (room && BIO_read(tls->out, room, (int)waiting) == (int)waiting)
		raw->len += waiting;
	else if (waiting)
		return lf_redis_fail(err, LF_SINK_RETRY, "no memory for what is sent to redis at %s",
		                     tls->place->text);
	return LF_SINK_DONE;
}

static enum lf_sink_result failed(struct lf_redis_tls *tls, struct lf_error *err)
{
	long verdict = SSL_get_verify_result(tls->ssl);
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

	if (verdict != X509_V_OK && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return lf_redis_fail(err, LF_SINK_REJECTED,
		                     "redis at %s shows a certificate that is not trusted (%s): set "
		                     "tls_ca_file, and name the host as the certificate does",
		                     tls->place->text, X509_verify_cert_error_string(verdict));
	if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
	    reason == SSL_R_UNEXPECTED_MESSAGE || reason == SSL_R_BAD_RECORD_TYPE)
		return lf_redis_fail(err, LF_SINK_REJECTED,
		                     "redis at %s does not speak TLS: write redis:// instead of rediss://, "
		                     "or name its TLS port", tls->place->text);
	if (reason >= SSL_AD_REASON_OFFSET)
		return lf_redis_fail(err, LF_SINK_REJECTED,
		                     "redis at %s refuses the TLS connection (%s): does it want a "
		                     "tls_certificate_file and tls_key_file?", tls->place->text,
		                     last_reason());
	return lf_redis_fail(err, LF_SINK_RETRY, "the TLS connection to redis at %s broke: %s",
	                     tls->place->text, last_reason());
}

/* What SSL_get_error() says of a call that did not return 1: whether it just waits for more. */
static bool waits(struct lf_redis_tls *tls, int rc)
{
	int reason = SSL_get_error(tls->ssl, rc);

	return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
}

enum lf_sink_result lf_redis_tls_shake(struct lf_redis_tls *tls, bool *done,
                                       struct lf_redis_buffer *raw, struct lf_error *err)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(tls->ssl);
	*done = rc == 1;
	if (rc != 1 && !waits(tls, rc))
		return failed(tls, err);
	return flush_out(tls, raw, err);
}

enum lf_sink_result lf_redis_tls_write(struct lf_redis_tls *tls, struct lf_redis_buffer *plain,
                                       struct lf_redis_buffer *raw, struct lf_error *err)
{
	size_t len = lf_redis_buffer_waiting(plain), written = 0;
	int rc;

	if (len == 0)
		return LF_SINK_DONE;
	ERR_clear_error();
	rc = SSL_write_ex(tls->ssl, plain->data + plain->start, len, &written);
	if (rc != 1 || written != len)
		return failed(tls, err);
	lf_redis_buffer_taken(plain, len);
	return flush_out(tls, raw, err);
}

enum lf_sink_result lf_redis_tls_read(struct lf_redis_tls *tls, char *out, size_t size, size_t *len,
                                      struct lf_redis_buffer *raw, struct lf_error *err)
{
	int rc;

	*len = 0;
	ERR_clear_error();
	rc = SSL_read_ex(tls->ssl, out, size, len);
	if (rc == 1)
		return LF_SINK_DONE;
	*len = 0;
	if (SSL_get_error(tls->ssl, rc) == SSL_ERROR_ZERO_RETURN)
		return lf_redis_fail(err, LF_SINK_RETRY, "redis at %s closed the connection",
		                     tls->place->text);
	if (!waits(tls, rc))
		return failed(tls, err);
	return flush_out(tls, raw, err);
}

