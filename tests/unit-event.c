/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "sample.h"
#include "tap.h"
#include "text.h"
#include "util.h"

static char dir[256];

static char *in_dir(const char *name)
{
	return path_join(dir, name);
}

/*** text.c ***/

static void test_utf8(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} rows[] = {
		{ "plain", 5, "plain" },
		{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" },
		{ "a\0b", 3,
		  "a\xef\xbf\xbd"
		  "b" },
		{ "\xff", 1, "\xef\xbf\xbd" },
		{ "\xc3", 1, "\xef\xbf\xbd" },
		{ "\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe2\x82x", 3, "\xef\xbf\xbdx" },
		{ "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80" },
		{ "\xf4\x90\x80\x80", 4,
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "", 0, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *got = text_utf8(rows[i].bytes, rows[i].len);

		ok(strcmp(got, rows[i].want) == 0, "text_utf8 row %zu", i);
	}
}

static void test_shell(void)
{
	static const struct {
		const char *word, *want;
	} rows[] = {
		{ "/usr/bin/g++-12", "/usr/bin/g++-12" },
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "it's", "'it'\\''s'" },
		{ "$(x)\n~*", "'$(x)\n~*'" },
		{ "\xc3\xbc", "'\xc3\xbc'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *got = text_shell(rows[i].word);

		ok(strcmp(got, rows[i].want) == 0, "text_shell row %zu: %s", i,
		   got);
	}
}

static void test_visible(void)
{
	static const struct {
		const char *text, *utf8, *ascii;
	} rows[] = {
		{ "plain\\", "plain\\", "plain\\" },
		{ "\033]0;x\a\n", "\\x1b]0;x\\x07\\x0a",
		  "\\x1b]0;x\\x07\\x0a" },
		{ "\x7f", "\\x7f", "\\x7f" },
		{ "\xc2\x9b"
		  "1m",
		  "\\u{9b}1m", "\\u{9b}1m" },
		{ "\x9b", "\\x9b", "\\x9b" },
		{ "\xe2\x80\xaegpj", "\\u{202e}gpj", "\\u{202e}gpj" },
		{ "\xe2\x81\xa6", "\\u{2066}", "\\u{2066}" },
		{ "\xe2\x80\x8b", "\\u{200b}", "\\u{200b}" },
		{ "\xc3\xbc", "\xc3\xbc", "\\u{fc}" },
		{ "\xf3\xa0\x80\x81", "\\u{e0001}", "\\u{e0001}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *utf8 = text_visible(rows[i].text, true);
		auto_free char *ascii = text_visible(rows[i].text, false);

		ok(strcmp(utf8, rows[i].utf8) == 0, "text_visible row %zu: %s",
		   i, utf8);
		ok(strcmp(ascii, rows[i].ascii) == 0, "in ASCII: %s", ascii);
	}
}

/* Unicode's list of what is shown as nothing, and what steers beside it: each
 * range's ends are hidden, their neighbours are not. */
static void test_hidden(void)
{
	static const uint32_t ranges[][2] = {
		{ 0x7f, 0x9f },       { 0xad, 0xad },
		{ 0x34f, 0x34f },     { 0x61c, 0x61c },
		{ 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },
		{ 0x180b, 0x180f },   { 0x200b, 0x200f },
		{ 0x2028, 0x202e },   { 0x2060, 0x206f },
		{ 0x3164, 0x3164 },   { 0xfe00, 0xfe0f },
		{ 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },
		{ 0xfff0, 0xfffb },   { 0x1bca0, 0x1bca3 },
		{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
	};
	uint32_t wrong = 0, cp = 0x20;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (; cp < ranges[i][0] && !wrong; cp++)
			wrong = text_is_hidden(cp) ? cp : 0;
		for (; cp <= ranges[i][1] && !wrong; cp++)
			wrong = text_is_hidden(cp) ? 0 : cp;
	}
	for (; cp <= 0x10ffff && !wrong; cp++)
		wrong = text_is_hidden(cp) ? cp : 0;
	ok(!wrong, "just what is not seen is hidden (U+%04X)", wrong);
}

static void test_json_text(void)
{
	auto_free char *got = text_json("\"\xc2\x9b \xff \x7f \xe2\x80\xa8 "
					"\xf3\xa0\x80\x81 \xc3\xbc\"\n");

	ok(strcmp(got, "\"\\u009b \xef\xbf\xbd \\u007f \\u2028 "
		       "\\udb40\\udc01 \xc3\xbc\"\n") == 0,
	   "text_json escapes what hides: %s", got);
}

/*** json_write.c ***/

/* The way through a tree. */
static char *by_tree(const char *key, const char *bytes, size_t len)
{
	auto_free char *clean = text_utf8(bytes, len);
	cJSON *tree = cJSON_CreateObject();
	auto_free char *json = NULL;

	cJSON_AddStringToObject(tree, key, clean);
	json = cJSON_PrintUnformatted(tree);
	cJSON_Delete(tree);
	return text_json(json);
}

static bool writes_same(const char *bytes, size_t len)
{
	struct json_writer w = JSON_WRITER_NONE;
	auto_free char *want = by_tree("k", bytes, len);
	bool same;

	json_write_open(&w, NULL, '{');
	json_write_bytes(&w, "k", bytes, len);
	json_write_close(&w, '}');
	same = strcmp(w.text, want) == 0 && strlen(w.text) == w.len;
	if (!same)
		printf("# %s in place of %s\n", w.text, want);
	json_write_free(&w);
	return same;
}

/* Every pair, and many of four bytes that any of these begins. */
static void test_write_strings(void)
{
	static const uint8_t starts[] = { 0,    '"',  '\\', 'a',  0x1b, 0x7f,
					  0xc2, 0xe2, 0xed, 0xf0, 0xf3, 0xff };
	unsigned long wrong = 0;

	for (unsigned int i = 0; i < 65536; i++) {
		char pair[] = { (char)(i >> 8), (char)i };

		wrong += !writes_same(pair, sizeof(pair));
	}
	for (size_t s = 0; s < ARRAY_SIZE(starts); s++)
		for (unsigned int i = 0; i < 65536; i++) {
			char four[] = { (char)starts[s], (char)(0x80 | i >> 10),
					(char)(0x80 | (i >> 4 & 0x3f)),
					(char)(i % 2 ? 'x'
						     : 0x80 | (i & 0xf) << 2) };

			wrong += !writes_same(four, sizeof(four));
		}
	ok(wrong == 0, "strings are as cJSON and text_json write them");
}

static void test_write_values(void)
{
	struct json_writer w = JSON_WRITER_NONE;

	json_write_open(&w, NULL, '{');
	json_write_string(&w, "bracket", "[{");
	json_write_number(&w, "most", UINT64_MAX);
	json_write_open(&w, "list", '[');
	json_write_number(&w, NULL, 0);
	json_write_bool(&w, NULL, false);
	json_write_open(&w, NULL, '{');
	json_write_close(&w, '}');
	json_write_string(&w, NULL, "");
	json_write_close(&w, ']');
	json_write_bool(&w, "end", true);
	json_write_close(&w, '}');
	ok(strcmp(w.text, "{\"bracket\":\"[{\",\"most\":18446744073709551615,"
			  "\"list\":[0,false,{},\"\"],\"end\":true}") == 0,
	   "values and their commas: %s", w.text);
	json_write_again(&w);
	json_write_number(&w, NULL, 7);
	ok(strcmp(w.text, "7") == 0, "once more from the beginning");
	json_write_free(&w);
}

/*** event.c ***/

static void test_write_mute(void)
{
	struct json_writer w = JSON_WRITER_NONE;

	json_write_mute(&w);
	json_write_open(&w, NULL, '{');
	json_write_string(&w, "k", "\x1b text");
	json_write_number(&w, "n", 7);
	json_write_bool(&w, "b", true);
	json_write_close(&w, '}');
	ok(w.len == 0 && w.text == NULL, "what nobody reads is not written");
	json_write_again(&w);
	json_write_number(&w, NULL, 7);
	ok(w.len == 1 && strcmp(w.text, "7") == 0, "the next one is");
	json_write_free(&w);
}

static void test_time(void)
{
	const struct timespec times[] = { { 0, 0 },
					  { 1767322984, 6 },
					  { 4102444799, 999999999 } };
	static const char *const want[] = { "1970-01-01T00:00:00.000000000Z",
					    "2026-01-02T03:03:04.000000006Z",
					    "2099-12-31T23:59:59.999999999Z" };
	char got[EVENT_TIME_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		event_time(&times[i], got);
		ok(strcmp(got, want[i]) == 0, "time %s", got);
	}
}

static void emit_field(struct event_log *log, const char *name, const char *key,
		       const char *bytes, size_t len)
{
	json_write_bytes(event_begin(log, name), key, bytes, len);
	event_end(log);
}

static void emit_first(struct event_log *log, const char *path, size_t len)
{
	json_write_bytes(event_begin_at(log, "exec", NULL, true), "path", path,
			 len);
	event_end(log);
}

static void emit_bare(struct event_log *log, const char *name)
{
	event_begin(log, name);
	event_end(log);
}

static char *slurp(const char *path, size_t *len)
{
	char *text = read_file(AT_FDCWD, path, 64 * 1024 * 1024, len);

	return text ? text : xstrdup("");
}

/* Lines that are one JSON object each, or -1. */
static int count_lines(const char *path)
{
	auto_free char *text = slurp(path, NULL);
	char *save = NULL;
	int n = 0;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		cJSON *json = cJSON_ParseWithOpts(line, NULL, true);

		if (!cJSON_IsObject(json))
			n = -100000;
		cJSON_Delete(json);
		n++;
	}
	return n;
}

/* Takes the chain out of each line of an audit log. */
static void unchain(char *text)
{
	char *to = text;

	for (char *line = text; *line;) {
		char *next = strchrnul(line, '\n');
		char *event = strstr(line, "\"ts\":");

		*to++ = '{';
		next += *next == '\n';
		memmove(to, event, (size_t)(next - event));
		to += next - event;
		line = next;
	}
	*to = '\0';
}

static void test_lines(void)
{
	auto_free char *audit = in_dir("state/deep/audit.jsonl");
	auto_free char *user = in_dir("user.jsonl");
	auto_free char *run = in_dir("run1.events.jsonl");
	auto_fd int dir_fd = open(dir, O_DIRECTORY | O_CLOEXEC);
	char run_id[] = "run1";
	struct workdir wd = { .runs_fd = dir_fd, .run_id = run_id };
	auto_free char *text = NULL, *same = NULL, *again = NULL;
	struct event_log log;
	struct stat st;
	cJSON *first;

	ok(event_open(&log, "run1", "label\x1b", audit, user, -1) == 0 &&
	       event_attach_run(&log, &wd) == 0,
	   "three sinks open");
	emit_field(&log, "start", "argv", "a\nb\xff\xc2\x9b\0c", 8);
	emit_bare(&log, "exit");
	event_close(&log);

	text = slurp(audit, NULL);
	same = slurp(user, NULL);
	again = slurp(run, NULL);
	ok(*text && strcmp(again, same) == 0, "files have the same lines");
	unchain(text);
	ok(strcmp(text, same) == 0, "and so has the audit log, unchained");
	ok(count_lines(audit) == 2, "two lines for two events");
	ok(stat(audit, &st) == 0 && (st.st_mode & 0777) == 0600,
	   "the audit log is private");
	ok(!strchr(text, '\x1b') && !strstr(text, "\xc2\x9b"),
	   "no raw control character");

	*strchr(text, '\n') = '\0';
	first = cJSON_Parse(text);
	ok(first && strncmp(text, "{\"ts\":\"20", 9) == 0, "ts first: %s",
	   text);
	ok(cJSON_GetObjectItem(first, "seq")->valueint == 1, "seq from 1");
	ok(strcmp(cJSON_GetObjectItem(first, "argv")->valuestring,
		  "a\nb\xef\xbf\xbd\xc2\x9b\xef\xbf\xbd"
		  "c") == 0,
	   "the field comes back");
	ok(strcmp(cJSON_GetObjectItem(first, "id")->valuestring, "label\x1b") ==
	       0,
	   "so does the label");
	cJSON_Delete(first);
	ok(event_open(&log, "run2", NULL, audit, NULL, -1) == 0 &&
	       event_attach_run(&log, &wd) != 0,
	   "events.jsonl of a run is made once");
	err_reset();
	event_close(&log);
	unlink(run);
}

static void test_long_line(void)
{
	auto_free char *audit = in_dir("long.jsonl");
	auto_free char *big = xcalloc(1, 300001);
	auto_free char *text = NULL;
	struct json_writer *line;
	struct event_log log;

	/* Each of these takes six bytes in JSON, and \xc3\xbc may not split. */
	memset(big, 0x01, 300000);
	ok(event_open(&log, "r", NULL, audit, NULL, -1) == 0, "log opens");
	emit_field(&log, "stdout", "data", big, 300000);
	for (size_t i = 0; i < 300000; i++)
		big[i] = i % 2 ? '\xbc' : '\xc3';
	emit_field(&log, "stdout", "data", big, 300000);
	line = event_begin(&log, "start");
	json_write_open(line, "argv", '[');
	for (int i = 0; i < 20000; i++)
		json_write_string(line, NULL, "word");
	json_write_close(line, ']');
	event_end(&log);
	event_close(&log);

	text = slurp(audit, NULL);
	ok(count_lines(audit) == 3, "three lines");
	ok(strstr(text, "bytes cut]") != NULL, "the cut is marked");
	ok(strstr(text, "\"event\":\"start\",\"cut\":true}") != NULL,
	   "too many fields: the bare event");
	ok(strstr(text, "\xef\xbf\xbd") == NULL, "no character is split");
	for (char *save = NULL, *l = strtok_r(text, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save))
		ok(strlen(l) < EVENT_LINE_MAX + AUDIT_PREFIX_MAX, "%zu bytes",
		   strlen(l));
}

/*** The user's sink ***/

static void make_pair(bool is_socket, int fds[2])
{
	if (is_socket)
		ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0,
		   "socket pair");
	else
		ok(pipe2(fds, O_CLOEXEC) == 0, "pipe");
	if (is_socket) { /* as a pipe: [0] is read, [1] written */
		int reader = fds[1];

		fds[1] = fds[0];
		fds[0] = reader;
	}
}

