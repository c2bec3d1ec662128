#include "hashing/entry_id.h"

/* OpenSSL 3 deprecates SHA256_Init, _Update and _Final in favour of EVP.  Linked static, these three
 * bring their block function and nothing else (37 KB); EVP and the one-shot SHA256() bring the whole
 * provider machinery, 4.4 MB into every hooked process, which allocates and locks as well. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

static void hash_field(SHA256_CTX *sha, struct lf_text field)
{
	uint8_t length[8];

	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)((uint64_t)field.len >> (8 * i));
	(void)SHA256_Update(sha, length, sizeof(length));
	(void)SHA256_Update(sha, field.data, field.len);
}

/* The calls below report failure by their prototype only: they always return 1. */
void lf_entry_id(const struct lf_identity *what, struct lf_id *out)
{
	SHA256_CTX sha;
	uint8_t digest[SHA256_DIGEST_LENGTH];

	(void)SHA256_Init(&sha);
	hash_field(&sha, what->method);
	hash_field(&sha, what->template);
	hash_field(&sha, what->frame);
	(void)SHA256_Final(digest, &sha);
	memcpy(out->bytes, digest, LF_ID_BYTES);
}

void lf_id_to_hex(const struct lf_id *id, char out[LF_HASH_CHARS + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < LF_ID_BYTES; i++) {
		out[2 * i] = digits[id->bytes[i] >> 4];
		out[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	out[LF_HASH_CHARS] = '\0';
}
