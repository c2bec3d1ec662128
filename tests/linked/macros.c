/* Every macro of the public header, as people write them: compiled as C and as C++, with LOGFOLD_OFF and
 * without, and with all warnings (`make headers`).  Never run. */
#include <syslog.h>

#include <logfold/logfold.h>

struct pair {
	int first, second;
};

static inline int sum(struct pair pair)
{
	return lf_printf("sum of %d\n", pair.first) + pair.second;
}

int main(int argc, char **argv)
{
	const struct pair pair = { argc, 2 };

	if (argc > 1)
		lf_printf("one %s\n", argv[1]);
	else
		lf_puts("a, comma");
	if (argc > 2)
		lf_syslog(LOG_USER | LOG_ERR, "known");
	else
		lf_syslog(argc, "of %s" " priority", "any");
	lf_fprintf(argc ? stdout : stderr, "within %d\n", lf_printf("inner %d\n", sum(pair)));
	return lf_passes("LOG", "only the format counts, %d", argc) && lf_call("a", "b", "c!d") ? 0 : 1;
}
