#include "agent/hook/libc.h"

#include <dlfcn.h>
#include <stdatomic.h>

#include "agent/hook/versioned.h"

#define LF_DEFINE_REAL(symbol, result, parameters) result(*lf_real_##symbol) parameters;
LF_REAL_CALLS(LF_DEFINE_REAL)
LF_REAL_VERSIONED_CALLS(LF_DEFINE_REAL)

struct real_call {
	void **slot;
	const char *symbol;
};

#define LF_REAL_ROW(symbol, result, parameters) { (void **)&lf_real_##symbol, #symbol },
static const struct real_call real_calls[] = { LF_REAL_CALLS(LF_REAL_ROW) };
static const struct real_call versioned_calls[] = { LF_REAL_VERSIONED_CALLS(LF_REAL_ROW) };

void lf_libc_resolve(void)
{
	static _Atomic int done;

	if (atomic_load_explicit(&done, memory_order_acquire))
		return;
	/* Each name is there in every glibc that we build for: a look-up that fails would call
	 * malloc in the host. */
	for (size_t i = 0; i < sizeof(real_calls) / sizeof(real_calls[0]); i++)
		*real_calls[i].slot = dlsym(RTLD_NEXT, real_calls[i].symbol);
	for (size_t i = 0; i < sizeof(versioned_calls) / sizeof(versioned_calls[0]); i++)
		*versioned_calls[i].slot =
			dlvsym(RTLD_NEXT, versioned_calls[i].symbol, LF_QUOTED(LF_LIBC_BASE));
	atomic_store_explicit(&done, 1, memory_order_release);
}
