/* The lines that the benchmarks mask: made from a fixed seed, so that each run has the same. */
#ifndef LOGFOLD_BENCH_LINES_H
#define LOGFOLD_BENCH_LINES_H

#include <stdint.h>
#include <stdio.h>

static uint64_t random_state = 88172645463325252u;

static unsigned random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 32) % n;
}

static const char *pick_word(void)
{
	static const char *const words[] = { "alice", "backup", "eu-west", "Worker", "cache", "db" };

	return words[random_below(6)];
}

/* One line of a daemon, a web server, a compiler, a kernel, a library: about 72 bytes on average. */
static int make_line(char *line, size_t size)
{
	unsigned a = random_below(100000), b = random_below(256), c = random_below(60);

	switch (random_below(10)) {
	case 0: return snprintf(line, size, "Accepted password for %s from 10.%u.%u.7 port %u ssh2",
				pick_word(), b, c, a);
	case 1: return snprintf(line, size, "192.168.%u.%u - - [10/Oct/2023:13:%02u:36 +0000] "
				"\"GET /item/%u?page=%u HTTP/1.1\" 200 %u", b, c, c, a, b, a);
	case 2: return snprintf(line, size, "level=info ts=2023-10-10T13:55:%02u.%03uZ caller=main.go:%u "
				"msg=\"request done\" duration=%ums", c, b, b, c);
	case 3: return snprintf(line, size, "could not open configuration file: No such file or directory");
	case 4: return snprintf(line, size, "[%5u.%06u] usb 1-%u: new high-speed USB device number %u "
				"using xhci_hcd", a, a, c, b);
	case 5: return snprintf(line, size, "src/module_%s.c:%u:%u: warning: unused variable '%s' "
				"[-Wunused-variable]", pick_word(), a, c, pick_word());
	case 6: return snprintf(line, size, "Received block blk_%u%u of size %u from /10.250.%u.%u",
				a, a, a * 37, b, c);
	case 7: return snprintf(line, size, "connection from client closed after %u seconds, %u bytes "
				"(%u.%u KB) sent", c, a, a / 1000, b);
	case 8: return snprintf(line, size, "Server started, waiting for workers of pool %s to connect",
				pick_word());
	default: return snprintf(line, size, "%s: updating index of table \"%s\" in transaction %u done, "
				 "state=running", pick_word(), pick_word(), a);
	}
}

#endif
