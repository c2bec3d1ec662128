/* mask/1: what is variable in a line of text, by its shape alone, becomes <*>.
 *
 *     user 17 logged in                          user <*> logged in
 *     10:15:32 sent 1396 bytes (1.36 KB)         <*> sent <*>
 *     {"level":"info","port":8080}               {"level":"info","port":<*>}
 *     could not open file: No such file          (unchanged)
 *
 * The masked text names the entry on every host, so these rules are a contract: whoever follows
 * them gets the same bytes, and a change is a new version, mask/2.  Known answers are in
 * tests/vectors/mask1.jsonl, a second implementation to read beside the rules in mask1.py there.
 * Where a rule could take a word of the message for a variable, it does not: two entries that
 * should be one can be united later, what was thrown away is gone.
 *
 * Bytes.  Blank: space, tab.  Ending: blank, 0x00-0x1f, 0x7f and , ; : = ( ) [ ] { } < > " ' | `
 * Word: ASCII letter or digit, _ and 0x80-0xff.  Sign: + -  Mark: ! # $ % & * ^ + - . ~ @ ?
 * Hex: 0-9 a-f A-F.  Behind the last byte and before the first there is nothing, which counts as
 * ending, and as no other of these.
 *
 * A. The text that is masked
 *
 * A1. Of a line over 4096 bytes the first 4096 stay, or less where that would cut a character: as
 *     long as the first byte that is cut off is 0x80-0xbf, one byte more is, up to three.
 * A2. A line that holds ESC, NUL, or is not UTF-8 is cleaned.  Escape sequences are dropped:
 *       ESC [ bytes 0x30-0x3f, bytes 0x20-0x2f, one of 0x40-0x7e; the last may be missing;
 *       ESC and one of ] P X ^ _ up to and with BEL or ESC \, or up to the end of the line;
 *       ESC bytes 0x20-0x2f, one of 0x30-0x7e; both may be missing.
 *     Of what is left the first 1344 bytes are escaped as hashing/utf8.h says, again to 1344 bytes.
 * A3. Blanks and CRs at the end and blanks at the start are dropped.
 * A4. \xHH with two of 0-9 a-f is an escape, whoever wrote it.  It stands for a letter: its digits do
 *     not count in D6, its backslash neither in D2 nor in D7.
 *
 * B. From left to right
 *
 * B1. A run is the longest sequence of bytes that are not ending.  Its core is the run without the
 *     . ! ? at its end.  Each run is judged by D.  If it is variable, a placeholder is written for the
 *     text from its first byte to where the rule says, and reading goes on there.  Else the run is
 *     written as it is.
 * B2. One blank or several are written as one space.
 * B3. " ' ` are treated by E, other ending bytes are written as they are, but:
 *       < at the start of the literal text <*>: the three bytes become a placeholder.
 *       < before a digit, at the start or behind a blank or = is dropped ("<1 sec"), unless the run
 *         behind it is followed by >.
 *       : with another : behind it and an ending byte before it: what is an address there (F)
 *         becomes a placeholder.
 *       ) and ] by C1 and C4.
 * B4. Of equal bytes in a row in the output that are marks or =, the fourth and later are left out
 *     (rulers and progress bars have any length).
 * B5. Masking ends with the text, when the output has 4096 bytes, or when a placeholder does not
 *     fit.  A run that does not fit is cut between two characters.  Then a space at the end goes.
 *
 * C. Writing a placeholder.  The joint is the end in the output of the last placeholder written.
 *
 * C1. If the output ends with "[ " or "( ", the space is taken back (a number with a field width).
 *     So is a space that is all that stands behind the joint when a ) or ] is read.
 * C2. If between joint and end there is nothing, or a comma, a colon, a space, a comma and a space,
 *     a minus between two spaces, or a comma or a comma and a space between two " or between two ',
 *     the output is cut at the joint, and the new placeholder is the old one: a list is one.
 * C3. Else <*> is written.  If " (" was all that stood between the joint before and this one, this
 *     placeholder is bracketed and remembers the joint before; else none is bracketed any more.
 * C4. A ) directly behind a bracketed placeholder is not written: the output is cut at the joint it
 *     remembers, which is the joint again, and nothing is bracketed: "<*> (<*>)" is <*>.  A ) when
 *     just " (" stands behind the joint is not written either, and the output is cut at the joint:
 *     "<*> ()" is <*>.
 *
 * D. Variable runs.  The first rule that holds decides; an empty core is not variable.
 *
 * With a : behind the run:
 * D1. URL: "://" follows, and the run is letters, digits, + - . and starts with a letter.  Ends
 *     before the next byte 0x00-0x20, 0x7f or one of " ' < > ( ) [ ] { } | `, less any of . , ; : ! ?
 *     at its end; but what is in brackets right behind //, [ to ] without blank, [ and ] between,
 *     belongs to it (the address of a host).
 * D2. C:\dir: the run is one letter, and a backslash that starts no escape follows.  Ends
 *     with the core of the run behind the colon.
 * D3. host.tld:80, file.c:12: a digit follows, and the run ends with a word byte, a dot and one to
 *     five of a-z.  Ends with the run.
 * D4. The run is hex only, and an address (F) starts with it.  Ends with the address.
 * Else:
 * D5. The run starts with / and its core holds ?: ends as a URL does.
 * Else with the core, if one of these holds (D6-D12), or D13-D15:
 * D6. The run holds a digit.
 * D7. A path: the core starts with / and no < stands before it; starts with ./ or ../ and has three
 *     bytes; has two /; or has a / and a dot as in D8.  Or has two backslashes.
 * D8. The core has two dots that stand each between two word bytes, and does not end with Exception
 *     or Error (the kind of an error is part of the message).
 * D9. The core starts with ~ and is longer.
 * D10. The core has an @ that is neither its first nor its last byte.
 * D11. The core has eight bytes or more, all of a-f or all of A-F.
 * D12. The core starts with U+2018 or U+201C, ends with U+2019 or U+201D to match, and is longer.
 * D13. Value of key=value: = stands before the run, and before that a byte that is not ending, or
 *      ] ) or >.  Except: a constant value (E4) and the value of a message key (E5).
 * D14. Date: the core is the English name of a month, or its first three letters, case as in "May",
 *      and is followed by blanks and a number (one to four digits without a word byte behind them),
 *      or preceded by blanks and one or two digits before which stands an ending byte.  Or the run
 *      is a weekday's name, likewise, with or without one comma behind it, then blanks, then a
 *      number or the name of a month without a word byte behind it.
 * D15. Time zone, after blanks before which stands a digit: the core is AM, PM, UTC, GMT, EST, EDT,
 *      CST, CDT, MST, MDT, PST, PDT, WET, CET, CEST, EET, EEST, BST, MSK, IST, HKT, JST, KST, AEST,
 *      AEDT, NZST or NZDT.
 *
 * D16. Number with unit: a variable run of digits, dots and signs only that ends where its
 *      placeholder ends takes blanks and a unit behind it along.  A unit is the core of a run that
 *      starts with a letter and has neither = nor ( behind it, without regard to case:
 *        b bit bits byte bytes bps   celsius fahrenheit   fps rpm percent   km mm
 *        k kb kib kbit kbps kbyte kbytes kilobyte kilobytes, and with m for k (mega-)
 *        g gb gib gbit gbps gigabyte gigabytes   tb tib terabyte terabytes   pb pib
 *        hz khz mhz ghz hertz
 *        ns nsec nsecs nanos nanosecond nanoseconds   us usec usecs micros microsecond microseconds
 *        ms msec msecs millis millisecond milliseconds   s sec secs second seconds
 *        min mins minute minutes   h hr hrs hour hours   d day days   w week weeks   month months
 *        year years
 *      or two of these with a / between them.
 *
 * E. Quotes: " ' `
 *
 * E1. A " inside an open quotation (E3) is written and ends it.  A quote behind <*> or a byte that
 *     is not ending is written, that is all.
 * E2. Else it opens a quoted word if the next such quote (for ` also ') comes before any byte
 *     0x00-0x20 or 0x7f and has neither <*> nor a word byte behind it.  If the text between is a
 *     value, a placeholder is written for it, between the two quotes; reading goes on behind the
 *     second.
 * E3. A quote with no quoted word, or with one that is no value, is written, and reading goes on
 *     behind it; a " then starts an open quotation.
 *     A quoted word is no value when it is a key: the quote is " or ', the next byte but blanks is a
 *     : and the last byte but blanks before it is { or , or nothing.  Then the joint is forgotten,
 *     as if no placeholder had been written yet: a list of values does not go on in the next key.
 *     Otherwise, if it has a key, it is a value unless it is constant (E4) or the key is a message
 *     key (E5).  It has one when = stands before it as in D13, before which the key ends; or when the
 *     last byte but blanks before it is a : and the last but blanks before that is " or ', before
 *     which the key ends.
 *     Without a key it is a value if it holds a word byte.
 * E4. Constant: of a-z _ + - only (also nothing at all); or without ASCII letter and non-ASCII byte;
 *     or one of True False TRUE FALSE None NULL Null Yes No YES NO On Off ON OFF.  In D13 it is the
 *     core that is looked at.
 * E5. Message keys: msg message text log event error err reason level lvl severity, before which
 *     stands an ending byte.
 *
 * F. An address is, as long as can be: hex groups of one to four digits, joined by : or ::, before
 *    the first and behind the last of which :: may stand.  Either it has no :: and 6 to 20 groups;
 *    or one ::, at most 7 groups, and a digit 0-9.  A % or / behind it, or a dot with a digit behind
 *    that, takes what follows along, up to the end of the core of the run that starts there; another
 *    word byte or a sign behind it, and it is none.
 *    Also :: alone, if nothing, a blank, [ or ( stands before and nothing, a blank, ] or ) behind it.
 */
