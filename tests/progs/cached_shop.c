/* A shop whose answers are made of rows of a database, and cached.
 *
 *   cached_shop FILE READS CHANGE_EACH [check]
 *
 * Reads accounts, orders and customers, some more often than others, and changes a row after each CHANGE_EACH reads.  Does
 * all of it twice, with the cache and with the cache disabled, each time on a new database in FILE, and prints one line of
 * JSON.  With `check`, each answer is compared with the one that is made at once from the rows, and all accounts are
 * printed as they are cached in the end.
 *
 *   cc cached_shop.c $(pkg-config --cflags --libs logfold-cache sqlite3)
 */
#include <logfold/cache.h>

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CUSTOMERS = 200, ORDERS = 5 * CUSTOMERS, LINES = 3 * ORDERS, PRODUCTS = 100, TEXT_MAX = 512 };

static const char schema[] =
	"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
	"CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT);"
	"CREATE TABLE products(id INTEGER PRIMARY KEY, cents INTEGER);"
	"CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, status TEXT);"
	"CREATE TABLE lines(id INTEGER PRIMARY KEY, \"order\" INTEGER, product INTEGER, quantity INTEGER);"
	"CREATE INDEX orders_of ON orders(customer);"
	"CREATE INDEX lines_of ON lines(\"order\");"
	"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
	" INSERT INTO customers SELECT i, 'customer ' || i FROM n;"
	"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
	" INSERT INTO products SELECT i, i * 37 % 1000 + 1 FROM n;"
	"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
	" INSERT INTO orders SELECT i, i % 200 + 1, 'new' FROM n;"
	"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
	" INSERT INTO lines SELECT i, i % 1000 + 1, i * 7919 % 100 + 1, i % 4 + 1 FROM n;";

enum query { CUSTOMER, ORDER, LINES_OF, ORDERS_OF, RENAME, SHIP, REPRICE, QUERIES };
static const char *const queries[QUERIES] = {
	"SELECT name FROM customers WHERE id = ?1",
	"SELECT customer, status FROM orders WHERE id = ?1",
	"SELECT product, quantity, cents FROM lines JOIN products ON products.id = product WHERE \"order\" = ?1",
	"SELECT id FROM orders WHERE customer = ?1 ORDER BY id",
	"UPDATE customers SET name = 'customer ' || ?1 || ' of ' || ?2 WHERE id = ?1",
	"UPDATE orders SET status = 'shipped ' || ?2 WHERE id = ?1",
	"UPDATE products SET cents = ?2 % 1000 + 1 WHERE id = ?1",
};

struct shop {
	sqlite3 *db;
	sqlite3_stmt *statements[QUERIES];
	struct lf_cache *cache;
	struct lf_cache_space *customers, *orders, *accounts;
	bool quiet; /* while an answer is checked */
	long asked; /* of the database */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "cached_shop: %s: %s\n", what, why);
	exit(1);
}

/* --- the database ---------------------------------------------------------------------------------- */

static sqlite3_stmt *ask(struct shop *shop, enum query query, long id, long number)
{
	sqlite3_stmt *statement = shop->statements[query];

	(void)sqlite3_reset(statement);
	(void)sqlite3_bind_int64(statement, 1, id);
	(void)sqlite3_bind_int64(statement, 2, number);
	shop->asked += !shop->quiet;
	return statement;
}

