/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "linkage.h"
#include "lookup.h"
#include "tap.h"

#ifdef __x86_64__
#define OUR_MACHINE EM_X86_64
#else
#define OUR_MACHINE EM_AARCH64
#endif

/* A home as installers leave it; every test names paths relative to it. */
static char home[256];

static char *at(const char *relative)
{
	return path_join(home, relative);
}

static void make_parents(const char *path)
{
	for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
		auto_free char *dir = xstrndup(path, (size_t)(p - path));

		mkdir(dir, 0755);
	}
}

static void put_bytes(const char *relative, mode_t mode, const void *bytes,
		      size_t len)
{
	auto_free char *path = at(relative);
	auto_fd int fd = -1;

	make_parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, bytes, len) < 0 || fchmod(fd, mode) < 0)
		abort();
}

/* Text, in which every %H is the home. */
static void put(const char *relative, mode_t mode, const char *text)
{
	auto_free char *out = xstrdup("");

	for (const char *p; (p = strstr(text, "%H")); text = p + 2) {
		char *longer = xasprintf("%s%.*s%s", out, (int)(p - text), text,
					 home);

		free(out);
		out = longer;
	}
	{
		auto_free char *whole = xasprintf("%s%s", out, text);

		put_bytes(relative, mode, whole, strlen(whole));
	}
}

static void put_link(const char *relative, const char *target)
{
	auto_free char *path = at(relative);

	make_parents(path);
	if (symlink(target, path) < 0)
		abort();
}

/*** ELF files ***/

struct tiny_elf {
	Elf64_Ehdr head;
	Elf64_Phdr segments[3];
	Elf64_Dyn dynamic[6];
	char strings[256];
	char interpreter[128];
};

static void fill_elf(struct tiny_elf *elf, const char *search,
		     const char *needed)
{
	size_t n = 1;

	*elf = (struct tiny_elf){ 0 };
	memcpy(elf->head.e_ident, ELFMAG, SELFMAG);
	elf->head.e_ident[EI_CLASS] = ELFCLASS64;
	elf->head.e_ident[EI_DATA] = ELFDATA2LSB;
	elf->head.e_machine = OUR_MACHINE;
	elf->head.e_phoff = offsetof(struct tiny_elf, segments);
	elf->head.e_phentsize = sizeof(Elf64_Phdr);
	elf->head.e_phnum = 3;
	elf->segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
					 .p_vaddr = 0x10000,
					 .p_filesz = sizeof(*elf) };
	elf->segments[1] = (Elf64_Phdr){ .p_type = PT_DYNAMIC,
					 .p_offset = offsetof(struct tiny_elf,
							      dynamic),
					 .p_filesz = sizeof(elf->dynamic) };
	elf->segments[2].p_type = PT_NULL;
	elf->dynamic[0] = (Elf64_Dyn){ .d_tag = DT_STRTAB };
	elf->dynamic[0].d_un.d_ptr = 0x10000 +
				     offsetof(struct tiny_elf, strings);
	elf->dynamic[1] = (Elf64_Dyn){ .d_tag = DT_STRSZ };
	elf->dynamic[1].d_un.d_val = sizeof(elf->strings);
	elf->dynamic[2] = (Elf64_Dyn){ .d_tag = DT_RUNPATH };
	elf->dynamic[2].d_un.d_val = n;
	n += (size_t)sprintf(elf->strings + n, "%s", search) + 1;
	elf->dynamic[3] = (Elf64_Dyn){ .d_tag = DT_NEEDED };
	elf->dynamic[3].d_un.d_val = n;
	sprintf(elf->strings + n, "%s", needed);
}

static void put_elf(const char *relative)
{
	struct tiny_elf elf;

	fill_elf(&elf, "", "");
	put_bytes(relative, 0755, &elf, sizeof(elf));
}

static void put_library_user(const char *relative, const char *search,
			     const char *needed)
{
	struct tiny_elf elf;

	fill_elf(&elf, search, needed);
	put_bytes(relative, 0755, &elf, sizeof(elf));
}

static void put_foreign_elf(const char *relative)
{
	struct tiny_elf elf;

	fill_elf(&elf, "", "");
	elf.head.e_machine = EM_S390;
	put_bytes(relative, 0755, &elf, sizeof(elf));
}

/*** Cases ***/

