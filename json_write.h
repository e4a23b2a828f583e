/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON as text, value after value, without a tree: for lines of which there are
 * many.  The bytes are those that cJSON and text_json would make.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
	char *text; /* ends with NUL; NULL while nothing was written */
	size_t len, room;
	bool mute; /* what is written is dropped */
};

#define JSON_WRITER_NONE ((struct json_writer){ 0 })

/*
 * Each adds a value: to an object under `key`, which is a plain word of ours;
 * to an array, or as the outermost one, with key NULL.
 */
void json_write_open(struct json_writer *w, const char *key, char bracket);
void json_write_close(struct json_writer *w, char bracket);
/* Any bytes, not NULL: NUL and invalid UTF-8 become U+FFFD, hidden characters \uXXXX. */
void json_write_bytes(struct json_writer *w, const char *key, const char *bytes,
		      size_t len);
void json_write_string(struct json_writer *w, const char *key, const char *s);
void json_write_number(struct json_writer *w, const char *key, uint64_t value);
void json_write_bool(struct json_writer *w, const char *key, bool value);

/* What is written from here on replaces it; the memory stays. */
void json_write_again(struct json_writer *w);
/* What is written from here on is dropped, until it is begun again. */
void json_write_mute(struct json_writer *w);
void json_write_free(struct json_writer *w);
