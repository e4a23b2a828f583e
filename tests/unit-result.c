/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "summary.h"
#include "tap.h"
#include "text.h"

static char dir[256];

#define BIDI   "\xe2\x80\xae"
#define CSI_C1 "\xc2\x9b"

static const struct net_event connects[] = {
	{ .kind = NET_EVENT_DNS, .name = "api.anthropic.com", .rule = "x" },
	{ .kind = NET_EVENT_CONNECT,
	  .name = "api.anthropic.com",
	  .addr = "192.0.2.1",
	  .port = 443 },
	{ .kind = NET_EVENT_CONNECT,
	  .name = "api.anthropic.com",
	  .addr = "192.0.2.2",
	  .port = 443 },
	{ .kind = NET_EVENT_CLOSE,
	  .name = "api.anthropic.com",
	  .addr = "192.0.2.2",
	  .port = 443,
	  .bytes_out = 42183,
	  .bytes_in = 1153433 },
	{ .kind = NET_EVENT_CONNECT,
	  .addr = "2001:db8::1",
	  .port = 22,
	  .error = ECONNREFUSED },
	{ .kind = NET_EVENT_DNS,
	  .name = "registry.npmjs.org",
	  .reason = "no rule names it",
	  .remedy = "--allow registry.npmjs.org" },
	{ .kind = NET_EVENT_DNS,
	  .name = "registry.npmjs.org",
	  .reason = "no rule names it",
	  .remedy = "--allow registry.npmjs.org" },
	{ .kind = NET_EVENT_DENIED,
	  .addr = "169.254.169.254",
	  .port = 80,
	  .reason = "no rule names it",
	  .remedy = "--allow 169.254.169.254:80" },
	{ .kind = NET_EVENT_LIMIT, .reason = "1024 connections at once" },
	{ .kind = NET_EVENT_LIMIT, .reason = "1024 connections at once" },
};

static struct outcome sample(void)
{
	struct outcome o = OUTCOME_NONE;

	o.started = true;
	o.payload_code = 0;
	o.started_at = xstrdup("2026-01-02T03:04:05.000000006Z");
	o.duration_ms = 12345;
	o.cpu_user_ms = 3900;
	o.cpu_sys_ms = 219;
	o.memory_peak = 641728512;
	o.pids_peak = 37;
	o.stdout_bytes = 12000;
	for (size_t i = 0; i < ARRAY_SIZE(connects); i++)
		outcome_add_net(&o, &connects[i]);
	ok(outcome_add_command(&o, "/usr/bin/git", "diff --stat HEAD~1"),
	   "the first execution of a program is told from");
	ok(!outcome_add_command(&o, "/usr/bin/git", "log"), "the next one");
	outcome_add_command(&o, "/usr/bin/rg", NULL);
	o.artifact.path = xstrdup(
	    "/home/u/.local/state/m9m-sandbox/artifacts/run.tar.zst");
	memset(o.artifact.sha256, 'a', SHA256_HEX - 1);
	o.artifact.bytes = 49254;
	o.artifact.files = 12;
	strv_push(&o.layers, xstrdup("user-namespace"));
	strv_push(&o.layers, xstrdup(OUTCOME_LAYER_NETWORK));
	return o;
}

static void test_grouping(void)
{
	struct outcome o = sample();

	ok(o.dns_allowed == 1 && o.dns_denied == 2 && o.connect_allowed == 3 &&
	       o.connect_denied == 1,
	   "each attempt is counted");
	ok(o.n_connections == 2 && o.connections[0].count == 2 &&
	       o.connections[0].bytes_in == 1153433,
	   "one name is one peer, whatever its address");
	ok(o.connections[1].failed == 1 && !o.connections[1].name,
	   "a bare address is a peer; a failure is counted");
	ok(o.n_denials == 2 && o.denials[0].count == 2 &&
	       strcmp(o.denials[1].what, "169.254.169.254:80") == 0,
	   "equal denials are one");
	ok(o.n_commands == 2 && o.commands[0].count == 2 && o.exec_allowed == 3,
	   "equal programs are one");
	ok(o.warnings.n == 1, "a limit is one warning");
	outcome_free(&o);
	ok(o.n_denials == 0 && o.payload_code == -1, "free leaves none");
}

