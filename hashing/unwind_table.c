#include "hashing/unwind_table.h"

#include <string.h>

#include "hashing/module.h"

/* DW_EH_PE_…: how a pointer is written. */
enum {
	FORM = 0x0f,
	FORM_ADDRESS = 0x00,
	FORM_U2 = 0x02,
	FORM_U4 = 0x03,
	FORM_U8 = 0x04,
	FORM_S2 = 0x0a,
	FORM_S4 = 0x0b,
	FORM_S8 = 0x0c,
	RELATIVE = 0x70,
	TO_NOTHING = 0x00,
	TO_ITSELF = 0x10,
	SORTED_TABLE = 0x3b, /* what linkers write: signed 4 bytes, relative to the table's header */
};

enum {
	HEADER_VERSION = 1,
	ENTRY_IS_LONG = -1,         /* 64-bit DWARF: nobody writes it */
	PROGRAM_BYTES_MAX = 65536,  /* those of real functions have a few hundred */
	AUGMENTATIONS_MAX = 8,
};

static bool take(struct lf_bytes *bytes, void *out, size_t len)
{
	if (bytes->bad || (size_t)(bytes->end - bytes->at) < len) {
		bytes->bad = true;
		memset(out, 0, len);
		return false;
	}
	memcpy(out, bytes->at, len);
	bytes->at += len;
	return true;
}

#define READER(name, type) \
	type name(struct lf_bytes *bytes) \
	{ \
		type value; \
\
		(void)take(bytes, &value, sizeof(value)); \
		return value; \
	}
READER(lf_bytes_u8, uint8_t)
READER(lf_bytes_u16, uint16_t)
READER(lf_bytes_u32, uint32_t)
READER(lf_bytes_u64, uint64_t)

/* Bits beyond the 64th are lost; *shift is how many were there. */
static uint64_t leb(struct lf_bytes *bytes, unsigned *shift)
{
	uint64_t value = 0;
	uint8_t byte;

	*shift = 0;
	do {
		byte = lf_bytes_u8(bytes);
		if (*shift < 64)
			value |= (uint64_t)(byte & 0x7f) << *shift;
		*shift += 7;
	} while (byte & 0x80);
	if (*shift < 64 && (byte & 0x40))
		*shift |= 1U << 31; /* the sign, for who asks */
	return value;
}

uint64_t lf_bytes_uleb(struct lf_bytes *bytes)
{
	unsigned shift;

	return leb(bytes, &shift);
}

int64_t lf_bytes_sleb(struct lf_bytes *bytes)
{
	unsigned shift;
	uint64_t value = leb(bytes, &shift);

	if (shift & 1U << 31)
		value |= ~UINT64_C(0) << (shift & 63);
	return (int64_t)value;
}

struct lf_bytes lf_bytes_take(struct lf_bytes *bytes, uint64_t len)
{
	struct lf_bytes part = *bytes;

	if (bytes->bad || len > (uint64_t)(bytes->end - bytes->at)) {
		bytes->bad = true;
		part.end = part.at;
		return part;
	}
	part.end = bytes->at = part.at + len;
	return part;
}

/* What the loader mapped of the file from this address on. */
static bool mapped_from(const struct lf_module *module, uintptr_t address, uint32_t flags,
			struct lf_bytes *out)
{
	uint64_t at = address - module->base;
	const Elf64_Phdr *segment = lf_module_segment(module, at);

	if (!segment || (segment->p_flags & flags) != flags ||
	    at - segment->p_vaddr >= segment->p_filesz)
		return false;
	out->at = (const uint8_t *)address;
	out->end = out->at + (segment->p_filesz - (at - segment->p_vaddr));
	out->bad = false;
	return true;
}

static bool find_header(const struct lf_module *module, struct lf_bytes *out)
{
	const Elf64_Phdr *end = module->headers + module->header_count;

	for (const Elf64_Phdr *header = module->headers; header < end; header++) {
		if (header->p_type == PT_GNU_EH_FRAME)
			return mapped_from(module, module->base + header->p_vaddr, PF_R, out);
	}
	return false;
}

static uintptr_t read_pointer(struct lf_bytes *bytes, uint8_t encoding)
{
	uintptr_t from = (uintptr_t)bytes->at, value = 0;

	switch (encoding & FORM) {
	case FORM_ADDRESS:
	case FORM_U8:
	case FORM_S8:
		value = lf_bytes_u64(bytes);
		break;
	case FORM_U2:
		value = lf_bytes_u16(bytes);
		break;
	case FORM_S2:
		value = (uintptr_t)(intptr_t)(int16_t)lf_bytes_u16(bytes);
		break;
	case FORM_U4:
		value = lf_bytes_u32(bytes);
		break;
	case FORM_S4:
		value = (uintptr_t)(intptr_t)(int32_t)lf_bytes_u32(bytes);
		break;
	default:
		bytes->bad = true;
	}
	if ((encoding & RELATIVE) == TO_ITSELF)
		value += from;
	else if ((encoding & RELATIVE) != TO_NOTHING)
		bytes->bad = true;
	return value;
}

