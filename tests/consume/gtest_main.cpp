// A test program of somebody else, whose main() comes out of an archive.
#include <gtest/gtest.h>

#include <remuda/process_entry.hpp>

namespace {

const bool before_main = remuda::detail::entry_is_linked();

TEST(Consumer, HasTheHookBeforeMain) { EXPECT_TRUE(before_main); }

}  // namespace
