#include "sinks/redis/script.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

/* The first nine names are the identity, written once; from `enabled` on they are the flags.  Their
 * order is that of the field table in fields.c. */
static const char merge_text[] =
	"local names = {'hash', 'namespace', 'method', 'messageTemplate', 'templateKind', 'topFrame',\n"
	"  'sourceFile', 'sourceLine', 'family', 'enabled', 'persistToCache', 'persistToDb', 'tags',\n"
	"  'policy', 'flagsVersion', 'flagsWriter'}\n"
	"local outcomes = {'countPassed', 'countMuted', 'countSampled', 'countLimited', 'countFolded'}\n"
	"local FLAGS, VERSION, WRITER, TIMES, COUNTS, SHARES = 10, 15, 16, 16, 18, 23\n"
	"local ARGS, ARG_SHARES = 5, 5 + #names\n"
	"local key, mode = KEYS[1], ARGV[2]\n"
	"local set, told = {}, 0\n"
	"local function put(field, value) set[#set + 1] = field; set[#set + 1] = value end\n"

	/* Numbers: digits without leading zeros compare by length, then digit by digit. */
	"local function digits(v) return v and string.match(v, '^%d+$') and\n"
	"  (string.match(v, '^0*(%d+)$') or '0') or nil end\n"
	"local function less(a, b) if #a ~= #b then return #a < #b end return a < b end\n"
	"local function bytes_less(a, b)\n"
	"  for i = 1, math.min(#a, #b) do\n"
	"    local x, y = string.byte(a, i), string.byte(b, i)\n"
	"    if x ~= y then return x < y end\n"
	"  end\n"
	"  return #a < #b\n"
	"end\n"
	"local high, low = {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}\n"
	"local function add(i, v, sign)\n"
	"  if #v > 12 then high[i] = high[i] + sign * tonumber(string.sub(v, 1, -13)) end\n"
	"  low[i] = low[i] + sign * tonumber(string.sub(v, -12))\n"
	"end\n"
	"local function text(h, l)\n"
	"  h = h + math.floor(l / 1e12); l = l % 1e12\n"
	"  if h > 0 then return string.format('%.0f%012.0f', h, l) end\n"
	"  return string.format('%.0f', l)\n"
	"end\n"
	"local function parts(v)\n"
	"  local found = {string.match(v, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')}\n"
	"  for i = 1, #found do found[i] = digits(found[i]) end\n"
	"  return #found == 5 and found or nil\n"
	"end\n"
	/* What a writer counted so far; a total alone is taken for passed, and what is no number for
	 * nothing: the second result says so. */
	"local function share(o, n)\n"
	"  local found = o and parts(o)\n"
	"  if found then return found, true end\n"
	"  local total = digits(n)\n"
	"  return {total or '0', '0', '0', '0', '0'}, not o and (total or not n)\n"
	"end\n"

	"local ask = {}\n"
	"for i, name in ipairs(names) do ask[i] = name end\n"
	"ask[TIMES + 1] = 'firstSeenAt'; ask[TIMES + 2] = 'lastSeenAt'\n"
	"for i, name in ipairs(outcomes) do ask[COUNTS + i] = name end\n"
	"for i = ARG_SHARES + 1, #ARGV, 2 do\n"
	"  ask[#ask + 1] = 'o:' .. ARGV[i]; ask[#ask + 1] = 'n:' .. ARGV[i]\n"
	"end\n"
	"local stored = redis.pcall('HMGET', key, unpack(ask))\n"
	"if stored.err then\n"
	/* Nothing but an entry has a use under its key: what somebody put there by mistake gives way. */
	"  if not string.find(stored.err, 'WRONGTYPE', 1, true) then return stored end\n"
	"  redis.call('DEL', key)\n"
	"  for i = 1, #ask do stored[i] = false end\n"
	"end\n"

	/* Flags: as a whole where the pair is lower; what is missing is filled in in any case. */
	"local version, given = digits(stored[VERSION]), digits(ARGV[ARGS + VERSION]) or '0'\n"
	"local older = not version or less(version, given) or version == given and\n"
	"  bytes_less(stored[WRITER] or '', ARGV[ARGS + WRITER])\n"
	"local all = older and string.find(mode, 'f', 1, true)\n"
	"for i = 1, #names do\n"
	"  local value = ARGV[ARGS + i]\n"
	"  if i >= FLAGS and all then\n"
	"    put(names[i], value)\n"
	"  elseif not stored[i] and value ~= '' then\n"
	"    put(names[i], value)\n"
	"  end\n"
	"end\n"
	"if all or not stored[VERSION] and given ~= '0' then told = 1 end\n"

	"local function when(i, earlier)\n"
	"  local old, new = stored[TIMES + i], ARGV[3 + i]\n"
	"  local known = old and string.match(old, '^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$')\n"
	"  if new == '' or known and (new == old or (new < old) ~= earlier) then return end\n"
	"  put(ask[TIMES + i], new)\n"
	"end\n"

	/* Counts: each outcome of a share by maximum, the entry's grow by the difference.  Where a number is
	 * missing or is none, they are summed up anew from all shares. */
	"local function counts()\n"
	"  local sound, mine = true, {}\n"
	"  for i = 1, 5 do\n"
	"    local v = digits(stored[COUNTS + i])\n"
	"    if v then add(i, v, 1) else sound = false end\n"
	"  end\n"
	"  for i = ARG_SHARES + 1, #ARGV, 2 do\n"
	"    local at = SHARES + i - ARG_SHARES\n"
	"    local old, good = share(stored[at], stored[at + 1])\n"
	/* What nobody can read any more is replaced by what its writer says. */
	"    if not good then old = {'0', '0', '0', '0', '0'} end\n"
	"    local new, changed = parts(ARGV[i + 1]), not good or not stored[at]\n"
	"    sound = sound and good\n"
	"    local sum_h, sum_l = 0, 0\n"
	"    for j = 1, 5 do\n"
	"      if less(old[j], new[j]) then\n"
	"        changed = true; add(j, new[j], 1); add(j, old[j], -1)\n"
	"      else new[j] = old[j] end\n"
	"      if #new[j] > 12 then sum_h = sum_h + tonumber(string.sub(new[j], 1, -13)) end\n"
	"      sum_l = sum_l + tonumber(string.sub(new[j], -12))\n"
	"    end\n"
	"    mine['o:' .. ARGV[i]] = new\n"
	"    if changed then\n"
	"      put('o:' .. ARGV[i], table.concat(new, ' ')); put('n:' .. ARGV[i], text(sum_h, sum_l))\n"
	"    end\n"
	"  end\n"
	"  if not sound then\n"
	"    local there, fields = {}, redis.call('HGETALL', key)\n"
	"    for i = 1, #fields, 2 do there[fields[i]] = fields[i + 1] end\n"
	"    for field, v in pairs(there) do\n"
	"      local kind, who = string.match(field, '^([no]):(.*)$')\n"
	"      local name = kind and 'o:' .. who\n"
	"      if name and not mine[name] then mine[name] = share(there[name], there['n:' .. who]) end\n"
	"    end\n"
	"    high, low = {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}\n"
	"    for _, values in pairs(mine) do for j = 1, 5 do add(j, values[j], 1) end end\n"
	"  end\n"
	"  local sum_h, sum_l = 0, 0\n"
	"  for i = 1, 5 do\n"
	"    local v = text(high[i], low[i])\n"
	"    if v ~= stored[COUNTS + i] then put(outcomes[i], v) end\n"
	"    sum_h = sum_h + high[i]; sum_l = sum_l + low[i]\n"
	"  end\n"
	"  put('countTotal', text(sum_h, sum_l))\n"
	"end\n"
	"if not string.find(mode, 'z', 1, true) then when(1, true); when(2, false); counts() end\n"

	"if #set > 0 then redis.call('HSET', key, unpack(set)) end\n"
	"redis.call('PEXPIRE', key, ARGV[1])\n"
	/* Without the permission to publish, others find the change when they read again. */
	"if told == 1 then redis.pcall('PUBLISH', ARGV[3], ARGV[ARGS + 1]) end\n"
	"return told\n";