struct wanted {
	const char *what;
	const char *command; /* words; an absolute path starts with "~/" */
	const char *agent;
	int status; /* 0, or that of the failure, which `text` is part of */
	const char *text;
	const char *argv; /* complete, words joined by a space; or NULL */
	const char *show; /* joined by a space */
	const char *links;
	const char *path; /* NULL: argv's first word */
};

static const struct wanted cases[] = {
	{ "a program of the base tree", "sh -c x", NULL, 0, NULL, "sh -c x", "",
	  "", "/usr/bin/sh" },
	{ "a script in ~/bin shows that file only", "mine a b", NULL, 0, NULL,
	  "~/bin/mine a b", "~/bin/mine", "" },
	{ "by an absolute path", "~/bin/mine", NULL, 0, NULL, "~/bin/mine",
	  "~/bin/mine", "" },
	{ "by a relative path", "./bin/mine", NULL, 0, NULL, "~/bin/mine",
	  "~/bin/mine", "" },
	{ "a link in ~/.local/bin", "linked", NULL, 0, NULL,
	  "~/.local/bin/linked", "~/.local/share/linked/1.2/linked",
	  "~/.local/bin/linked\t../share/linked/1.2/linked" },
	{ "npm's prefix, package with its dependencies", "tool x", NULL, 0,
	  NULL, "~/npm/bin/tool x",
	  "~/npm/lib/node_modules/@me/tool ~/npm/lib/node_modules/dep "
	  "~/npm/lib/node_modules/@me/deep",
	  "~/npm/bin/tool\t../lib/node_modules/@me/tool/cli.sh" },
	{ "many dependencies show the folder that holds them", "many", NULL, 0,
	  NULL, "~/npm/bin/many", "~/npm/lib/node_modules",
	  "~/npm/bin/many\t../lib/node_modules/many/cli.sh" },
	{ "nvm's default version, and env's interpreter put first",
	  "nvmtool -v", NULL, 0, NULL,
	  "~/.nvm/versions/node/v20.10.1/bin/node --quiet "
	  "~/.nvm/versions/node/v20.10.1/bin/nvmtool -v",
	  "~/.nvm/versions/node/v20.10.1/lib/node_modules/nvmtool "
	  "~/.nvm/versions/node/v20.10.1/bin/node",
	  "~/.nvm/versions/node/v20.10.1/bin/nvmtool\t"
	  "../lib/node_modules/nvmtool/cli.js" },
	{ "an agent's native program beside its launcher", "codex exec -",
	  "codex", 0, NULL,
	  "~/npm/lib/node_modules/@openai/codex-linux-x64/vendor/t/bin/codex "
	  "exec -",
	  "~/npm/lib/node_modules/@openai/codex-linux-x64", "" },
	{ "an agent's native program within its package", "claude", "claude", 0,
	  NULL,
	  "~/npm/lib/node_modules/@anthropic-ai/claude-code/node_modules/"
	  "@anthropic-ai/claude-code-linux-x64/claude",
	  "~/npm/lib/node_modules/@anthropic-ai/claude-code/node_modules/"
	  "@anthropic-ai/claude-code-linux-x64",
	  "" },
	{ "the launcher itself without a profile", "codex", NULL, 0, NULL,
	  "~/npm/bin/codex",
	  "~/npm/lib/node_modules/@openai/codex "
	  "~/npm/lib/node_modules/@openai/codex-linux-x64",
	  "~/npm/bin/codex\t../lib/node_modules/@openai/codex/bin/codex.js" },
	{ "pipx: environment, base python, its library", "aider --yes", "aider",
	  0, NULL, "~/.local/bin/aider --yes",
	  "~/.local/share/pipx/venvs/aider-chat/bin "
	  "~/.local/share/pipx/venvs/aider-chat/pyvenv.cfg "
	  "~/.pyenv/versions/3.11.9/lib/python3.11 "
	  "~/.pyenv/versions/3.11.9/bin/python3.11",
	  "~/.local/bin/aider\t../share/pipx/venvs/aider-chat/bin/aider" },
	{ "uv: base python behind a linked folder",
	  "~/.local/share/uv/tools/aider-chat/bin/aider", "aider", 0, NULL,
	  "~/.local/share/uv/tools/aider-chat/bin/aider",
	  "~/.local/share/uv/tools/aider-chat/bin "
	  "~/.local/share/uv/tools/aider-chat/pyvenv.cfg "
	  "~/.local/share/uv/python/cpython-3.12.4/lib/python3.12 "
	  "~/.local/share/uv/python/cpython-3.12.4/bin/python3.12",
	  "~/.local/share/uv/python/cpython-3.12\tcpython-3.12.4" },
	{ "pyenv's shim is looked through", "python3.11 -V", NULL, 0, NULL,
	  "~/.pyenv/versions/3.11.9/bin/python3.11 -V",
	  "~/.pyenv/versions/3.11.9/lib/python3.11 "
	  "~/.pyenv/versions/3.11.9/bin/python3.11",
	  "" },
	{ "libraries found by RUNPATH", "~/opt/app/bin/app", NULL, 0, NULL,
	  "~/opt/app/bin/app",
	  "~/opt/app/bin/app ~/opt/app/lib/liba.so.1.2 "
	  "~/opt/app/lib/libb.so",
	  "~/opt/app/lib/liba.so.1\tliba.so.1.2" },
	{ "a checkout that npm linked", "checkout", NULL, 0, NULL,
	  "~/bin/checkout", "~/src/checkout",
	  "~/bin/checkout\t../src/checkout/cli.sh" },
	{ "nothing of that name", "mnie", NULL, 127, "cannot find mnie" },
	{ "no such path", "~/bin/none", NULL, 127, "no such file" },
	{ "no such agent", "claude-x", NULL, 127, "cannot find claude-x" },
	{ "not executable", "~/bin/plain", NULL, 126, "Permission denied" },
	{ "not executable, by name", "plain", NULL, 126, "Permission denied" },
	{ "a folder", "~/bin", NULL, 126, "Is a directory" },
	{ "its interpreter is missing", "broken", NULL, 127,
	  "its interpreter /nowhere/perl was not found" },
	{ "env's interpreter is missing", "envless", NULL, 127,
	  "its interpreter no-such-node was not found" },
	{ "a package that is the home itself", "~/bin/homely", NULL, 126,
	  "it holds your home directory" },
	{ "links in a circle", "~/bin/circle", NULL, 126,
	  "Too many levels of symbolic links" },
	{ "an empty name", "", NULL, 127, "empty command" },
};

