/* http_vet — where a request may go.
 *
 * It is decided twice: by address before a socket is opened (on_open), and
 * before each request of a chain of redirects is sent (on_request), which also
 * sees connections that are reused. A proxy on a local address makes every hop
 * local, and the second rule void: then it is the proxy that decides. What may
 * be asked of a local address is judged by the URL's own port, which a proxy
 * has only by accident. */
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "core/addr.h"
#include "core/buf.h"
#include "net/http_internal.h"

/* One part of a URL, decoded; the caller's, to be freed by curl_free. */
static char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	return text;
}

static bool has_local_path(const struct http_get *g, const char *path)
{
	if (!g->local_path)
		return true;
	/* As a server may read it: dots are no way out. */
	return strncmp(path, g->local_path, strlen(g->local_path)) == 0 &&
	       !strstr(path, "/..");
}

static bool may_query(const struct http_get *g)
{
	long hops = 0;

	(void)curl_easy_getinfo(g->easy, CURLINFO_REDIRECT_COUNT, &hops);
	return g->local_query == HTTP_QUERY_ANY ||
	       (g->local_query == HTTP_QUERY_FIRST && hops == 0);
}

/* What speaks against asking a local address for this; NULL: nothing. What
 * cannot be read is not asked. */
static const char *why_not(const struct http_get *g, CURLU *u, unsigned port)
{
	char *own_port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char *path = url_part(u, CURLUPART_PATH, CURLU_URLDECODE);
	char *query = url_part(u, CURLUPART_QUERY, 0);
	const char *why = NULL;

	if (!own_port || !path)
		why = "a local address, and a URL that cannot be read";
	else if (strtoul(own_port, NULL, 10) != port)
		why = NULL; /* a proxy's */
	else if (!has_local_path(g, path))
		why = "a local address is asked for another path";
	else if (query && !may_query(g))
		why = "a local address is asked with a query";
	curl_free(query);
	curl_free(path);
	curl_free(own_port);
	return why;
}

/* A stranger's URL may not make us talk to any service of this machine or its
 * network. Says so in `refused` if it would. */
static bool may_ask(struct http_get *g, const struct addr *a)
{
	const char *url = "";
	CURLU *u;

	if (!addr_is_local(a))
		return true;
	(void)curl_easy_getinfo(g->easy, CURLINFO_EFFECTIVE_URL, &url);
	u = curl_url();
	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		g->refused = why_not(g, u, addr_port(a));
	else
		g->refused = "a local address, and a URL that cannot be read";
	curl_url_cleanup(u);
	return !g->refused;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *to)
{
	struct http_get *g = arg;
	struct addr a;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    addr_from_sa(&a, &to->addr, (socklen_t)to->addrlen) != 0 ||
	    addr_is_link_local(&a) || !addr_can_dial(&a)) {
		g->refused = "the host's address is not one to ask";
		return CURL_SOCKET_BAD;
	}
	if (!may_ask(g, &a))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int parse_hop(struct addr *a, const char *ip, int port)
{
	struct buf text = {0};
	const char *s;
	bool v6 = strchr(ip, ':') != NULL;
	int err;

	buf_addf(&text, "%s%s%s:%d", v6 ? "[" : "", ip, v6 ? "]" : "", port);
	s = buf_cstr(&text);
	err = s ? addr_parse(a, s) : ENOMEM;
	buf_fini(&text);
	return err;
}

/* The connection stands; the request is not sent yet. */
static int on_request(void *arg, char *ip, char *own_ip, int port, int own_port)
{
	struct http_get *g = arg;
	const char *url = "";
	struct addr hop;
	/* What cannot be read is not trusted. */
	bool is_known = parse_hop(&hop, ip, port) == 0;
	bool https, local = !is_known || addr_is_local(&hop);

	/* What on_open said was of an address that was not taken after all. */
	g->refused = NULL;
	if (is_known && !may_ask(g, &hop))
		return CURL_PREREQFUNC_ABORT;
	(void)curl_easy_getinfo(g->easy, CURLINFO_EFFECTIVE_URL, &url);
	https = strncasecmp(url, "https:", 6) == 0;
	if (g->was_https && !https)
		g->refused = "redirected from https to http";
	else if (g->was_global && local)
		g->refused = "redirected into a local network";
	g->was_https = g->was_https || https;
	g->was_global = g->was_global || !local;
	return g->refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

void http_vet_set(struct http_get *g)
{
	CURL *e = g->easy;

	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, g);
	(void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
	(void)curl_easy_setopt(e, CURLOPT_PREREQDATA, g);
}
