// Whether this is a build with AddressSanitizer or ThreadSanitizer, which bring a heap of their own.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REMUDA_TEST_SANITIZER_HEAP
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REMUDA_TEST_SANITIZER_HEAP
#endif
#endif