/* "~/x" to the home's, wherever a word starts. */
static char *with_home(const char *text)
{
	auto_free char *out = xcalloc(1, strlen(text) + 32 * sizeof(home));
	size_t n = 0;

	for (const char *p = text; *p; p++)
		if (*p == '~' && p[1] == '/' &&
		    (p == text || p[-1] == ' ' || p[-1] == '\t'))
			n += (size_t)sprintf(out + n, "%s", home);
		else
			out[n++] = *p;
	return take_ptr(&out);
}

static void split(const char *text, struct strv *words)
{
	auto_free char *copy = with_home(text);
	char *save = NULL;

	if (*copy == '\0')
		strv_push(words, xstrdup(""));
	for (char *w = strtok_r(copy, " ", &save); w;
	     w = strtok_r(NULL, " ", &save))
		strv_push(words, xstrdup(w));
}

static char *join(const struct strv *words)
{
	char *out = xstrdup("");

	for (size_t i = 0; i < words->n; i++) {
		char *longer = xasprintf("%s%s%s", out, i ? " " : "",
					 words->v[i]);

		free(out);
		out = longer;
	}
	return out;
}

static void same_list(const char *what, const char *part,
		      const struct strv *got, const char *want)
{
	auto_free char *joined = join(got);
	auto_free char *expected = with_home(want);

	ok(strcmp(joined, expected) == 0, "%s: %s is \"%s\", not \"%s\"", what,
	   part, expected, joined);
}

static void check_failure(const struct wanted *t, int rc)
{
	const struct err_record *error = err_get();

	ok(rc == -1 && error && error->status == t->status &&
	       strstr(error->message, t->text),
	   "%s: %d, \"%s\", not %d, \"%s\"", t->what, t->status, t->text,
	   error ? error->status : 0, error ? error->message : "");
	err_reset();
}

