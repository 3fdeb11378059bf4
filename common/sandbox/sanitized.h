// Whether this is a build with a sanitizer, whose run-time needs more than the program itself.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define MOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MOX_SANITIZED 1
#endif
#endif
#ifndef MOX_SANITIZED
#define MOX_SANITIZED 0
#endif