static void test_bounds(void)
{
	struct outcome o = OUTCOME_NONE;
	struct net_event event = { .kind = NET_EVENT_CONNECT, .port = 1 };
	struct net_event hostile;

	for (int i = 0; i < 1000; i++) {
		snprintf(event.name, sizeof(event.name), "n%d.test", i);
		event.kind = NET_EVENT_CONNECT;
		outcome_add_net(&o, &event);
		event.kind = NET_EVENT_DENIED;
		outcome_add_net(&o, &event);
		outcome_add_command(&o, event.name, NULL);
		outcome_add_warning(&o, "warning %d", i);
	}
	ok(o.n_connections == OUTCOME_GROUPS_MAX &&
	       o.more_connections == 1000 - OUTCOME_GROUPS_MAX &&
	       o.connect_allowed == 1000,
	   "connections are bounded and counted");
	ok(o.n_denials == OUTCOME_GROUPS_MAX &&
	       o.more_denials == 1000 - OUTCOME_GROUPS_MAX,
	   "denials too");
	ok(o.n_commands == OUTCOME_GROUPS_MAX &&
	       o.more_commands == 1000 - OUTCOME_GROUPS_MAX,
	   "commands too");
	ok(o.warnings.n == OUTCOME_GROUPS_MAX, "warnings too");
	outcome_free(&o);

	o = OUTCOME_NONE;
	event.kind = NET_EVENT_LIMIT;
	for (int i = 0; i < 1000; i++) {
		snprintf(event.reason, sizeof(event.reason), "%d lost", i);
		outcome_add_net(&o, &event);
	}
	outcome_add_warning(&o, "the workdir stays");
	ok(strv_has(&o.warnings, "the workdir stays"),
	   "those of the network leave room for others");
	outcome_free(&o);

	o = OUTCOME_NONE;
	memset(&hostile, 0xff, sizeof(hostile));
	outcome_add_net(&o, &hostile);
	hostile.kind = NET_EVENT_DENIED;
	outcome_add_net(&o, &hostile);
	ok(o.connect_denied == 1, "texts without an end are safe");
	outcome_free(&o);
}

/*** result.c ***/

static void test_json(void)
{
	struct outcome o = sample();
	auto_free char *flat = result_json("r1", "label", "claude", &o, false);
	auto_free char *pretty = result_json("r1", NULL, NULL, &o, true);
	static const char *const want[] = {
		"{\"run\":\"r1\",\"id\":\"label\",\"agent\":\"claude\",",
		"\"status\":\"ok\",\"stage\":null,\"message\":null,",
		"\"exit_code\":0,\"payload_exit_code\":0,\"signal\":null,",
		"\"cpu_ms\":4119,",
		"\"memory_peak\":641728512,\"pids_peak\":37,",
		"{\"name\":null,\"addr\":\"2001:db8::1\",\"port\":22,",
		"\"what\":\"169.254.169.254:80\",",
		"\"answer\":null,\"artifact\":{",
		"\"bytes\":49254,\"files\":12,\"skipped\":0,\"left_out\":0}",
		"\"kept_workdir\":null,\"changes\":null,\"audit\":null,\"limits\":[],",
	};
	cJSON *a = cJSON_ParseWithOpts(flat, NULL, true);
	cJSON *b = cJSON_ParseWithOpts(pretty, NULL, true);

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		ok(strstr(flat, want[i]) != NULL, "has %s", want[i]);
	ok(!strchr(flat, '\n') && strchr(pretty, '\n'), "flat and pretty");
	cJSON_ReplaceItemInObject(a, "id", cJSON_CreateNull());
	cJSON_ReplaceItemInObject(a, "agent", cJSON_CreateNull());
	ok(a && cJSON_Compare(a, b, true), "both say the same");
	cJSON_Delete(a);
	cJSON_Delete(b);
	outcome_free(&o);
}

