// Where a plugin or a registry is: common/endpoint.h, daemon/registry/url.h, daemon/http/authority.h,
// daemon/registry/network_proxies.h. The input: a URL and, behind "%%", another that is relative to it.
#include <algorithm>

#include "common/endpoint.h"
#include "daemon/http/authority.h"
#include "daemon/registry/network_proxies.h"
#include "daemon/registry/url.h"
#include "tests/fuzz/checks.h"

namespace brokerd::fuzz::address_target {
namespace {

bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

void try_endpoint(const std::string& text) {
    const auto endpoint = Endpoint::parse(text);
    if (!endpoint) return expect_sentence(endpoint.error().message);
    expect(is_visible(endpoint->str()), "an address is visible ASCII", endpoint->str());
    const auto again = Endpoint::parse(endpoint->str());
    expect(again && *again == *endpoint, "an endpoint's canonical form is read as itself", endpoint->str());
    const bool is_socket = endpoint->kind() == Endpoint::Kind::unix_socket;
    expect(is_socket == endpoint->path().starts_with('/') && is_socket == endpoint->host().empty() &&
               is_socket == (endpoint->port() == 0),
           "an endpoint is a path, or host and port");
    expect(endpoint->path().size() <= 107, "a socket's path fits sockaddr_un");
}

/// Nothing in a URL can end a request line or a field.
void expect_url(const Url& url) {
    expect(url.target.starts_with('/') && is_visible(url.target), "a URL's target is visible, from its slash",
           url.target);
    expect(!url.host.empty() && is_visible(url.host) && url.host.find_first_of("/?#@[]") == std::string::npos,
           "a URL's host is a host", url.host);
    expect(url.port != 0, "a URL has a port");
    const auto again = Url::parse(url.origin() + url.target);
    expect(again && again->same_origin(url) && again->target == url.target, "a URL is read as itself",
           url.origin() + url.target);
    const auto bare = Url::of_authority(url.https, url.authority());
    expect(bare && bare->same_origin(url), "a URL's authority is read as its origin", url.authority());
    expect(is_host_and_port(url.authority()), "a URL's authority can be a Host field", url.authority());
}

void try_url(const std::string& text, const std::string& relative) {
    if (const auto proxy = Url::parse_proxy(text)) {
        expect(!proxy->https && is_visible(proxy->user_info), "a proxy's address is http");
        Url bare = *proxy;
        bare.user_info.clear();
        expect_url(bare);
    }
    if (const auto authority = Url::of_authority(true, text)) expect_url(*authority);
    const auto url = Url::parse(text);
    if (!url) return;
    expect(url->user_info.empty(), "only a proxy's address names a user");
    expect_url(*url);
    if (const auto resolved = url->resolve(relative)) expect_url(*resolved);
    NetworkProxies proxies{"proxy:3128", "proxy:3128", lines_of(relative)};
    if (is_loopback(url->host))
        expect(!proxies.proxy_for(url->https, url->host, url->port), "loopback is never proxied", url->host);
    static_cast<void>(proxies.proxy_for(url->https, url->host, url->port));
    static_cast<void>(is_in_network(url->host, relative));
}

}  // namespace

void try_input(std::string_view input) {
    const auto parts = parts_of(input, 2);
    try_endpoint(parts[0]);
    try_url(parts[0], parts[1]);
    const std::string_view path = without_authority(parts[0]);
    expect(path.empty() || parts[0].ends_with(path) || path == "/", "a path is a part of its target", path);
}

}  // namespace brokerd::fuzz::address_target