static void check_case(const struct wanted *t)
{
	auto_strv struct strv argv = { 0 };
	struct agent *agent = t->agent ? agent_find(t->agent) : NULL;
	struct program program;
	int rc;

	split(t->command, &argv);
	rc = program_resolve(&program, &argv, agent, NULL);
	if (t->status) {
		check_failure(t, rc);
	} else if (ok(rc == 0, "%s: resolved %s", t->what,
		      rc ? err_get()->message : "")) {
		auto_free char *path = with_home(t->path ? t->path : t->argv);

		path[strcspn(path, " ")] = '\0';
		ok(strcmp(program.path, path) == 0, "%s: path %s", t->what,
		   program.path);
		same_list(t->what, "argv", &program.argv, t->argv);
		same_list(t->what, "show", &program.show, t->show);
		same_list(t->what, "links", &program.links, t->links);
		ok(program.show.n == program.show_why.n, "%s: reasons",
		   t->what);
	}
	err_reset();
	program_free(&program);
	agent_free(agent);
}

/*** The home ***/

static void make_node(void)
{
	put(".npmrc", 0644, "; mine\nprefix = ~/npm\n");
	put("npm/lib/node_modules/@me/tool/cli.sh", 0755, "#!/bin/sh\n");
	put("npm/lib/node_modules/@me/tool/package.json", 0644,
	    "{\"dependencies\":{\"dep\":\"1\",\"inner\":\"1\"},"
	    "\"optionalDependencies\":{\"not-here\":\"1\"}}");
	put("npm/lib/node_modules/@me/tool/node_modules/inner/i.js", 0644, "");
	put("npm/lib/node_modules/dep/package.json", 0644,
	    "{\"dependencies\":{\"@me/deep\":\"1\",\"../../../x\":\"1\"}}");
	put("npm/lib/node_modules/@me/deep/package.json", 0644, "not json");
	put_link("npm/bin/tool", "../lib/node_modules/@me/tool/cli.sh");
	put("src/checkout/package.json", 0644,
	    "{\"bin\":{\"checkout\":\"./cli.sh\"}}");
	put("src/checkout/cli.sh", 0755, "#!/bin/sh\n");
	put_link("bin/checkout", "../src/checkout/cli.sh");
}

static void make_many(void)
{
	auto_free char *list = xstrdup("{\"dependencies\":{\"m0\":\"1\"");

	for (int i = 0; i < 40; i++) {
		auto_free char *dir = xasprintf("npm/lib/node_modules/m%d/i.js",
						i);
		char *longer = xasprintf("%s,\"m%d\":\"1\"", list, i);

		put(dir, 0644, "");
		free(list);
		list = longer;
	}
	{
		auto_free char *whole = xasprintf("%s}}", list);

		put("npm/lib/node_modules/many/package.json", 0644, whole);
	}
	put("npm/lib/node_modules/many/cli.sh", 0755, "#!/bin/sh\n");
	put_link("npm/bin/many", "../lib/node_modules/many/cli.sh");
}

static void make_nvm(void)
{
	put(".nvm/alias/default", 0644, "lts/iron\n");
	put(".nvm/alias/lts/iron", 0644, "v20\n");
	put(".nvm/versions/node/v20.9.0/bin/node", 0755, "old");
	put(".nvm/versions/node/v22.0.0/bin/node", 0755, "new");
	put_elf(".nvm/versions/node/v20.10.1/bin/node");
	put(".nvm/versions/node/v20.10.1/lib/node_modules/nvmtool/cli.js", 0755,
	    "#!/usr/bin/env -S node --quiet\n");
	put_link(".nvm/versions/node/v20.10.1/bin/nvmtool",
		 "../lib/node_modules/nvmtool/cli.js");
}

static void make_agents(void)
{
	static const char scope[] = "npm/lib/node_modules/@anthropic-ai/";
	auto_free char *stub = xasprintf("%sclaude-code/bin/claude.exe", scope);
	auto_free char *native = xasprintf(
	    "%sclaude-code/node_modules/@anthropic-ai/"
	    "claude-code-linux-x64/claude",
	    scope);

	put("npm/lib/node_modules/@openai/codex/bin/codex.js", 0755,
	    "#!/bin/sh\n");
	put("npm/lib/node_modules/@openai/codex/package.json", 0644,
	    "{\"optionalDependencies\":{\"@openai/codex-linux-x64\":\"1\"}}");
	put_foreign_elf("npm/lib/node_modules/@openai/codex-linux-s390/"
			"vendor/t/bin/codex");
	put_elf("npm/lib/node_modules/@openai/codex-linux-x64/"
		"vendor/t/bin/codex");
	put_link("npm/bin/codex", "../lib/node_modules/@openai/codex/bin/"
				  "codex.js");
	put(stub, 0755, "echo not installed\n");
	put_elf(native);
	put_link("npm/bin/claude", "../lib/node_modules/@anthropic-ai/"
				   "claude-code/bin/claude.exe");
}