static void test_json_exact(void)
{
	struct outcome o = OUTCOME_NONE;
	auto_free char *json = NULL;

	o.bytes_in = UINT64_MAX;
	o.duration_ms = 1000000000000000;
	o.status = OUTCOME_ERROR;
	o.exit_code = 125;
	strcpy(o.error.stage, "mounts");
	strcpy(o.error.message, "cannot open /a\033\xff" CSI_C1 BIDI);
	json = result_json("r", NULL, NULL, &o, false);
	ok(strstr(json, "\"bytes_in\":18446744073709551615,") &&
	       strstr(json, "\"duration_ms\":1000000000000000,"),
	   "integers stay integers");
	ok(strstr(json, "\"message\":\"cannot open /a\\u001b\xef\xbf\xbd"
			"\\u009b\\u202e\""),
	   "what hides is escaped");
	ok(strstr(json, "\"artifact\":null") &&
	       strstr(json, "\"memory_peak\":null"),
	   "what is not there is null");
	outcome_free(&o);
}

static bool holds(const char *path, const char *want)
{
	auto_free char *text = read_file(AT_FDCWD, path, 4096, NULL);

	return text && strcmp(text, want) == 0;
}

/* Each has its turn, or another's result is there: never none, never half. */
static void test_race(void)
{
	auto_free char *folder = path_join(dir, "race");
	auto_free char *path = path_join(folder, "r.json");
	bool well = mkdir(folder, 0700) == 0;
	int status;

	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		for (int n = 0; n < 50; n++)
			if (result_write(path, -1, "{}") != 0)
				_exit(1);
		_exit(0);
	}
	while (wait(&status) > 0)
		well = well && status == 0;
	ok(well && holds(path, "{}\n"), "four write one file at once");
	ok(unlink(path) == 0 && rmdir(folder) == 0, "and leave nothing else");
}

/* In a folder that all may write to, nobody may remove what is another's. */
static void test_blocked(void)
{
	auto_free char *folder = path_join(dir, "sticky");
	auto_free char *path = path_join(folder, "r.json");
	auto_free char *temp = path_join(folder, ".r.json.m9m.tmp");
	int status = -1;

	ok(mkdir(folder, 0700) == 0 && chmod(folder, 01777) == 0 &&
	       chmod(dir, 0711) == 0 && mkdir(temp, 0700) == 0,
	   "another's folder has the temporary name");
	for (int i = 0; i < 2; i++) {
		if (fork() == 0) {
			/* Root could; an ordinary user's own folder at least is
			 * no file to unlink. */
			if (geteuid() == 0 &&
			    (setuid(65534) != 0 || rmdir(temp) == 0))
				_exit(2);
			_exit(result_write(path, -1, "{}") != 0);
		}
		ok(wait(&status) > 0 && status == 0 && holds(path, "{}\n"),
		   "and the result is %s", i ? "replaced" : "written");
	}
	ok(unlink(path) == 0 && rmdir(temp) == 0 && rmdir(folder) == 0,
	   "with nothing beside it");
}

