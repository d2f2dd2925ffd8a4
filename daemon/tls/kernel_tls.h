#pragma once

namespace brokerd {

/// Whether the kernel can carry TLS records by itself (kTLS, module "tls"). May load that module, so: a worker's job.
[[nodiscard]] bool has_kernel_tls();

/// Lets the kernel take over records on this connected TCP socket once OpenSSL hands it the keys. False: it will not,
/// and OpenSSL does all by itself, as it also does where the kernel lacks the cipher.
bool attach_kernel_tls(int fd) noexcept;

}  // namespace brokerd