static bool is_whole(char *text, uint64_t *lines, uint64_t *dropped)
{
	char *save = NULL;
	bool whole = text[strlen(text) - 1] == '\n';

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		cJSON *json = cJSON_ParseWithOpts(line, NULL, true);
		cJSON *n = cJSON_GetObjectItem(json, "dropped");

		whole = whole && json;
		++*lines;
		if (n)
			*dropped += (uint64_t)n->valuedouble;
		cJSON_Delete(json);
	}
	return whole;
}

/* A reader that sleeps until it may read: nobody waits for it. */
static pid_t start_reader(const struct event_log *log, int from, int go[2])
{
	pid_t pid = fork();

	if (pid == 0) {
		auto_free char *path = in_dir("slow.jsonl");
		auto_free char *text = NULL;
		int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		size_t len;
		char c;

		close(log->user_fd);
		close(go[1]);
		if (read(go[0], &c, 1) < 0)
			_exit(1);
		text = read_fd(from, 16 * 1024 * 1024, &len);
		_exit(!text || write_all(out, text, len) != 0);
	}
	return pid;
}

/* What the reader got, of 200 events and the report of those dropped. */
static bool read_late(bool is_socket, uint64_t *lines, uint64_t *dropped)
{
	static char pad[20000];
	auto_free char *path = in_dir("slow.jsonl");
	auto_free char *text = NULL;
	struct event_log log;
	int fds[2], go[2], status;
	pid_t pid;

	make_pair(is_socket, fds);
	if (pipe2(go, O_CLOEXEC) != 0)
		return false;
	memset(pad, 'x', sizeof(pad));
	ok(event_open(&log, "r", NULL, NULL, NULL, fds[1]) == 0, "sink opens");
	close(fds[1]);
	pid = start_reader(&log, fds[0], go);
	close(fds[0]);
	close(go[0]);
	/* Whoever waited for the reader here would wait for ever. */
	for (int i = 0; i < 200; i++)
		emit_field(&log, "stdout", "data", pad, sizeof(pad));
	ok(log.dropped > 0 && log.n_backlog <= EVENT_BACKLOG_MAX + 20200,
	   "the backlog is bounded: %zu kept, %llu lines dropped",
	   log.n_backlog, (unsigned long long)log.dropped);
	close(go[1]);
	event_close(&log);
	waitpid(pid, &status, 0);
	text = slurp(path, NULL);
	*lines = *dropped = 0;
	return status == 0 && *text && is_whole(text, lines, dropped);
}