static void make_python(void)
{
	put(".pyenv/shims/python3.11", 0755, "#!/bin/sh\nexec pyenv\n");
	put(".pyenv/version", 0644, "3.11\n");
	/* In the current folder, which need not be the user's own work. */
	if (mkfifo(".python-version", 0644) < 0)
		abort();
	put_elf(".pyenv/versions/3.11.9/bin/python3.11");
	put(".pyenv/versions/3.11.9/lib/python3.11/os.py", 0644, "");
	put(".local/share/pipx/venvs/aider-chat/pyvenv.cfg", 0644,
	    "home = %H/.pyenv/versions/3.11.9/bin\n");
	put(".local/share/pipx/venvs/aider-chat/bin/aider", 0755,
	    "#!%H/.local/share/pipx/venvs/aider-chat/bin/python\n");
	put_link(".local/share/pipx/venvs/aider-chat/bin/python",
		 "../../../../../../.pyenv/versions/3.11.9/bin/python3.11");
	put_link(".local/bin/aider",
		 "../share/pipx/venvs/aider-chat/bin/aider");
	put(".local/share/uv/tools/aider-chat/pyvenv.cfg", 0644,
	    "home = %H/.local/share/uv/python/cpython-3.12/bin\n");
	put(".local/share/uv/tools/aider-chat/bin/aider", 0755,
	    "#!/bin/sh\n'''exec' %H/.local/share/uv/tools/aider-chat/bin/"
	    "python \"$0\" \"$@\"\n' '''\n");
	put_link(".local/share/uv/tools/aider-chat/bin/python",
		 "../../../python/cpython-3.12/bin/python3.12");
	put_link(".local/share/uv/python/cpython-3.12", "cpython-3.12.4");
	put_elf(".local/share/uv/python/cpython-3.12.4/bin/python3.12");
	put(".local/share/uv/python/cpython-3.12.4/lib/python3.12/os.py", 0644,
	    "");
}

static void make_others(void)
{
	put("bin/mine", 0755, "#!/bin/sh\n");
	put("bin/plain", 0644, "#!/bin/sh\n");
	put("bin/broken", 0755, "#!/nowhere/perl -w\n");
	put("bin/envless", 0755, "#!/usr/bin/env no-such-node\n");
	put("bin/homely", 0755, "#!/bin/sh\n");
	put("package.json", 0644, "{\"bin\":\"bin/homely\"}");
	put_link("bin/circle", "circle2");
	put_link("bin/circle2", "circle");
	put(".local/share/linked/1.2/linked", 0755, "#!/bin/sh\n");
	put_link(".local/bin/linked", "../share/linked/1.2/linked");
	put_library_user("opt/app/bin/app", "$ORIGIN/../lib:/usr/lib",
			 "liba.so.1");
	put_library_user("opt/app/lib/liba.so.1.2", "${ORIGIN}", "libb.so");
	put_link("opt/app/lib/liba.so.1", "liba.so.1.2");
	put_library_user("opt/app/lib/libb.so", "", "libc.so.6");
}

/*** The rest ***/

static void check_rootfs(void)
{
	auto_free char *root = at("rootfs");
	auto_strv struct strv argv = { 0 };
	struct program program;

	put("rootfs/opt/real", 0755, "x");
	put_link("rootfs/usr/bin/tool", "/opt/real");
	put_link("rootfs/usr/bin/outside", "../../../../../../../bin/sh");
	split("tool a", &argv);
	ok(program_resolve(&program, &argv, NULL, root) == 0 &&
	       strcmp(program.path, "/usr/bin/tool") == 0 &&
	       program.show.n == 0 && program.argv.n == 2,
	   "in a tree of its own, links are against its root");
	program_free(&program);
	err_reset();
	free(argv.v[0]);
	argv.v[0] = xstrdup("outside");
	ok(program_resolve(&program, &argv, NULL, root) < 0 &&
	       err_get()->status == 127,
	   "a link does not lead out of the tree");
	program_free(&program);
	err_reset();
}

