#include "sinks/redis/cache_script.h"

#include <pthread.h>

/* The version of what is there, or "" where there is nothing, or nothing of ours. */
#define VERSION_THERE \
	"local head, old = redis.pcall('GETRANGE', KEYS[1], 0, 17), ''\n" \
	"if type(head) == 'table' then\n" \
	"  if not string.find(head.err, 'WRONGTYPE', 1, true) then return head end\n" \
	"elseif #head == 18 and string.sub(head, 1, 2) == 'L\\1' then old = string.sub(head, 3) end\n"

static const char store_text[] =
	VERSION_THERE
	"local new = string.sub(ARGV[2], 3, 18)\n"
	"local function newer(a, b)\n"
	"  for i = 1, 16 do\n"
	"    local x, y = string.byte(a, i), string.byte(b, i)\n"
	"    if x ~= y then return x > y end\n"
	"  end\n"
	"  return false\n"
	"end\n"
	"if ARGV[1] == 'v' then\n"
	"  if old ~= ARGV[4] then return 0 end\n"
	"elseif old ~= '' and not newer(new, old) then return 0\n"
	"elseif ARGV[1] == 'l' and redis.call('GET', KEYS[2]) ~= ARGV[4] then return 0 end\n"
	"redis.call('PUBLISH', ARGV[5], ARGV[6])\n"
	"redis.call('SET', KEYS[1], ARGV[2])\n"
	"if ARGV[3] ~= '' then redis.call('PEXPIREAT', KEYS[1], ARGV[3]) end\n"
	"return 1\n";

static const char raise_text[] =
	"local old, new = redis.pcall('GET', KEYS[1]), ARGV[1]\n"
	"if type(old) == 'table' then\n"
	"  if not string.find(old.err, 'WRONGTYPE', 1, true) then return old end\n"
	"  old = nil\n"
	"end\n"
	"if old and string.find(old, '^[1-9]%d*$') and #old >= #new then\n"
	"  if #old > #new then return old end\n"
	"  local at = 1\n"
	"  while at <= #new and string.byte(old, at) == string.byte(new, at) do at = at + 1 end\n"
	"  if at > #new or string.byte(old, at) > string.byte(new, at) then return old end\n"
	"end\n"
	"redis.call('PUBLISH', ARGV[2], ARGV[3])\n"
	"redis.call('SET', KEYS[1], new)\n"
	"return new\n";

static const char drop_text[] =
	VERSION_THERE
	"for i = 1, old == '' and 0 or 8 do\n"
	"  local x, y = string.byte(old, i), string.byte(ARGV[1], i)\n"
	"  if x > y then return 0 end\n"
	"  if x < y then break end\n"
	"end\n"
	"if ARGV[2] ~= '' and old ~= '' then\n"
	"  local flags = string.byte(redis.call('GETRANGE', KEYS[1], 19, 19))\n"
	"  if flags and flags % 2 == 1 then return 0 end\n"
	"end\n"
	"return redis.call('UNLINK', KEYS[1])\n";

static const char discard_text[] =
	"if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end\n"
	"return redis.call('UNLINK', KEYS[1])\n";

static const char unlock_text[] =
	"if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
	"return redis.call('DEL', KEYS[1])\n";

static const char *const texts[LF_REDIS_CACHE_SCRIPTS] = {
	[LF_REDIS_CACHE_STORE] = store_text,
	[LF_REDIS_CACHE_RAISE] = raise_text,
	[LF_REDIS_CACHE_DROP] = drop_text,
	[LF_REDIS_CACHE_DISCARD] = discard_text,
	[LF_REDIS_CACHE_UNLOCK] = unlock_text,
};

static char shas[LF_REDIS_CACHE_SCRIPTS][LF_REDIS_SHA_CHARS + 1];
static const struct lf_redis_scripts scripts = { LF_REDIS_CACHE_SCRIPTS, texts, shas };

static void name_ours(void)
{
	lf_redis_scripts_name(&scripts);
}

const struct lf_redis_scripts *lf_redis_cache_scripts(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, name_ours);
	return &scripts;
}