/*
 * event_close() leaves a reader that takes nothing for a second, which is what a
 * machine with too much to do makes of any reader: then once more.
 */
static void test_slow_reader(bool is_socket)
{
	uint64_t lines = 0, dropped = 0;
	bool whole = false;

	for (int i = 0; i < 20 && !(whole && dropped > 0); i++)
		whole = read_late(is_socket, &lines, &dropped);
	ok(whole, "all lines that came are whole");
	ok(dropped > 0 && lines + dropped == 201,
	   "%llu lines and %llu dropped make 200 and the report",
	   (unsigned long long)lines, (unsigned long long)dropped);
}

/* To the end nothing is read: the audit log has it all, and that it was so. */
static void test_deaf_reader(void)
{
	auto_free char *audit = in_dir("deaf.jsonl");
	auto_free char *text = NULL;
	struct event_log log;
	char pad[20000];
	uint64_t dropped;
	int fds[2];

	make_pair(false, fds);
	memset(pad, 'x', sizeof(pad));
	ok(event_open(&log, "r", NULL, audit, NULL, fds[1]) == 0, "sink opens");
	for (int i = 0; i < 200; i++)
		emit_field(&log, "stdout", "data", pad, sizeof(pad));
	dropped = log.dropped;
	event_close(&log);
	text = slurp(audit, NULL);
	ok(dropped > 0 && strstr(text, "\"dropped\":"),
	   "%llu lines that nobody read are told of in the audit log",
	   (unsigned long long)dropped);
	close(fds[0]);
	close(fds[1]);
}