struct row {
	int32_t code, entry; /* relative to the header */
};

static struct row row_of(const uint8_t *rows, size_t i)
{
	struct row row;

	memcpy(&row, rows + i * sizeof(row), sizeof(row));
	return row;
}

/* The table's row of the last function that begins at or before the address: its entry. */
static bool search(struct lf_bytes header, uintptr_t address, uintptr_t *entry)
{
	uintptr_t base = (uintptr_t)header.at;
	uint8_t version = lf_bytes_u8(&header), section_encoding = lf_bytes_u8(&header);
	uint8_t count_encoding = lf_bytes_u8(&header), row_encoding = lf_bytes_u8(&header);
	size_t count, low = 0, high;

	(void)read_pointer(&header, section_encoding);
	count = read_pointer(&header, count_encoding);
	if (header.bad || version != HEADER_VERSION || row_encoding != SORTED_TABLE ||
	    count > (size_t)(header.end - header.at) / sizeof(struct row))
		return false;
	for (high = count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (base + (uintptr_t)(intptr_t)row_of(header.at, middle).code <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	*entry = base + (uintptr_t)(intptr_t)row_of(header.at, low - 1).entry;
	return true;
}

/* The bytes of an entry, behind its length. */
static bool open_entry(const struct lf_module *module, uintptr_t at, struct lf_bytes *out)
{
	struct lf_bytes bytes;
	uint32_t len;

	if (!mapped_from(module, at, PF_R, &bytes))
		return false;
	len = lf_bytes_u32(&bytes);
	if (len == (uint32_t)ENTRY_IS_LONG || len > PROGRAM_BYTES_MAX)
		return false;
	*out = lf_bytes_take(&bytes, len);
	return !bytes.bad;
}

/* What functions have in common; *encoding is how their entries write pointers. */
static bool read_common(const struct lf_module *module, uintptr_t at, struct lf_unwind_entry *out,
			uint8_t *encoding)
{
	struct lf_bytes bytes, data;
	uint8_t kinds[AUGMENTATIONS_MAX], version, kind;
	size_t count = 0;

	if (!open_entry(module, at, &bytes) || lf_bytes_u32(&bytes) != 0)
		return false;
	version = lf_bytes_u8(&bytes);
	while ((kind = lf_bytes_u8(&bytes)) && count < AUGMENTATIONS_MAX)
		kinds[count++] = kind;
	if (kind || count == 0 || kinds[0] != 'z' || (version != 1 && version != 3))
		return false;
	out->code_unit = lf_bytes_uleb(&bytes);
	out->data_unit = lf_bytes_sleb(&bytes);
	out->return_register = version == 1 ? lf_bytes_u8(&bytes) : lf_bytes_uleb(&bytes);
	data = lf_bytes_take(&bytes, lf_bytes_uleb(&bytes));
	*encoding = FORM_ADDRESS;
	for (size_t i = 1; i < count; i++) {
		if (kinds[i] == 'R')
			*encoding = lf_bytes_u8(&data);
		else if (kinds[i] == 'P')
			(void)read_pointer(&data, lf_bytes_u8(&data) & FORM);
		else if (kinds[i] == 'L')
			(void)lf_bytes_u8(&data);
		else if (kinds[i] != 'B') /* 'B': return addresses are signed */
			return false;     /* 'S': a signal frame */
	}
	out->first = bytes;
	return !bytes.bad && !data.bad;
}

/* The function that an entry is about. */
static bool read_code(const struct lf_module *module, struct lf_bytes *bytes, uint8_t encoding,
		      uintptr_t address, struct lf_unwind_entry *out)
{
	uintptr_t start = read_pointer(bytes, encoding);
	uintptr_t len = read_pointer(bytes, encoding & FORM);
	struct lf_bytes code;

	/* An absolute pointer is an address of the file, unless the loader relocated it. */
	if (bytes->bad || address - start >= len || !mapped_from(module, start, PF_R | PF_X, &code))
		return false;
	out->code = code.at;
	out->code_len = (size_t)(code.end - code.at) < len ? (size_t)(code.end - code.at) : len;
	return address - start < out->code_len;
}

bool lf_unwind_find(uintptr_t address, struct lf_unwind_entry *out)
{
	struct lf_module module;
	struct lf_bytes header, bytes;
	uint8_t encoding;
	uintptr_t entry, common;

	if (!lf_module_find((const void *)address, &module) || !find_header(&module, &header) ||
	    !search(header, address, &entry) || !open_entry(&module, entry, &bytes))
		return false;
	common = (uintptr_t)bytes.at; /* which the distance is counted from */
	common -= lf_bytes_u32(&bytes);
	if (bytes.bad || !read_common(&module, common, out, &encoding) ||
	    !read_code(&module, &bytes, encoding, address, out))
		return false;
	(void)lf_bytes_take(&bytes, lf_bytes_uleb(&bytes));
	out->rest = bytes;
	return !bytes.bad;
}
