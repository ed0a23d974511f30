/*
 * pages.c
 *		The files of the page folder, in memory.  A request only ever looks for a
 *		name among those that were read, so no spelling of a path leads out of the
 *		folder; symbolic links, hidden and special files are not read at all.
 */
#include "net.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE (8 * 1024 * 1024)
#define MAX_ALL (64 * 1024 * 1024)
#define MAX_FILES 1000
#define MAX_DEPTH 4
#define LOOK_EVERY 2000			/* ms: not more often is looked for changes */

static QmsPage **pages;
static int	npages;
static size_t all_size;
static char *folder;
static int64_t looked_at;
static bool folder_missed;

static const struct
{
	const char *ending;
	const char *type;
}			types[] = {
	{".html", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"},
	{".json", "application/json"}, {".map", "application/json"}, {".webmanifest", "application/manifest+json"},
	{".svg", "image/svg+xml"}, {".png", "image/png"}, {".jpg", "image/jpeg"}, {".webp", "image/webp"},
	{".gif", "image/gif"}, {".ico", "image/x-icon"}, {".woff2", "font/woff2"}, {".mp3", "audio/mpeg"},
	{".ogg", "audio/ogg"}, {".wav", "audio/wav"}, {".txt", "text/plain; charset=utf-8"},
	{".md", "text/plain; charset=utf-8"},
};

/* The media type, by the name. */
static const char *
type_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t		i;

	if (dot == NULL)
		return "text/plain; charset=utf-8"; /* LICENSE and the like */
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].ending, dot) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* A page that a reply is made of stays until the reply is sent. */
void
qms_page_unref(QmsPage *page)
{
	if (page == NULL || --page->refs > 0)
		return;
	free(page->path);
	free(page->body);
	free(page);
}

/* The content decides the tag, so all gateways have the same. */
static void
make_tag(QmsPage *page)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);
	size_t		i;

	for (i = 0; i < page->size; i++)
		hash = (hash ^ (unsigned char) page->body[i]) * UINT64_C(0x100000001b3);
	snprintf(page->etag, sizeof(page->etag), "\"%016llx-%zx\"", (unsigned long long) hash, page->size);
}

/* Exactly the bytes that were announced; one that changes meanwhile is read next time. */
static bool
read_body(int fd, char *body, size_t size)
{
	size_t		have = 0;

	while (have < size)
	{
		ssize_t		n = read(fd, body + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += n;
	}
	return true;
}

/* The file into memory, or null. */
static QmsPage *
load(int dirfd, const char *name, const char *path)
{
	int			fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	QmsPage    *page;

	if (fd < 0)
		return NULL;
	page = calloc(1, sizeof(*page));
	if (page == NULL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE ||
		(page->body = malloc((size_t) st.st_size + 1)) == NULL || !read_body(fd, page->body, st.st_size))
	{
		if (page != NULL)
			free(page->body);
		free(page);
		close(fd);
		return NULL;
	}
	close(fd);
	page->refs = 1;
	page->size = st.st_size;
	page->path = qms_copy(path);
	page->type = type_of(name);
	page->mtime = st.st_mtim;
	page->inode = st.st_ino;
	make_tag(page);
	return page;
}

/* Where a path is or would be among the pages. */
static int
place_of(const char *path, bool *found)
{
	int			low = 0,
				high = npages;

	*found = false;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = strcmp(pages[middle]->path, path);

		if (order == 0)
			*found = true;
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A regular file: read, if it is new or has changed. */
static void
look_at_file(int dirfd, const char *name, const char *path, const struct stat *st)
{
	bool		found;
	int			place = place_of(path, &found);
	QmsPage    *old = found ? pages[place] : NULL;
	QmsPage    *page;

	if (old != NULL)
		old->seen = true;
	if (old != NULL && old->inode == st->st_ino && old->size == (size_t) st->st_size &&
		old->mtime.tv_sec == st->st_mtim.tv_sec && old->mtime.tv_nsec == st->st_mtim.tv_nsec)
		return;
	if (st->st_size > MAX_FILE || all_size + st->st_size > MAX_ALL || (old == NULL && npages == MAX_FILES) ||
		(page = load(dirfd, name, path)) == NULL)
	{
		qms_log(QMS_LOG_WARNING, "could not read a page, or it is too large", path, NULL);
		return;
	}
	page->seen = true;
	all_size += page->size;
	if (old != NULL)
	{
		all_size -= old->size;
		qms_page_unref(old);
	}
	else
	{
		QmsPage   **more = realloc(pages, (npages + 1) * sizeof(*pages));

		if (more == NULL)
			abort();
		pages = more;
		memmove(pages + place + 1, pages + place, (npages - place) * sizeof(*pages));
		npages++;
	}
	pages[place] = page;
}

/* A folder and those in it.  The descriptor is closed. */
static void
look_through(int dirfd, const char *prefix, int depth)
{
	DIR		   *dir = fdopendir(dirfd);
	struct dirent *entry;

	if (dir == NULL)
	{
		close(dirfd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
	{
		const char *name = entry->d_name;
		QmsText		path = {0};
		struct stat st;

		if (name[0] == '.' || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		qms_text_printf(&path, "%s/%s", prefix, name);
		if (S_ISREG(st.st_mode))
			look_at_file(dirfd, name, path.data, &st);
		else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
		{
			int			fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd >= 0)
				look_through(fd, path.data, depth + 1);
		}
		qms_text_free(&path);
	}
	closedir(dir);
}

/* What has changed in the folder is read; what is gone is forgotten. */
static void
look(void)
{
	int			fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int			i,
				kept = 0;

	looked_at = qms_now_ms();
	for (i = 0; i < npages; i++)
		pages[i]->seen = false;
	if (fd >= 0)
		look_through(fd, "", 0);
	else if (folder != NULL && !folder_missed)
		qms_log(QMS_LOG_WARNING, "there are no pages: could not open their folder", folder, NULL);
	folder_missed = fd < 0;
	for (i = 0; i < npages; i++)
	{
		if (pages[i]->seen)
		{
			pages[kept++] = pages[i];
			continue;
		}
		all_size -= pages[i]->size;
		qms_page_unref(pages[i]);
	}
	npages = kept;
}

/* The folder from now on; empty: none. */
void
qms_pages_set(const char *path)
{
	free(folder);
	folder = path == NULL || *path == '\0' ? NULL : qms_copy(path);
	folder_missed = false;
	look();
}

/* The page of a path, held for the caller, or null. */
QmsPage *
qms_pages_find(const char *path)
{
	bool		found;
	int			place;

	if (qms_now_ms() - looked_at >= LOOK_EVERY)
		look();
	place = place_of(path, &found);
	if (!found)
		return NULL;
	pages[place]->refs++;
	return pages[place];
}

/* How many there are, for the log. */
int
qms_pages_count(void)
{
	return npages;
}

/* At the end of the program. */
void
qms_pages_stop(void)
{
	qms_pages_set(NULL);
	free(pages);
	pages = NULL;
}