static void test_gone_reader(void)
{
	auto_free char *audit = in_dir("gone.jsonl");
	struct event_log log;
	int fds[2];

	make_pair(false, fds);
	ok(event_open(&log, "r", NULL, audit, NULL, fds[1]) == 0, "opens");
	close(fds[0]);
	close(fds[1]);
	emit_bare(&log, "start");
	emit_bare(&log, "exit");
	ok(log.user_failed && !log.audit_failed, "a reader that left is left");
	event_close(&log);
	ok(count_lines(audit) == 2, "the audit log has both");
}

/*** Refusals ***/

static bool refused(const char *audit, const char *user, int fd,
		    const char *word)
{
	struct event_log log;
	bool is_refused = event_open(&log, "r", NULL, audit, user, fd) != 0 &&
			  err_get() && strstr(err_get()->message, word) &&
			  log.audit.fd < 0 && log.user_fd < 0;

	err_reset();
	return is_refused;
}

static void test_refusals(void)
{
	auto_free char *target = in_dir("target");
	auto_free char *link = in_dir("link.jsonl");
	auto_free char *fifo = in_dir("fifo");
	auto_free char *missing = in_dir("no/such/events.jsonl");
	auto_fd int read_only = open(dir, O_RDONLY | O_CLOEXEC);

	ok(symlink(target, link) == 0 && mkfifo(fifo, 0600) == 0, "set up");
	ok(refused(link, NULL, -1, "audit log"), "a link as the audit log");
	ok(refused(dir, NULL, -1, "audit log"), "a folder as the audit log");
	ok(refused(fifo, NULL, -1, "audit log"), "a fifo as the audit log");
	ok(access(target, F_OK) != 0, "nothing was made through the link");
	ok(refused(NULL, missing, -1, "events file"), "a missing folder");
	ok(refused(NULL, fifo, -1, "events file"), "a fifo nobody reads");
	ok(refused(NULL, NULL, read_only, "descriptor"), "a read-only fd");
	ok(refused(NULL, NULL, 987, "descriptor"), "a closed descriptor");
}

