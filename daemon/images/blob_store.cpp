#include "daemon/images/blob_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/os/disk_error.h"
#include "daemon/images/sha256.h"
#include "daemon/images/uninterrupted.h"

// A name in sha256/ is a promise: whole, verified, on disk. It is given by BlobWriter alone. So opening the store
// checks nothing but sizes when asked, and a crash leaves nothing but files in tmp.

namespace brokerd {
namespace {

constexpr const char* kBlobs = "sha256";
constexpr const char* kTemporary = "tmp";
constexpr std::size_t kReadBytes = std::size_t{256} << 10;

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

Failure<BlobError> storage_failure(std::string_view operation, std::string_view path, int code) {
    return fail(BlobError{BlobError::Kind::storage, disk_error(operation, path, code)});
}

/// Opens a directory below `parent`, mode 0700, made where it is missing.
Result<UniqueFd> make_directory(int parent, const std::string& name, const std::string& path) {
    const bool made = uninterrupted([&] { return ::mkdirat(parent, name.c_str(), 0700); }) == 0;
    if (!made && errno != EEXIST) return fail(disk_error("make the directory", path, errno));
    UniqueFd directory{
        uninterrupted([&] { return ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); })};
    if (!directory) return fail(disk_error("open the directory", path, errno));
    struct stat status {};
    if (::fstat(directory.get(), &status) != 0) return fail(disk_error("look at", path, errno));
    if ((status.st_mode & 0777) != 0700 && ::fchmod(directory.get(), 0700) != 0)
        return fail(disk_error("set the mode of", path, errno));
    return directory;
}

/// The names in a directory, without "." and "..".
Result<std::vector<std::string>> names_in(int directory, const std::string& path) {
    UniqueFd again{uninterrupted([&] { return ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); })};
    if (!again) return fail(disk_error("open", path, errno));
    const std::unique_ptr<DIR, CloseDirectory> entries{::fdopendir(again.get())};
    if (!entries) return fail(disk_error("list", path, errno));
    (void)again.release();
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name{entry->d_name};
        if (name != "." && name != "..") names.emplace_back(name);
        errno = 0;
    }
    if (errno != 0) return fail(disk_error("list", path, errno));
    return names;
}

