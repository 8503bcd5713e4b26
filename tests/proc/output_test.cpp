#include "runtime/proc/output.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/os/unique_fd.hpp"

namespace remuda::detail {
namespace {

using lines = std::vector<std::string>;

TEST(Output, P32_WholeLinesComeAtOnceAndTheLastOneAtTheEnd) {
  lines got;
  output_lines out([&](std::string_view line) { got.emplace_back(line); });
  out.add("one\ntw");
  EXPECT_EQ(got, lines{"one"});
  out.add("o\n\nthr");
  EXPECT_EQ(got, (lines{"one", "two", ""}));
  out.add("ee");
  EXPECT_EQ(got.size(), 3U);
  out.finish();
  EXPECT_EQ(got, (lines{"one", "two", "", "three"}));
  out.finish();
  EXPECT_EQ(got.size(), 4U) << "the last line came twice";
}

TEST(Output, P32_NothingIsNoLine) {
  output_lines out([](std::string_view) { ADD_FAILURE() << "a line from nowhere"; });
  out.add("");
  out.finish();
}

TEST(Output, P32_OverlongLinesComeInPieces) {
  constexpr std::size_t most = output_lines::max_line;
  for (const std::size_t length : {most - 1, most, most + 1, 2 * most, 2 * most + 1, 5 * most + 3}) {
    lines got;
    output_lines out([&](std::string_view line) { got.emplace_back(line); });
    const std::string line(length, 'x');
    for (std::size_t at = 0; at < length; at += 1000) out.add(std::string_view(line).substr(at, 1000));
    out.add("\nnext\n");
    std::string together;
    ASSERT_FALSE(got.empty());
    EXPECT_EQ(got.back(), "next");
    got.pop_back();
    EXPECT_EQ(got.size(), (length + most - 1) / most);
    for (const std::string& piece : got) {
      EXPECT_LE(piece.size(), most);
      together += piece;
    }
    EXPECT_EQ(together, line);
  }
}

TEST(Output, P32_NoByteIsLostHoweverTheyArrive) {
  std::mt19937 random(20);
  std::string all;
  for (int i = 0; i < 3000; ++i) {
    all.append(random() % 80, static_cast<char>(random() % 256));
    all += '\n';
  }
  all += "no end";
  std::string again;
  output_lines out([&](std::string_view line) { again.append(line) += '\n'; });
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t n = random() % 300;
    out.add(std::string_view(all).substr(at, n));
    at += n;
  }
  out.finish();
  EXPECT_EQ(again, all + '\n');
}

TEST(Output, P32_ACallbackThatThrowsLosesNoOtherLine) {
  lines got;
  output_lines out([&](std::string_view line) {
    if (line == "bad") throw std::runtime_error("bad");
    got.emplace_back(line);
  });
  EXPECT_THROW(out.add("a\nbad\nb\nc"), std::runtime_error);
  out.add("");
  EXPECT_EQ(got, (lines{"a", "b"}));
  out.finish();
  EXPECT_EQ(got, (lines{"a", "b", "c"}));
}

class OutputPipe : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
  }
  void write_all(std::string_view text) {
    ASSERT_EQ(write(writer_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  os::unique_fd reader_, writer_;
  lines got_;
  output_lines out_{[this](std::string_view line) { got_.emplace_back(line); }};
};

TEST_F(OutputPipe, P32_ReadsWhatIsThereAndDoesNotBlock) {
  EXPECT_TRUE(out_.read_from(reader_.get()));
  write_all("x\ny");
  EXPECT_TRUE(out_.read_from(reader_.get()));
  EXPECT_EQ(got_, lines{"x"});
  writer_.reset();
  EXPECT_FALSE(out_.read_from(reader_.get()));
  out_.finish();
  EXPECT_EQ(got_, (lines{"x", "y"}));
}

TEST_F(OutputPipe, P32_ReadsNoMoreThanAskedFor) {
  write_all("12345\n67890\n");
  EXPECT_TRUE(out_.read_from(reader_.get(), 8));
  EXPECT_EQ(got_, lines{"12345"});
  EXPECT_TRUE(out_.read_from(reader_.get()));
  EXPECT_EQ(got_, (lines{"12345", "67890"}));
}

TEST_F(OutputPipe, P32_ADescriptorThatIsNoneIsAnError) { EXPECT_THROW(out_.read_from(-1), std::system_error); }

}  // namespace
}  // namespace remuda::detail