static void test_disk_full(void)
{
	struct event_log log;

	ok(event_open(&log, "r", NULL, NULL, "/dev/full", -1) == 0,
	   "/dev/full opens");
	emit_bare(&log, "start");
	ok(log.user_failed, "a full disk is seen");
	event_close(&log);
}

/*** Network events ***/

static void test_net(void)
{
	auto_free char *user = in_dir("net.jsonl");
	auto_free char *text = NULL;
	struct net_event hostile;
	struct event_log log;
	static const struct net_event events[] = {
		{ .kind = NET_EVENT_DNS,
		  .name = "api.test",
		  .detail = "A",
		  .addr = "198.18.0.2",
		  .rule = "api.test:443" },
		{ .kind = NET_EVENT_DNS,
		  .name = "evil.test",
		  .detail = "TXT",
		  .reason = "no rule names it" },
		{ .kind = NET_EVENT_CONNECT,
		  .connection = 1,
		  .name = "api.test",
		  .addr = "192.0.2.1",
		  .port = 443,
		  .protocol = "tcp",
		  .error = ECONNREFUSED },
		{ .kind = NET_EVENT_DENIED,
		  .addr = "192.0.2.9",
		  .port = 22,
		  .protocol = "tcp",
		  .reason = "no rule names it",
		  .remedy = "--allow 192.0.2.9:22" },
		{ .kind = NET_EVENT_CLOSE,
		  .connection = 1,
		  .name = "api.test",
		  .port = 443,
		  .bytes_out = 9007199254740993,
		  .bytes_in = 2 },
		{ .kind = NET_EVENT_LIMIT, .reason = "too many connections" },
	};
	static const char *const want[] = {
		"\"event\":\"dns\",\"name\":\"api.test\",\"type\":\"A\",",
		"\"verdict\":\"denied\",\"reason\":\"no rule names it\"}",
		"\"verdict\":\"allowed\",\"error\":\"Connection refused\"}",
		"\"event\":\"denied\",\"addr\":\"192.0.2.9\",\"port\":22,",
		"\"bytes_out\":9007199254740993,\"bytes_in\":2,",
		"\"event\":\"limit\",\"what\":\"network\",",
	};

	ok(event_open(&log, "r", NULL, NULL, user, -1) == 0, "opens");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		event_emit_net(&log, &events[i], false);
	memset(&hostile, 0xff, sizeof(hostile));
	event_emit_net(&log, &hostile, false); /* of no kind: ignored */
	hostile.kind = NET_EVENT_DENIED;
	event_emit_net(&log, &hostile, false); /* texts without an end */
	event_close(&log);

	text = slurp(user, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		ok(strstr(text, want[i]) != NULL, "has %s", want[i]);
	ok(count_lines(user) == 7, "seven whole lines, hostile one included");
}

/* While the flood goes on each sample tells of it once more. */
static void sample_for_a_year(struct event_log *log)
{
	static const char *const keys[] = { "cpu_ms", "memory", "pids" };
	const uint64_t year_ms = 366ULL * 24 * 3600 * 1000;

	for (uint64_t at = 100; at < year_ms; at += sampler_pause(at, 0)) {
		struct json_writer *e;

		emit_bare(log, "stdout");
		e = event_begin(log, "sample");
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			json_write_number(e, keys[i], UINT64_MAX);
		event_end(log);
	}
}

/* A payload that causes events in a loop must not fill the disk, and what there
 * is must not be too much to be read back. */
static void test_flood(void)
{
	auto_free char *audit = in_dir("flood");
	auto_free char *big = xcalloc(1, 60001);
	struct event_log log;
	size_t lines = EVENT_BYTES_MAX / 60000 + 100;
	auto_free char *text = NULL;
	uint64_t size;
	struct stat st;

	memset(big, 'x', 60000);
	if (event_open(&log, "run", NULL, audit, NULL, -1) < 0)
		return;
	for (size_t i = 0; i < lines; i++)
		emit_field(&log, "stdout", "text", big, 60000);
	ok(log.beyond > 50, "%llu lines are counted only",
	   (unsigned long long)log.beyond);
	emit_first(&log, "/bin/first", 10);
	event_tally(&log);
	ok(log.beyond == 0, "they are told before the end, when asked");
	event_tally(&log);
	for (size_t i = 0; i < lines; i++)
		emit_first(&log, big, 60000);
	sample_for_a_year(&log);
	emit_bare(&log, "exit");
	event_close(&log);
	size = stat(audit, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
	ok(size < EVENT_LOG_MAX, "the log ends where it should (%llu beyond)",
	   (unsigned long long)(size - EVENT_BYTES_MAX));
	text = read_file(AT_FDCWD, audit, EVENT_BYTES_MAX * 2, NULL);
	ok(text && strstr(text, "\"what\":\"events\"") &&
	       strstr(text, "\"event\":\"exit\""),
	   "it says so, and how the run ended");
	ok(text && strstr(text, "/bin/first"),
	   "what happened for the first time is told beyond it");
	unlink(audit);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *remove = NULL;

	signal(SIGPIPE, SIG_IGN);
	snprintf(dir, sizeof(dir), "%s/m9m-event.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;

	test_utf8();
	test_write_strings();
	test_write_values();
	test_write_mute();
	test_shell();
	test_visible();
	test_hidden();
	test_json_text();
	test_time();
	test_lines();
	test_long_line();
	test_slow_reader(false);
	test_slow_reader(true);
	test_deaf_reader();
	test_gone_reader();
	test_refusals();
	test_disk_full();
	test_net();
	test_flood();

	remove = xasprintf("rm -rf '%s'", dir);
	ok(system(remove) == 0, "nothing is left");
	return done();
}
