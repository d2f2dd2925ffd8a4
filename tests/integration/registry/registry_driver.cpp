// registry_driver [--OPTION VALUE]… COMMAND ARGUMENT…: calls RepositoryClient, and prints what happens as lines of
// JSON. The last line is {"ok":true,…} or {"error":KIND,"message":…}; the exit status is 0 in both cases.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "common/json.h"
#include "daemon/registry/repository_client.h"

namespace {

using namespace brokerd;

std::mutex output;

void print(const std::vector<std::pair<std::string, std::string>>& texts, std::uint64_t number = 0) {
    rapidjson::StringBuffer buffer;
    JsonWriter writer{buffer};
    writer.StartObject();
    for (const auto& [key, value] : texts) write_member(writer, key, value);
    write_key(writer, "number");
    writer.Uint64(number);
    writer.EndObject();
    const std::lock_guard lock{output};
    std::cout << buffer.GetString() << std::endl;
}

[[noreturn]] void finish(const std::vector<std::pair<std::string, std::string>>& texts, std::uint64_t number = 0) {
    print(texts, number);
    std::cout.flush();
    std::exit(0);
}

const char* kind_name(RegistryErrorKind kind) {
    switch (kind) {
        case RegistryErrorKind::not_found:
            return "not_found";
        case RegistryErrorKind::unauthorized:
            return "unauthorized";
        case RegistryErrorKind::denied:
            return "denied";
        case RegistryErrorKind::unreachable:
            return "unreachable";
        case RegistryErrorKind::invalid:
            return "invalid";
        case RegistryErrorKind::io:
            return "io";
        case RegistryErrorKind::cancelled:
            return "cancelled";
    }
    std::abort();
}

template <class T>
T value_of(RegistryResult<T> result) {
    if (!result) finish({{"error", kind_name(result.error().kind)}, {"message", result.error().message}});
    return std::move(*result);
}

template <class T, class E>
T value_here(Result<T, E> result) {
    if (!result) finish({{"error", "driver"}, {"message", result.error().message}});
    return std::move(*result);
}

const char* phase_name(TransferEvent::Phase phase) {
    switch (phase) {
        case TransferEvent::Phase::downloading:
            return "downloading";
        case TransferEvent::Phase::verified:
            return "verified";
        case TransferEvent::Phase::uploading:
            return "uploading";
        case TransferEvent::Phase::exists:
            return "exists";
        case TransferEvent::Phase::mounted:
            return "mounted";
        case TransferEvent::Phase::uploaded:
            return "uploaded";
        case TransferEvent::Phase::retrying:
            return "retrying";
        case TransferEvent::Phase::note:
            return "note";
    }
    std::abort();
}

struct Options {
    RegistrySettings settings;
    RegistryCredentials credentials;
    std::string store;
    std::optional<std::uint64_t> cancel_at;  ///< bytes
    bool repeat = false;                     ///< a second round with the same client
};

Options read_options(int argc, char** argv, int& at) {
    Options options;
    options.settings.certs_dir = "/nonexistent";
    options.settings.proxies = NetworkProxies::from_environment(std::getenv);
    for (; at + 1 < argc && std::string_view{argv[at]}.starts_with("--"); at += 2) {
        const std::string_view name = argv[at];
        const std::string value = argv[at + 1];
        if (name == "--insecure") options.settings.insecure_hosts.push_back(value);
        if (name == "--mirror") options.settings.mirrors.push_back(value);
        if (name == "--certs") options.settings.certs_dir = value;
        if (name == "--address")
            options.settings.addresses[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
        if (name == "--auth") options.credentials = value_here(RegistryCredentials::from_header(value));
        if (name == "--stall") options.settings.timeouts.stall = std::chrono::milliseconds{std::stoi(value)};
        if (name == "--exchange") options.settings.timeouts.exchange = std::chrono::milliseconds{std::stoi(value)};
        if (name == "--connect") options.settings.timeouts.connect = std::chrono::milliseconds{std::stoi(value)};
        if (name == "--attempts") options.settings.retries.attempts = static_cast<unsigned>(std::stoi(value));
        if (name == "--store") options.store = value;
        if (name == "--cancel-at") options.cancel_at = std::stoull(value);
        if (name == "--repeat") options.repeat = value == "yes";
        if (name == "--pauses" && value == "printed") {
            options.settings.retries.pause = [](std::chrono::milliseconds time) {
                print({{"event", "pause"}}, static_cast<std::uint64_t>(time.count()));
            };
        }
    }
    return options;
}

Descriptor blob_of(std::string_view digest, std::uint64_t size) {
    return {"", value_here(Digest::parse(digest)), size, {}, {}, {}};
}

/// Layers in threads of their own, as an installation does it.
void pull(RepositoryClient& client, BlobStore& store, const std::string& manifest, const TransferProgress& progress) {
    const auto document = parse_json(manifest);
    if (!document) finish({{"error", "driver"}, {"message", "the manifest is no JSON"}});
    const auto descriptor = [](const rapidjson::Value& value) {
        return blob_of(value["digest"].GetString(), value["size"].GetUint64());
    };
    (void)value_of(client.small_blob(descriptor((*document)["config"]), 1U << 20U));
    std::vector<std::thread> threads;
    for (const auto& layer : (*document)["layers"].GetArray()) {
        threads.emplace_back([&, blob = descriptor(layer)] {
            auto writer = value_here(store.begin(blob.digest, blob.size));
            (void)value_of(client.fetch_blob(blob, writer, progress));
            (void)value_here(writer.commit());
        });
    }
    for (std::thread& thread : threads) thread.join();
}

void upload(RepositoryClient& client, const std::string& path, const TransferProgress& progress) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    ::fstat(file.get(), &status);
    Sha256 hash;
    std::vector<char> buffer(1U << 20U);
    ssize_t count = 0;
    while ((count = ::read(file.get(), buffer.data(), buffer.size())) > 0)
        hash.update({buffer.data(), static_cast<std::size_t>(count)});
    const Descriptor blob{"", hash.finish(), static_cast<std::uint64_t>(status.st_size), {}, {}, {}};
    if (value_of(client.has_blob(blob.digest))) return print({{"event", "exists"}});
    (void)value_of(client.upload_blob(file.get(), blob, progress));
}

std::string content_of(const std::string& path) {
    std::ostringstream content;
    content << std::ifstream{path, std::ios::binary}.rdbuf();
    return content.str();
}

}  // namespace