static void check_remedies(void)
{
	auto_strv struct strv argv = { 0 };
	struct agent *agent = agent_find("claude");
	struct program program;

	split("mnie", &argv);
	program_resolve(&program, &argv, NULL, NULL);
	ok(strcmp(err_get()->remedy, "did you mean mine?") == 0,
	   "a slip is mended: %s", err_get()->remedy);
	err_reset();
	program_free(&program);
	free(argv.v[0]);
	argv.v[0] = xstrdup("mine -l");
	program_resolve(&program, &argv, NULL, NULL);
	ok(strstr(err_get()->remedy, "words of their own") != NULL,
	   "a line is no program: %s", err_get()->remedy);
	err_reset();
	program_free(&program);
	free(argv.v[0]);
	argv.v[0] = xstrdup("claude");
	setenv("HOME", "/nonexistent", 1);
	setenv("PATH", "/usr/bin", 1);
	if (program_resolve(&program, &argv, agent, NULL) < 0)
		ok(strstr(err_get()->remedy, "npm install -g") != NULL,
		   "an agent that is not there: %s", err_get()->remedy);
	err_reset();
	program_free(&program);
	agent_free(agent);
}

/* Every prefix, and every byte turned around: no crash under the sanitizers,
 * and no name that is not in the file. */
static void check_broken_elf(void)
{
	struct tiny_elf elf;
	unsigned char *bytes = (unsigned char *)&elf;
	auto_free char *path = at("elf");
	size_t reads = 0;

	for (size_t i = 0; i < 2 * sizeof(elf); i++) {
		bool cut = i < sizeof(elf);
		struct linkage linkage;
		auto_fd int fd = -1;

		fill_elf(&elf, "/a:/b", "libx.so");
		if (!cut)
			bytes[i - sizeof(elf)] ^= 0xff;
		put_bytes("elf", 0755, &elf, cut ? i : sizeof(elf));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		reads += linkage_read(fd, &linkage);
		linkage_free(&linkage);
	}
	ok(reads > 0, "%zu broken ELF files could still be read", reads);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* With links and without: the same way is gone, told or not told of. */
static void check_real(void)
{
	static const struct {
		const char *path, *real;
		size_t links;
	} rows[] = {
		{ "real/file", "real/file", 0 },
		{ "./real//./other/../file", "real/file", 0 },
		{ "real/file/", "real/file", 0 },
		{ "link", "real/file", 1 },
		{ "folder/file", "real/file", 1 },
		{ "folder/other/../../link", "real/file", 2 },
		{ "real/none", NULL, 0 },
		{ "real/file/none", NULL, 0 },
	};
	struct lookup lookup;
	auto_free char *link = at("link");
	auto_free char *folder = at("folder");

	put("real/file", 0644, "");
	put("real/other/file", 0644, "");
	if (symlink("real/file", link) < 0 || symlink("real", folder) < 0)
		abort();
	lookup_init(&lookup, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_strv struct strv links = { 0 };
		auto_free char *path = at(rows[i].path);
		auto_free char *real = lookup_real(&lookup, path, &links);
		auto_free char *want = rows[i].real ? at(rows[i].real) : NULL;

		ok(want ? real && strcmp(real, want) == 0 : !real,
		   "%s is %s: %s", rows[i].path,
		   rows[i].real ? rows[i].real : "nowhere", real ? real : "-");
		ok(links.n == rows[i].links, "by %zu links", links.n);
	}
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *template = xasprintf("%s/m9m-unit-XXXXXX",
					     tmp ? tmp : "/tmp");
	auto_free char *path = NULL;
	auto_free char *real = NULL;

	if (mkdtemp(template) == NULL || chdir(template) < 0)
		abort();
	real = getcwd(NULL, 0);
	snprintf(home, sizeof(home), "%s", real);
	path = xasprintf("relative:%s/bin:%s/.pyenv/shims:/usr/bin:/bin", home,
			 home);
	setenv("HOME", home, 1);
	setenv("PATH", path, 1);
	unsetenv("NVM_DIR");
	unsetenv("PYENV_VERSION");
	unsetenv("NPM_CONFIG_PREFIX");
	unsetenv("npm_config_prefix");
	put("relative/sh", 0755, "#!/bin/sh\n");
	make_node();
	make_many();
	make_nvm();
	make_agents();
	make_python();
	make_others();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_case(&cases[i]);
	check_real();
	check_rootfs();
	check_broken_elf();
	check_remedies();
	nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return done();
}