static void test_write(void)
{
	auto_free char *path = path_join(dir, "result.json");
	auto_free char *link = path_join(dir, "link");
	auto_free char *missing = path_join(dir, "no/result.json");
	mode_t mask = umask(022);
	int fds[2];
	struct stat st;
	char got[8] = "";

	ok(pipe2(fds, O_CLOEXEC) == 0 && result_write(path, fds[1], "{}") == 0,
	   "file and descriptor");
	ok(holds(path, "{}\n"), "the file has it");
	ok(read(fds[0], got, 7) == 3 && strcmp(got, "{}\n") == 0,
	   "the descriptor got it");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644, "mode 0644");
	ok(result_write(path, -1, "[]") == 0 && holds(path, "[]\n"),
	   "replaced");
	ok(symlink(path, link) == 0 && result_write(link, -1, "1") == 0 &&
	       holds(path, "[]\n") && holds(link, "1\n"),
	   "a link is replaced, not followed");
	ok(result_write(missing, fds[1], "2") != 0 && err_get() &&
	       strstr(err_get()->message, missing),
	   "a missing folder is an error");
	err_reset();
	ok(read(fds[0], got, 7) == 2 && got[0] == '2',
	   "and the descriptor is still served");
	ok(result_write("/dev/null", -1, "3") == 0 &&
	       stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode),
	   "a device is written, not replaced");
	ok(result_write("/dev/full", -1, "3") != 0, "a full one is an error");
	err_reset();
	ok(result_write(dir, -1, "3") != 0, "a folder is refused");
	err_reset();
	close(fds[0]);
	close(fds[1]);
	umask(mask);
}

/*** summary.c ***/

static char *print(const char *label, const struct outcome *o, bool color)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	summary_print(out, label, o, color);
	fclose(out);
	return text;
}

static bool is_narrow(const char *text)
{
	auto_free char *copy = xstrdup(text);
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (text_width(line) > 80)
			return false;
	return true;
}

static void test_summary(void)
{
	static const char *const want[] = {
		"m9m-sandbox: claude finished: ok, exit 0, 12.3 s\n",
		"  ran           2x  /usr/bin/git diff --stat HEAD~1\n",
		"  connected     2x  api.anthropic.com:443   41.1 KiB out"
		"    1.0 MiB in\n"
		"                1x  [2001:db8::1]:22       failed\n",
		"  denied        2x  registry.npmjs.org  no rule names it\n"
		"                    to allow it: --allow registry.npmjs.org\n",
		"  used       4.1 s of CPU, 612 MiB at its peak, 37 processes\n",
		"  artifact   /home/u/.local/state/m9m-sandbox/artifacts/"
		"run.tar.zst\n"
		"             12 files, 48.0 KiB\n",
		"  warning    network: 1024 connections at once\n",
	};
	struct outcome o = sample();
	auto_free char *plain = print("claude", &o, false);
	auto_free char *color = print("claude", &o, true);

	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		ok(strstr(plain, want[i]) != NULL, "has %s", want[i]);
	ok(is_narrow(plain), "80 columns");
	ok(!strchr(plain, '\033'), "no colour unless asked");
	ok(strstr(color, "\033[32mok\033[0m"), "green when asked");
	if (getenv("SHOW"))
		printf("%s%s", plain, color);
	outcome_free(&o);
}

/* Beyond the rows there are groups, and beyond the groups single ones: what is
 * said of both together is how often it was. */
static void test_summary_sums(void)
{
	static const char *const want[] = {
		"and 184 more executions (see the events)\n",
		"and 184 more connections (see the events)\n",
		"and 184 more denials (see the events)\n",
		"and 2 more (see the result)\n",
	};
	struct outcome o = OUTCOME_NONE;
	struct net_event event = { .kind = NET_EVENT_CONNECT, .port = 1 };
	auto_free char *text = NULL;

	o.started = true;
	for (int i = 0; i < 200; i++) {
		snprintf(event.name, sizeof(event.name), "n%d.test", i % 100);
		event.kind = NET_EVENT_CONNECT;
		outcome_add_net(&o, &event);
		event.kind = NET_EVENT_DENIED;
		outcome_add_net(&o, &event);
		outcome_add_command(&o, event.name, NULL);
		outcome_add_warning(&o, "warning %d", i % 10);
	}
	/* Of a hundred, each twice, eight have a row and 64 a group. */
	text = print("x", &o, false);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		ok(strstr(text, want[i]) != NULL, "has %s", want[i]);
	outcome_free(&o);
}

