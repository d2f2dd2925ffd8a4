#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

/// A place for targets that need real files.
namespace brokerd::fuzz {

/// A thread whose root directory is an empty file system in memory, in a mount namespace of its own: what is done on it
/// cannot touch a file of the host, whatever the code under test gets wrong, and all of it goes with the process,
/// however that ends. Needs root. One for the life of the process.
class PrivateRoot {
public:
    /// Nothing where this is not root: then the target has nothing to try, and says so once.
    [[nodiscard]] static std::unique_ptr<PrivateRoot> make();
    ~PrivateRoot();
    PrivateRoot(const PrivateRoot&) = delete;
    PrivateRoot& operator=(const PrivateRoot&) = delete;

    /// Does `job` on that thread, and waits for it.
    void run(const std::function<void()>& job);

private:
    PrivateRoot();
    void serve();

    std::mutex mutex_;
    std::condition_variable changed_;
    const std::function<void()>* job_ = nullptr;
    bool ending_ = false;
    std::thread thread_;
};

/// A file of the private root, written anew.
void write_file(const std::string& path, std::string_view bytes);

}  // namespace brokerd::fuzz