int main(int argc, char** argv) {
    int at = 1;
    const Options options = read_options(argc, argv, at);
    const std::vector<std::string> arguments(argv + at, argv + argc);
    if (arguments.size() < 2) return 2;
    const std::string& command = arguments[0];
    const auto reference = value_here(ImageReference::parse(arguments[1])).with_default_tag();
    const bool pushes = command == "push" || command == "mount";
    const UniqueFd cancel{::eventfd(0, EFD_CLOEXEC)};
    RepositoryClient client{options.settings, reference, options.credentials,
                            pushes ? RegistryAccess::push : RegistryAccess::pull, cancel.get()};
    const TransferProgress progress = [&](const TransferEvent& event) {
        if (options.cancel_at && event.done >= *options.cancel_at) ::eventfd_write(cancel.get(), 1);
        if (event.phase == TransferEvent::Phase::downloading || event.phase == TransferEvent::Phase::uploading) return;
        print({{"event", phase_name(event.phase)}, {"note", std::string{event.note}}}, event.done);
    };
    const std::string wanted = reference.digest() ? reference.digest()->str() : *reference.tag();

    if (command == "manifest" || command == "pull") {
        auto manifest = value_of(client.manifest(wanted, progress));
        if (options.repeat) manifest = value_of(client.manifest(wanted, progress));
        if (command == "pull") pull(client, *value_here(BlobStore::open(options.store)), manifest.bytes, progress);
        finish({{"ok", "yes"},
                {"digest", manifest.digest.str()},
                {"type", manifest.media_type},
                {"source", manifest.source},
                {"bytes", manifest.bytes.size() < 10'000 ? manifest.bytes : ""}});
    }
    if (command == "blob") {
        const Descriptor blob = blob_of(arguments.at(2), std::stoull(arguments.at(3)));
        const auto store = value_here(BlobStore::open(options.store));
        {
            auto writer = value_here(store->begin(blob.digest, blob.size));
            const auto fetched = client.fetch_blob(blob, writer, progress);
            if (fetched) {
                (void)value_here(writer.commit());
            } else {
                print({{"event", "failed"},
                       {"kind", kind_name(fetched.error().kind)},
                       {"message", fetched.error().message}},
                      writer.written());
            }
        }
        finish({{store->size(blob.digest) ? "ok" : "error", "yes"}});
    }
    if (command == "small") {
        const auto bytes = value_of(
            client.small_blob(blob_of(arguments.at(2), std::stoull(arguments.at(3))), std::stoull(arguments.at(4))));
        finish({{"ok", "yes"}, {"bytes", bytes}});
    }
    if (command == "has") {
        finish({{"ok", "yes"}}, value_of(client.has_blob(value_here(Digest::parse(arguments.at(2))))) ? 1 : 0);
    }
    if (command == "mount") {
        finish({{"ok", "yes"}},
               value_of(client.mount(value_here(Digest::parse(arguments.at(2))), arguments.at(3))) ? 1 : 0);
    }
    if (command == "push") {  // REF TYPE MANIFEST BLOB…
        for (std::size_t i = 4; i < arguments.size(); ++i) upload(client, arguments[i], progress);
        const auto digest = value_of(client.put_manifest(content_of(arguments.at(3)), arguments.at(2), wanted));
        finish({{"ok", "yes"}, {"digest", digest.str()}});
    }
    return 2;
}