static void test_summary_ends(void)
{
	static char disk[] = "disk", pids[] = "pids";
	static char *limits[] = { disk, pids };
	static const struct {
		struct outcome outcome;
		const char *want;
	} rows[] = {
		{ { .status = OUTCOME_FAILED, .exit_code = 3, .started = true },
		  "x finished: failed, exit 3, 0 ms\n" },
		{ { .status = OUTCOME_FAILED,
		    .exit_code = 139,
		    .payload_signal = 11,
		    .started = true },
		  "x finished: failed, exit 139, SIGSEGV (11), 0 ms\n" },
		{ { .status = OUTCOME_TIMEOUT,
		    .exit_code = 124,
		    .started = true,
		    .duration_ms = 300400 },
		  "x stopped: time is up, exit 124, 5 min 0 s\n" },
		{ { .status = OUTCOME_OOM, .exit_code = 137, .started = true },
		  "x killed: out of memory, exit 137, 0 ms\n" },
		{ { .status = OUTCOME_DENIED, .exit_code = 126 },
		  "x did not start: not allowed to run, exit 126\n" },
		{ { .status = OUTCOME_ERROR,
		    .exit_code = 125,
		    .error = { .stage = "mounts",
			       .message = "cannot open /x: No such file",
			       .remedy = "make it" } },
		  "x did not start: sandbox error, exit 125\n"
		  "  error      mounts: cannot open /x: No such file\n"
		  "  remedy     make it\n" },
		{ { .status = OUTCOME_OK,
		    .started = true,
		    .limits = { limits, 2 } },
		  "  capped     disk: all of it was used (--disk allows more)\n"
		  "             pids: all of it was used (--pids allows more)\n" },
		{ { .status = OUTCOME_OK, .started = true },
		  "  connected  not recorded: it used the host's network\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *text = print("x", &rows[i].outcome, false);

		ok(strstr(text, rows[i].want) != NULL, "row %zu: %s", i, text);
	}
}

/* Whatever the payload calls things, the terminal sees plain characters. */
static void test_summary_hostile(void)
{
	static const char nasty[] = "\033]0;owned\a\r\n\x7f\xff" CSI_C1
				    "2J" BIDI "\xe2\x81\xa9 end";
	struct outcome o = OUTCOME_NONE;
	struct net_event event = { .kind = NET_EVENT_CONNECT, .port = 9 };
	auto_free char *text = NULL;
	bool clean = true;

	o.started = true;
	strcpy(event.name, nasty);
	outcome_add_net(&o, &event);
	memset(event.name, 'n', NET_NAME_MAX - 1);
	outcome_add_net(&o, &event);
	outcome_add_denial(&o, "exec", nasty, nasty, "--x\033");
	outcome_add_command(&o, nasty, nasty);
	outcome_add_warning(&o, "%s", nasty);
	o.artifact.path = xstrdup(nasty);
	o.kept_workdir = xstrdup(nasty);
	strcpy(o.error.message, nasty);
	strcpy(o.error.remedy, nasty);
	strv_push(&o.degraded, xstrdup(nasty));
	text = print(nasty, &o, false);
	for (const char *p = text; *p; p++)
		clean = clean && (*p == '\n' || (*p >= ' ' && *p < 0x7f));
	ok(clean, "printable ASCII only");
	ok(is_narrow(text), "80 columns even so:\n%s", text);
	outcome_free(&o);
}

static void test_summary_long_path(void)
{
	struct outcome o = OUTCOME_NONE;
	auto_free char *text = NULL;
	char path[300];

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	o.started = true;
	o.artifact.path = xstrdup(path);
	text = print("x", &o, false);
	ok(strstr(text, path) != NULL, "a path is never cut");
	outcome_free(&o);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *remove = NULL;

	setenv("LC_ALL", "C", 1);
	snprintf(dir, sizeof(dir), "%s/m9m-result.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;

	test_grouping();
	test_bounds();
	test_json();
	test_json_exact();
	test_write();
	test_race();
	test_blocked();
	test_summary();
	test_summary_sums();
	test_summary_ends();
	test_summary_hostile();
	test_summary_long_path();

	remove = xasprintf("rm -rf '%s'", dir);
	ok(system(remove) == 0, "nothing is left");
	return done();
}