static void open_database(struct shop *shop, const char *file)
{
	(void)unlink(file);
	if (sqlite3_open(file, &shop->db) != SQLITE_OK || sqlite3_exec(shop->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		die(file, sqlite3_errmsg(shop->db));
	for (int i = 0; i < QUERIES; i++)
		if (sqlite3_prepare_v2(shop->db, queries[i], -1, &shop->statements[i], NULL) != SQLITE_OK)
			die(queries[i], sqlite3_errmsg(shop->db));
}

/* --- what is made of its rows ---------------------------------------------------------------------- */

/* An answer, and the rows that it was made of, as tags. */
struct made {
	char text[TEXT_MAX], names[LF_CACHE_TAGS_MAX][32];
	size_t len, count;
	struct lf_text tags[LF_CACHE_TAGS_MAX];
};

static void made_of(struct made *made, const char *table, long id)
{
	char *name = made->names[made->count];
	int len = snprintf(name, sizeof(made->names[0]), "%s:%ld", table, id);

	for (size_t i = 0; i < made->count; i++)
		if (strcmp(made->names[i], name) == 0)
			return;
	made->tags[made->count++] = (struct lf_text){ name, (size_t)len };
}

__attribute__((format(printf, 2, 3))) static void say(struct made *made, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	made->len += (size_t)vsnprintf(made->text + made->len, TEXT_MAX - made->len, format, args);
	va_end(args);
}

static int make_customer(struct shop *shop, long id, struct made *made)
{
	sqlite3_stmt *row = ask(shop, CUSTOMER, id, 0);

	if (sqlite3_step(row) != SQLITE_ROW)
		return 0;
	made_of(made, "customer", id);
	say(made, "%s", (const char *)sqlite3_column_text(row, 0));
	return 1;
}

static long total_of(struct shop *shop, long order, struct made *made)
{
	sqlite3_stmt *row = ask(shop, LINES_OF, order, 0);
	long total = 0;

	while (sqlite3_step(row) == SQLITE_ROW) {
		made_of(made, "product", sqlite3_column_int64(row, 0));
		total += sqlite3_column_int64(row, 1) * sqlite3_column_int64(row, 2);
	}
	return total;
}

static int make_order(struct shop *shop, long id, struct made *made)
{
	sqlite3_stmt *row = ask(shop, ORDER, id, 0);

	if (sqlite3_step(row) != SQLITE_ROW)
		return 0;
	made_of(made, "order", id);
	say(made, "order %ld of %lld, %s: ", id, sqlite3_column_int64(row, 0), (const char *)sqlite3_column_text(row, 1));
	say(made, "%ld cents", total_of(shop, id, made)); /* made_of(made, "product", …) of each line */
	return 1;
}

static int make_account(struct shop *shop, long id, struct made *made)
{
	sqlite3_stmt *row;
	long total = 0, orders = 0;

	if (!make_customer(shop, id, made))
		return 0;
	row = ask(shop, ORDERS_OF, id, 0);
	while (sqlite3_step(row) == SQLITE_ROW) {
		made_of(made, "order", sqlite3_column_int64(row, 0));
		total += total_of(shop, sqlite3_column_int64(row, 0), made);
		orders++;
	}
	say(made, ": %ld orders, %ld cents", orders, total);
	return 1;
}

/* --- the cache ------------------------------------------------------------------------------------- */

static struct shop the_shop;

static void release(struct lf_cache_loaded *loaded)
{
	free(loaded->data);
}

static long number_of(struct lf_text id)
{
	long number = 0;

	for (size_t i = 0; i < id.len; i++)
		number = 10 * number + (id.data[i] - '0');
	return number;
}

/* The loader of a space: `arg` makes its answers. */
static int load(void *arg, struct lf_text id, struct lf_cache_loaded *out, struct lf_error *err)
{
	int (*const *make)(struct shop *shop, long id, struct made *made) = arg;
	struct made *made = calloc(1, sizeof(*made));
	int there;

	if (!made)
		return lf_fail(err, -ENOMEM, "there is no memory for an answer");
	there = (*make)(&the_shop, number_of(id), made);
	out->value = (struct lf_text){ made->text, made->len };
	out->how.tags = made->tags;
	out->how.tags_count = made->count;
	out->data = made;
	out->release = release;
	return there;
}

static struct lf_text number(char text[24], long id)
{
	return (struct lf_text){ text, (size_t)snprintf(text, 24, "%ld", id) };
}

static void get(struct lf_cache_space *space, long id, struct lf_cache_value *out)
{
	struct lf_error err;
	char text[24];

	if (lf_cache_fetch(space, number(text, id), out, &err) < 0)
		die("fetch", err.text);
}

/* A row was changed: what was made of it is not handed out any more. */
static void changed(struct shop *shop, const char *table, long id)
{
	char tag[32];
	struct lf_error err;
	int len = snprintf(tag, sizeof(tag), "%s:%ld", table, id);

	if (lf_cache_invalidate_tag(shop->cache, (struct lf_text){ "shop", 4 }, (struct lf_text){ tag, (size_t)len }, &err) < 0)
		die(tag, err.text);
}

static int (*const makers[])(struct shop *shop, long id, struct made *made) = { make_customer, make_order, make_account };

static struct lf_cache_space *open_space(struct lf_cache *cache, const char *type, size_t maker)
{
	struct lf_cache_space *space;
	struct lf_error err;

	if (lf_cache_space(&space, cache, type, "shop", &err) < 0)
		die(type, err.text);
	lf_cache_space_loader(space, load, (void *)&makers[maker]);
	return space;
}

static void open_cache(struct shop *shop, bool enabled)
{
	struct lf_cache_options options;
	struct lf_error err;

	lf_cache_options_init(&options);
	options.app = "cached_shop";
	if (lf_cache_open(&shop->cache, &options, &err) < 0)
		die("the cache", err.text);
	lf_cache_enable(shop->cache, enabled);
	shop->customers = open_space(shop->cache, "customer", 0);
	shop->orders = open_space(shop->cache, "order", 1);
	shop->accounts = open_space(shop->cache, "account", 2);
}

/* --- what happens in the shop ---------------------------------------------------------------------- */

static long below(long limit, uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (long)((*seed >> 33) % (uint64_t)limit);
}

/* One in two is among a tenth of them. */
static long favourite(long limit, uint64_t *seed)
{
	return 1 + below(below(2, seed) ? limit / 10 : limit, seed);
}

static void change(struct shop *shop, uint64_t *seed)
{
	static const struct {
		enum query query;
		const char *table;
		long count;
	} changes[] = { { SHIP, "order", ORDERS }, { SHIP, "order", ORDERS }, { RENAME, "customer", CUSTOMERS },
		        { REPRICE, "product", PRODUCTS } };
	long which = below(4, seed), id = 1 + below(changes[which].count, seed);

	if (sqlite3_step(ask(shop, changes[which].query, id, below(1000, seed))) != SQLITE_DONE)
		die("change", sqlite3_errmsg(shop->db));
	changed(shop, changes[which].table, id);
}

static bool is_right(struct shop *shop, size_t maker, long id, const struct lf_cache_value *value)
{
	struct made now = { .len = 0 };

	shop->quiet = true;
	(void)makers[maker](shop, id, &now);
	shop->quiet = false;
	return now.len == value->len && memcmp(now.text, value->data, now.len) == 0;
}

/* How many answers were wrong. */
static long trade(struct shop *shop, long reads, long change_each, bool check)
{
	struct lf_cache_space *const spaces[] = { shop->customers, shop->orders, shop->accounts, shop->accounts };
	static const long counts[] = { CUSTOMERS, ORDERS, CUSTOMERS, CUSTOMERS };
	uint64_t seed = 42;
	long wrong = 0;

	for (long i = 0; i < reads; i++) {
		size_t kind = (size_t)below(4, &seed);
		long id = favourite(counts[kind], &seed);
		struct lf_cache_value value;

		get(spaces[kind], id, &value);
		wrong += check && !is_right(shop, kind < 2 ? kind : 2, id, &value);
		lf_cache_value_release(&value);
		if ((i + 1) % change_each == 0)
			change(shop, &seed);
	}
	return wrong;
}

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_accounts(struct shop *shop)
{
	for (long id = 1; id <= CUSTOMERS; id++) {
		struct lf_cache_value value;

		get(shop->accounts, id, &value);
		printf("%ld %.*s\n", id, (int)value.len, value.data);
		lf_cache_value_release(&value);
	}
}

static void close_shop(struct shop *shop)
{
	lf_cache_close(shop->cache);
	for (int i = 0; i < QUERIES; i++)
		(void)sqlite3_finalize(shop->statements[i]);
	(void)sqlite3_close(shop->db);
}

/* One day in the shop, with the cache or without. */
static double day(char **argv, bool enabled, bool check)
{
	long reads = strtol(argv[2], NULL, 10), wrong;
	struct lf_cache_stats stats;
	double start;

	the_shop = (struct shop){ .asked = 0 };
	open_database(&the_shop, argv[1]);
	open_cache(&the_shop, enabled);
	start = now_s();
	wrong = trade(&the_shop, reads, strtol(argv[3], NULL, 10), check);
	start = now_s() - start;
	lf_cache_stats(the_shop.cache, &stats);
	printf("{\"cached\": %s, \"reads\": %ld, \"wrong\": %ld, \"queries\": %ld, \"hitRate\": %.2f, \"seconds\": %.4f}\n",
	       enabled ? "true" : "false", reads, wrong, the_shop.asked, stats.hit_rate_pct, start);
	if (enabled && check)
		print_accounts(&the_shop);
	close_shop(&the_shop);
	return start;
}

int main(int argc, char **argv)
{
	bool check = argc == 5 && strcmp(argv[4], "check") == 0;

	if (argc < 4 || argc > 5 || strtol(argv[3], NULL, 10) < 1)
		die("usage", "cached_shop FILE READS CHANGE_EACH [check]");
	(void)day(argv, false, check);
	(void)day(argv, true, check);
	return 0;
}