std::optional<std::uint64_t> size_in(int directory, std::string_view name) {
    struct stat status {};
    if (::fstatat(directory, std::string{name}.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    if (!S_ISREG(status.st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(status.st_size);
}

int remove_in(int directory, std::string_view name) {
    return uninterrupted([&] { return ::unlinkat(directory, std::string{name}.c_str(), 0); });
}

/// Calls `take` with each piece of the file; errno, 0 at its end.
template <class Take>
int read_all(int file, Take take) {
    std::string buffer(kReadBytes, '\0');
    for (;;) {
        const ssize_t count = uninterrupted([&] { return ::read(file, buffer.data(), buffer.size()); });
        if (count < 0) return errno;
        if (count == 0) return 0;
        take(std::string_view{buffer.data(), static_cast<std::size_t>(count)});
    }
}

BlobError wrong_size(const Digest& digest, std::uint64_t actual, std::uint64_t announced) {
    return {actual > announced ? BlobError::Kind::too_long : BlobError::Kind::too_short,
            fmt::format("the blob {} has {} bytes; {} were announced", digest.str(), actual, announced)};
}

/// Nothing where `size` more bytes may fit; a hint, as others write too.
std::optional<BlobError> lack_of_room(const BlobPlaces& places, std::uint64_t size) {
    struct statvfs status {};
    if (::fstatvfs(places.temporary.get(), &status) != 0) return std::nullopt;
    const std::uint64_t block = status.f_frsize;
    if (block == 0 || size / block <= status.f_bfree) return std::nullopt;
    return BlobError{BlobError::Kind::storage, disk_error(fmt::format("write a blob of {} bytes, where {} are free, in",
                                                                      size, status.f_bfree * block),
                                                          places.path, ENOSPC)};
}

}  // namespace

Result<std::unique_ptr<BlobStore>> BlobStore::open(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    auto root = make_directory(AT_FDCWD, path, path);
    if (!root) return fail(root.error());
    auto blobs = make_directory(root->get(), kBlobs, path + '/' + kBlobs);
    if (!blobs) return fail(blobs.error());
    auto temporary = make_directory(root->get(), kTemporary, path + '/' + kTemporary);
    if (!temporary) return fail(temporary.error());
    const UniqueFd parent{
        uninterrupted([&] { return ::openat(root->get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC); })};
    const auto sync = [](const UniqueFd& directory) { return uninterrupted([&] { return ::fsync(directory.get()); }); };
    if (!parent || sync(*root) != 0 || sync(parent) != 0) return fail(disk_error("sync the directory", path, errno));

    const auto leftovers = names_in(temporary->get(), path + '/' + kTemporary);
    if (!leftovers) return fail(leftovers.error());
    // What cannot be removed (a read-only file system) does no harm: reading goes on, writing will say what is wrong.
    for (const std::string& name : *leftovers) remove_in(temporary->get(), name);

    auto places = std::make_shared<BlobPlaces>(BlobPlaces{path, *std::move(blobs), *std::move(temporary)});
    return std::unique_ptr<BlobStore>{new BlobStore{std::move(path), std::move(places), std::make_shared<BlobPins>()}};
}

BlobStore::BlobStore(std::string path, std::shared_ptr<BlobPlaces> places, std::shared_ptr<BlobPins> pins)
    : path_{std::move(path)}, places_{std::move(places)}, pins_{std::move(pins)} {}

BlobStore::~BlobStore() = default;

std::string BlobStore::blob_path(const Digest& digest) const {
    return fmt::format("{}/{}/{}", path_, kBlobs, digest.hex());
}

Result<BlobWriter, BlobError> BlobStore::begin(const Digest& expected, std::uint64_t expected_size) {
    if (auto error = lack_of_room(*places_, expected_size)) return fail(*std::move(error));
    return begin_file(expected, expected_size);
}

Result<BlobWriter, BlobError> BlobStore::begin_unknown(std::uint64_t max_size) {
    return begin_file(std::nullopt, max_size);
}

Result<BlobWriter, BlobError> BlobStore::begin_file(std::optional<Digest> expected, std::uint64_t max_size) {
    for (;;) {
        const std::string name = pins_->own_new_file();
        UniqueFd file{uninterrupted([&] {
            return ::openat(places_->temporary.get(), name.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        })};
        if (file) return BlobWriter{places_, pins_, std::move(file), name, std::move(expected), max_size};
        const int code = errno;
        pins_->disown_file(name);
        if (code != EEXIST) return storage_failure("make a file in", path_ + '/' + kTemporary, code);
    }
}

Result<BlobPin, BlobError> BlobStore::put(std::string_view bytes) {
    const Digest digest = Sha256::of(bytes);
    auto found = find(digest, bytes.size());
    if (!found) return fail(found.error());
    if (*found) return **std::move(found);
    auto writer = begin(digest, bytes.size());
    if (!writer) return fail(writer.error());
    if (auto written = writer->write(bytes); !written) return fail(written.error());
    return writer->commit();
}

Result<std::optional<BlobPin>, BlobError> BlobStore::find(const Digest& digest, std::uint64_t expected_size) {
    std::optional<BlobPin> found = pin(digest);
    const auto actual = size(digest);
    if (!actual) return std::optional<BlobPin>{};
    if (*actual != expected_size) {
        // Either the file is damaged or the size is a lie: a stranger's manifest must not remove others' blobs.
        const auto true_size = verify(digest);
        if (true_size) return fail(wrong_size(digest, *true_size, expected_size));
        if (true_size.error().kind != BlobError::Kind::wrong_digest) return fail(true_size.error());
        pins_->exclusively([&] {
            if (size(digest) == actual) remove_in(places_->blobs.get(), digest.hex());  // nobody has replaced it
        });
        return std::optional<BlobPin>{};
    }
    // Another job may have named it a moment ago; whoever relies on it must find it after a power cut.
    if (uninterrupted([&] { return ::fsync(places_->blobs.get()); }) != 0)
        return storage_failure("sync", path_ + '/' + kBlobs, errno);
    return found;
}

Result<UniqueFd, BlobError> BlobStore::open_blob(const Digest& digest) const {
    const std::string name{digest.hex()};
    UniqueFd file{
        uninterrupted([&] { return ::openat(places_->blobs.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC); })};
    if (file) return file;
    if (errno != ENOENT) return storage_failure("open", blob_path(digest), errno);
    return fail(BlobError{BlobError::Kind::missing,
                          fmt::format("the blob {} is not in {}; install the plugin again", digest.str(), path_)});
}

std::optional<std::uint64_t> BlobStore::size(const Digest& digest) const {
    return size_in(places_->blobs.get(), digest.hex());
}

Result<std::string, BlobError> BlobStore::read_small(const Digest& digest, std::size_t limit) {
    const auto file = open_blob(digest);
    if (!file) return fail(file.error());
    struct stat status {};
    if (::fstat(file->get(), &status) != 0) return storage_failure("look at", blob_path(digest), errno);
    if (status.st_size > static_cast<off_t>(limit)) {
        return fail(BlobError{BlobError::Kind::too_long,
                              fmt::format("the blob {} is longer than the {} bytes that are allowed for what it is",
                                          digest.str(), limit)});
    }
    std::string bytes;
    const int code = read_all(file->get(), [&](std::string_view piece) { bytes.append(piece); });
    if (code != 0) return storage_failure("read", blob_path(digest), code);
    if (Sha256::of(bytes) == digest) return bytes;
    remove_in(places_->blobs.get(), digest.hex());
    return fail(BlobError{
        BlobError::Kind::wrong_digest,
        fmt::format("the blob {} in {} was damaged and is removed; install the plugin again", digest.str(), path_)});
}

Result<std::uint64_t, BlobError> BlobStore::verify(const Digest& digest) const {
    const auto file = open_blob(digest);
    if (!file) return fail(file.error());
    Sha256 hash;
    std::uint64_t size = 0;
    const int code = read_all(file->get(), [&](std::string_view piece) {
        hash.update(piece);
        size += piece.size();
    });
    if (code != 0) return storage_failure("read", blob_path(digest), code);
    if (hash.finish() == digest) return size;
    return fail(
        BlobError{BlobError::Kind::wrong_digest, fmt::format("the blob {} in {} is damaged", digest.str(), path_)});
}

BlobPin BlobStore::pin(const Digest& digest) const {
    return BlobPin{pins_, digest};
}

void BlobStore::keep_for(const Digest& digest, std::chrono::minutes duration) {
    pins_->keep_until(digest, std::chrono::steady_clock::now() + duration);
}

Result<Collected> BlobStore::collect(const std::set<Digest>& used) {
    return collect([&] { return used; });
}

Result<Collected> BlobStore::collect(const UsedBlobs& used_blobs) {
    BlobPins::Collection collection{*pins_};
    const std::set<Digest> used = used_blobs();
    const auto names = names_in(places_->blobs.get(), path_ + '/' + kBlobs);
    if (!names) return fail(names.error());
    Collected out;
    int code = 0;
    for (const std::string& name : *names) {
        const auto digest = Digest::from_hex(name);
        if (!digest || used.contains(*digest)) continue;
        const auto bytes = size_in(places_->blobs.get(), name);
        collection.unless_held(*digest, [&] {
            if (remove_in(places_->blobs.get(), name) == 0) {
                ++out.count;
                out.bytes += bytes.value_or(0);
                out.digests.push_back(*digest);
            } else if (errno != ENOENT) {
                code = errno;
            }
        });
    }
    const auto temporary = names_in(places_->temporary.get(), path_ + '/' + kTemporary);
    if (!temporary) return fail(temporary.error());
    for (const std::string& name : *temporary)
        pins_->unless_owned(name, [&] { remove_in(places_->temporary.get(), name); });
    if (code != 0) return fail(disk_error("remove unused blobs from", path_, code));
    return out;
}

}  // namespace brokerd