#ifndef LOGFOLD_HASHING_MASK_H
#define LOGFOLD_HASHING_MASK_H

#include <stdbool.h>

#include "logfold/entry.h"

/* Masks one line, which is given without its newline.  Writes at most LF_TEMPLATE_MAX bytes, valid
 * UTF-8 without NUL, and returns how many; what stands in `out` behind them means nothing.  `hash`
 * receives a 64-bit hash of what was written, for table look-ups within this process; it is no part
 * of the contract and may differ between machines.
 *
 * Takes time proportional to the line, no heap, no lock, and below 512 bytes of stack; keeps no
 * state and leaves errno alone, so that it may run in any thread and in a signal handler.  `out`
 * may not overlap the line.  A line that another thread changes meanwhile may be masked wrongly,
 * but nothing outside of the line and `out` is touched. */
size_t lf_mask(struct lf_text line, char out[LF_TEMPLATE_MAX], uint64_t *hash);

/* Lines that are masked alike, told in a fraction of the time: those that differ in digits alone.  No rule
 * asks which digit one is, and none is ever written but in an escape (A4) and where text is cleaned (A2);
 * so what lf_mask() makes of a line without those, it makes of the same line with a 0 for each digit.
 *
 * Writes that one, as long as the line, with a hash of it as above, and returns true; false for a line
 * that may be different: with a backslash, a byte that is not ASCII or is a control character before tab,
 * or ESC; or of another length than 16 to LF_MASK_ALIKE_MAX. */
enum { LF_MASK_ALIKE_MAX = 160 };
bool lf_mask_alike(struct lf_text line, char out[LF_MASK_ALIKE_MAX], uint64_t *hash);

#endif
