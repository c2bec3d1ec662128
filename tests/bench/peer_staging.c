/* The recording path of a deferred logger such as NanoLog, rebuilt: no distribution has one.  A call puts
 * the number of its site, the time stamp counter and its arguments into a buffer of its thread, and a
 * background thread takes them away.
 *
 *   peer_staging COUNT
 *
 * As there: a ring of 1 MiB for one producer and one consumer, whose free room the producer keeps in
 * mind, so that it looks at the consumer's place only when that is used up; integers are stored as 8 bytes,
 * a string with its length and bytes.
 *
 * Left out, all in the peer's favour: the consumer neither packs, formats nor writes, it drops; there is
 * one producer, so the consumer searches no list of them; a site has its number from the beginning; and a
 * round of calls fits into the buffer, which is empty when it begins, so the producer never waits.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "rounds.h"

enum { RING_BYTES = 1 << 20, RECORD_MAX = 256 };

struct record {
	uint32_t site;
	uint32_t bytes; /* with its arguments; 0: go on at the ring's beginning */
	uint64_t time;
};

static struct {
	/* The producer's own. */
	char *put;
	size_t room;
	char *end; /* of the ring */
	/* Shared; each on a cache line of its own. */
	_Atomic(char *) produced __attribute__((aligned(64)));
	_Atomic(char *) consumed __attribute__((aligned(64)));
	_Atomic bool over __attribute__((aligned(64)));
} ring;
static char memory[RING_BYTES] __attribute__((aligned(64)));

static inline uint64_t stamp(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#endif
}

/* The room in one piece from `put` on, waiting until there is enough. */
static __attribute__((noinline)) char *wait_for_room(size_t bytes)
{
	for (;;) {
		char *consumed = atomic_load_explicit(&ring.consumed, memory_order_acquire);

		if (consumed <= ring.put) {
			ring.room = (size_t)(ring.end - ring.put);
			if (ring.room > bytes + sizeof(struct record))
				return ring.put;
			if (consumed != memory) { /* else the ring would look empty */
				((struct record *)ring.put)->bytes = 0;
				ring.put = memory;
				atomic_store_explicit(&ring.produced, memory, memory_order_release);
			}
			continue;
		}
		ring.room = (size_t)(consumed - ring.put) - 1;
		if (ring.room > bytes)
			return ring.put;
	}
}

static inline void record_call(uint32_t site, long number, const char *text, int ms)
{
	uint32_t text_bytes = (uint32_t)strlen(text);
	uint32_t bytes = (uint32_t)sizeof(struct record) + 8 + 4 + text_bytes + 8;
	char *put = ring.room > bytes ? ring.put : wait_for_room(bytes);
	struct record head = { site, bytes, stamp() };
	int64_t wide = number;

	memcpy(put, &head, sizeof(head));
	memcpy(put + 16, &wide, 8);
	memcpy(put + 24, &text_bytes, 4);
	memcpy(put + 28, text, text_bytes);
	wide = ms;
	memcpy(put + 28 + text_bytes, &wide, 8);
	ring.room -= bytes;
	ring.put = put + bytes;
	atomic_store_explicit(&ring.produced, ring.put, memory_order_release);
}

/* Takes whatever is there and drops it; rests for a moment where there is nothing. */
static void *consume(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&ring.over, memory_order_relaxed)) {
		char *produced = atomic_load_explicit(&ring.produced, memory_order_acquire);

		if (produced == atomic_load_explicit(&ring.consumed, memory_order_relaxed))
			usleep(1);
		else
			atomic_store_explicit(&ring.consumed, produced, memory_order_release);
	}
	return NULL;
}

static void wait_until_empty(void)
{
	while (atomic_load_explicit(&ring.consumed, memory_order_acquire) != ring.put)
		usleep(10);
	/* The ring's beginning again, so that a round needs no turn in it. */
	if (ring.put > memory + RING_BYTES / 2 && ring.put != memory) {
		ring.put = memory;
		ring.room = 0;
		atomic_store_explicit(&ring.produced, memory, memory_order_release);
		while (atomic_load_explicit(&ring.consumed, memory_order_acquire) != memory)
			usleep(10);
	}
}

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	const char *volatile name = "alice"; /* its length is not known to the compiler */
	pthread_t consumer;

	if (count <= 0 || count / ROUNDS * 64 > RING_BYTES / 2)
		return 64;
	ring.put = memory;
	ring.end = memory + sizeof(memory);
	atomic_store(&ring.produced, memory);
	atomic_store(&ring.consumed, memory);
	if (pthread_create(&consumer, NULL, consume, NULL) != 0)
		return 1;
	TIME_CALLS(count, wait_until_empty(), record_call(1, i & 1023, name, 12));
	wait_until_empty();
	atomic_store(&ring.over, true);
	pthread_join(consumer, NULL);
	return 0;
}