static const char evict_text[] =
	"local mine = {}\n"
	"for i = 1, #ARGV do mine['n:' .. ARGV[i]] = true; mine['o:' .. ARGV[i]] = true end\n"
	"local fields = redis.pcall('HKEYS', KEYS[1])\n"
	/* What somebody put there by mistake is nobody's count. */
	"if fields.err and not string.find(fields.err, 'WRONGTYPE', 1, true) then return fields end\n"
	"for i = 1, #fields do\n"
	"  if string.find(fields[i], '^[no]:') and not mine[fields[i]] then return 0 end\n"
	"end\n"
	"return redis.call('UNLINK', KEYS[1])\n";

static const char raise_text[] =
	"local old, new = redis.call('GET', KEYS[1]), ARGV[1]\n"
	"if old and string.match(old, '^%d+$') and (#old > #new or #old == #new and old > new) then\n"
	"  new = old\n"
	"end\n"
	"redis.call('SET', KEYS[1], new, 'PX', ARGV[2])\n"
	"return 1\n";

static const char *const texts[LF_REDIS_SCRIPTS] = {
	[LF_REDIS_MERGE] = merge_text,
	[LF_REDIS_EVICT] = evict_text,
	[LF_REDIS_RAISE] = raise_text,
};

static char shas[LF_REDIS_SCRIPTS][LF_REDIS_SHA_CHARS + 1];
static const struct lf_redis_scripts scripts = { LF_REDIS_SCRIPTS, texts, shas };

void lf_redis_scripts_name(const struct lf_redis_scripts *set)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < set->count; i++) {
		unsigned char raw[EVP_MAX_MD_SIZE] = { 0 };

		/* Where SHA-1 is forbidden the name stays wrong, and the first call says that it is not known. */
		(void)EVP_Digest(set->text[i], strlen(set->text[i]), raw, NULL, EVP_sha1(), NULL);
		for (int j = 0; j < LF_REDIS_SHA_CHARS; j++)
			set->sha[i][j] = digits[raw[j / 2] >> (j % 2 ? 0 : 4) & 15];
	}
}

static void name_ours(void)
{
	lf_redis_scripts_name(&scripts);
}

const struct lf_redis_scripts *lf_redis_sink_scripts(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, name_ours);
	return &scripts;
}

const char *lf_redis_script_sha(enum lf_redis_script script)
{
	return lf_redis_sink_scripts()->sha[script];
}
