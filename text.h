/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bytes that came from inside the sandbox, made safe to record and to show.
 * Names, paths and messages are the payload's to choose: none of them may break
 * a line, steer a terminal or reorder what a reader sees.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_INVALID UINT32_MAX

/*
 * One code point of `len` > 0 bytes: *cp, or TEXT_INVALID for a sequence that
 * is not UTF-8.  Returns the number of bytes it takes, at least 1.
 */
size_t text_decode(const char *s, size_t len, uint32_t *cp);

/*
 * How many bytes at the end, 0 to 3, are the beginning of a sequence that the
 * next bytes may end: a reader waits for these with them.
 */
size_t text_begun(const char *s, size_t len);

/* Control characters (C0, DEL, C1), bidi controls, and what has no shape. */
bool text_is_hidden(uint32_t cp);

/* Valid UTF-8 of any bytes: NUL and invalid sequences become U+FFFD. */
char *text_utf8(const char *bytes, size_t len);

/* What stands for bytes that are not text. */
#define TEXT_REPLACEMENT "\xef\xbf\xbd"

/*
 * Printed JSON, with every invalid sequence replaced by U+FFFD and every hidden
 * character beyond ASCII escaped as \uXXXX: the same document, safe to `tail`.
 */
char *text_json(const char *json);

/* The escape of a character in JSON, of at most 12 bytes; where it ends. */
char *text_escape(char *to, uint32_t cp);

/*
 * For a terminal: hidden characters as \x1b or \u{202e}, bytes that are not
 * UTF-8 as \xff; everything beyond ASCII is escaped too unless `utf8`.
 */
char *text_visible(const char *s, bool utf8);

/* One word of a shell's, in single quotes unless it is plain; owned. */
char *text_shell(const char *s);

/* Columns of what text_visible returned, one for each code point. */
size_t text_width(const char *visible);
