// Sizes of arguments and results, up to the limit and beyond it; what workers print.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <remuda/process_pool.hpp>
#include <remuda/remuda.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runtime/proc/call_slot.hpp"
#include "tests/support/process_pool.hpp"
#include "tests/support/stress.hpp"

namespace {

using remuda::test::eventually;
using remuda::test::file_gate;
using remuda::test::processes_of;
using remuda::test::with_workers;

constexpr std::size_t kib = 1024;

/// A text that looks different at every place.
std::string text_of_size(std::size_t n) {
  std::string s(n, '\0');
  for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('!' + (i + n) % 89);
  return s;
}

std::string same(std::string s) { return s; }
std::size_t size_of(const std::string& s) { return s.size(); }

/// Bytes that a string takes beside its own, as a result.
std::size_t in_result() {
  static const std::size_t bytes = [] {
    remuda::detail::vector_writer out;
    remuda::detail::wire_write(out, std::string());
    return out.take().size();
  }();
  return bytes;
}

/// And in a call of a function with it.
std::size_t in_call() {
  static const std::size_t bytes = remuda::remote_call(same, std::string()).bytes().size();
  return bytes;
}

TEST(Promise32Payload, SizesAroundEveryBorder) {
  remuda::process_pool pool{2};
  const std::size_t slot = remuda::detail::call_slot::inline_bytes;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<std::size_t> sizes{0, 1};
  for (const std::size_t border : {slot, page, 64 * kib, 256 * kib, 1024 * kib}) {
    // with what is encoded beside it, and without
    for (const std::size_t beside : {in_call(), in_result(), std::size_t{0}}) {
      for (std::size_t n = border - beside - 1; n <= border - beside + 1; ++n) sizes.push_back(n);
    }
  }
  std::vector<remuda::future<std::string>> all;
  for (const std::size_t n : sizes) all.push_back(pool.submit(same, text_of_size(n)));
  for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_TRUE(all[i].get() == text_of_size(sizes[i])) << sizes[i];
}

TEST(Promise32Payload, PlainDataAsLargeAsTheSlotAndOneMore) {
  remuda::process_pool pool{1};
  std::array<unsigned char, remuda::detail::call_slot::inline_bytes> fits{};
  std::iota(fits.begin(), fits.end(), static_cast<unsigned char>(1));
  EXPECT_EQ(pool.submit([](std::array<unsigned char, fits.size()> a) { return a; }, fits).get(), fits);
  std::array<unsigned char, fits.size() + 1> more{};
  std::iota(more.begin(), more.end(), static_cast<unsigned char>(1));
  EXPECT_EQ(pool.submit([](std::array<unsigned char, more.size()> a) { return a; }, more).get(), more);
}

class Promise32Limit : public testing::TestWithParam<std::size_t> {};

// one of whole pages, and one that is not
INSTANTIATE_TEST_SUITE_P(, Promise32Limit, testing::Values(1024 * kib, 100 * kib + 123),
                         [](const auto& p) { return std::to_string(p.param); });

TEST_P(Promise32Limit, AnArgumentOfExactlyItTravelsAndOneByteMoreIsAnError) {
  auto options = with_workers(1);
  options.max_payload = GetParam();
  remuda::process_pool pool{options};
  const pid_t worker = processes_of(pool).at(0);
  const std::size_t most = GetParam() - in_call();
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(pool.submit(size_of, text_of_size(most)).get(), most);
    const auto refused = pool.submit(size_of, text_of_size(most + 1));
    const std::string text = remuda::test::text_of<remuda::serialization_error>(refused);
    EXPECT_NE(text.find("max_payload"), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(GetParam())), std::string::npos) << text;
    EXPECT_EQ(pool.submit(size_of, text_of_size(10)).get(), 10U);
  }
  EXPECT_EQ(processes_of(pool).at(0), worker);
}

TEST_P(Promise32Limit, AResultOfExactlyItTravelsAndOneByteMoreIsAnError) {
  auto options = with_workers(1);
  options.max_payload = GetParam();
  remuda::process_pool pool{options};
  const pid_t worker = processes_of(pool).at(0);
  const std::size_t most = GetParam() - in_result();
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(pool.submit(text_of_size, most).get() == text_of_size(most));
    const auto refused = pool.submit(text_of_size, most + 1);
    const std::string text = remuda::test::text_of<remuda::serialization_error>(refused);
    EXPECT_NE(text.find("result"), std::string::npos) << text;
    EXPECT_NE(text.find("max_payload"), std::string::npos) << text;
    EXPECT_NE(text.find(std::to_string(GetParam())), std::string::npos) << text;
    EXPECT_EQ(pool.submit(size_of, text_of_size(10)).get(), 10U);
  }
  EXPECT_EQ(processes_of(pool).at(0), worker) << "the worker is not to blame";
}

TEST(Promise32Payload, AnErrorThatIsTooLargeToTravelIsStillAnError) {
  auto options = with_workers(1);
  options.max_payload = 64 * kib;
  remuda::process_pool pool{options};
  const auto f = pool.submit([] { throw std::runtime_error(std::string(100 * kib, 'x')); });
  EXPECT_NE(remuda::test::text_of<remuda::serialization_error>(f).find("too large"), std::string::npos);
  EXPECT_EQ(pool.submit(size_of, text_of_size(10)).get(), 10U);
}

TEST(Promise32Payload, ALargeOneThatIsRefusedHitsNoneBesideIt) {
  auto options = with_workers(2);
  options.max_payload = 256 * kib;
  remuda::process_pool pool{options};
  std::vector<remuda::future<std::string>> all;
  for (std::size_t i = 0; i < 100; ++i)
    all.push_back(pool.submit(same, text_of_size(i % 4 == 3 ? 300 * kib : 1000 * i)));
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 4 == 3) {
      EXPECT_THROW(all[i].get(), remuda::serialization_error);
    } else {
      EXPECT_TRUE(all[i].get() == text_of_size(1000 * i)) << i;
    }
  }
}

TEST(Promise32Payload, ManyInFlightThatAreLargerThanTheAreaTogether) {
  for (const unsigned workers : {1U, 2U}) {
    auto options = with_workers(workers);
    options.max_payload = 1024 * kib;
    remuda::process_pool pool{options};
    constexpr int count = remuda::test::scaled(60);
    std::vector<remuda::future<std::string>> all;
    for (std::size_t i = 0; i < count; ++i)
      all.push_back(pool.submit(same, text_of_size(150 * kib + i * 2'900 % (600 * kib))));
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(all[i].get() == text_of_size(150 * kib + i * 2'900 % (600 * kib))) << i;
    }
  }
}

TEST(Promise32Payload, LargeResultsThatNobodyTakesYetDoNotStopTheWorker) {
  auto options = with_workers(1);
  options.max_payload = 1024 * kib;
  remuda::process_pool pool{options};
  std::vector<remuda::future<std::string>> all;
  for (int i = 0; i < 30; ++i) all.push_back(pool.submit(text_of_size, 700 * kib));
  EXPECT_EQ(pool.submit(size_of, text_of_size(10)).get(), 10U);
  for (const auto& f : all) EXPECT_TRUE(f.get() == text_of_size(700 * kib));
}

TEST(Promise32Payload, RoomThatCameWhileTheTaskRanIsFound) {
  auto options = with_workers(1);
  options.max_payload = 1024 * kib;
  remuda::process_pool pool{options};
  const file_gate gate;
  const auto first = pool.submit(text_of_size, 700 * kib);
  const auto second = pool.submit(
      [](const std::string& held_by) {
        file_gate::wait(held_by);
        return text_of_size(700 * kib);
      },
      gate.path());
  // It runs, and has looked for free room before: nothing will be received from here on until it has written.
  EXPECT_TRUE(first.get() == text_of_size(700 * kib));
  gate.open();
  EXPECT_TRUE(second.wait_for(std::chrono::seconds(60)));
  if (!second.done()) pool.kill();
}

TEST(Promise32Payload, TheDefaultLimitTakesManyMegabytesBothWays) {
  remuda::process_pool pool{1};
  const std::vector<std::size_t> large(32 * kib * kib / sizeof(std::size_t), 17);
  EXPECT_TRUE(pool.submit([](std::vector<std::size_t> v) { return v; }, large).get() == large);
}

TEST(Promise32Output, ReachesStdoutAndStderrOfThisProcessInWholeLines) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  {
    remuda::process_pool pool{2};
    std::vector<remuda::future<void>> all;
    for (int i = 0; i < 50; ++i) {
      all.push_back(pool.submit(
          [](int n) {
            std::printf("first half of %d, ", n);
            std::printf("second half of %d\n", n);
            std::cout << "stream " << n << std::endl;
            std::fprintf(stderr, "complaint %d\n", n);
          },
          i));
    }
    for (const auto& f : all) f.get();
    pool.submit([] { std::printf("no line end"); }).get();
  }
  const std::string out = testing::internal::GetCapturedStdout();
  const std::string err = testing::internal::GetCapturedStderr();
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(i);
    EXPECT_NE(out.find("first half of " + n + ", second half of " + n + "\n"), std::string::npos) << n;
    EXPECT_NE(out.find("stream " + n + "\n"), std::string::npos) << n;
    EXPECT_NE(err.find("complaint " + n + "\n"), std::string::npos) << n;
    EXPECT_EQ(out.find("complaint"), std::string::npos);
  }
  EXPECT_NE(out.find("no line end\n"), std::string::npos);
}

TEST(Promise32Output, OfAWorkerThatDiesIsNotLost) {
  testing::internal::CaptureStderr();
  remuda::process_pool pool{1};
  remuda::test::death_of(pool.submit([] {
    std::fprintf(stderr, "last words\n");
    _exit(1);
  }));
  pool.shutdown();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("last words\n"), std::string::npos);
}

TEST(Promise32Output, ManyLinesComeAllAndInTheirOrder) {
  std::vector<std::string> got;  // of the pool's own thread; read after its end
  std::vector<unsigned> from;
  auto options = with_workers(1);
  options.on_output = [&](remuda::output_stream stream, unsigned worker, std::string_view line) {
    EXPECT_EQ(stream, remuda::output_stream::out);
    got.emplace_back(line);
    from.push_back(worker);
  };
  {
    remuda::process_pool pool{options};
    pool.submit([] {
      for (int i = 0; i < 20'000; ++i) std::printf("line %d\n", i);
    });
  }
  ASSERT_EQ(got.size(), 20'000U);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], "line " + std::to_string(i));
  EXPECT_EQ(from.front(), 0U);
}

/// A result whose reading the test may hold up.
struct slow_to_receive {
  std::string text;

  static inline std::atomic<int> read{0};
  static constexpr int held = 135;
  static inline std::atomic<bool> go_on{false};

  template <class Archive>
  void save(Archive& to) const {
    to(text);
  }
  template <class Archive>
  void load(Archive& from) {
    if (++read == held) {
      while (!go_on) std::this_thread::yield();
    }
    from(text);
  }
};

slow_to_receive counted_text(const remuda::shared_buffer<int>& count, std::size_t n) {
  ++std::atomic_ref<int>(count[0]);
  return {text_of_size(n)};
}

void wait_for_second(const remuda::shared_buffer<int>& stage) {
  while (std::atomic_ref<int>(stage[1]).load() == 0) std::this_thread::yield();
}

// A place in the ring is free as soon as its result is read, but the results' area is not before some more are. So the
// worker may have more results in the area than the ring has places.
TEST(Promise32Payload, ResultsStayWhileOthersAreReadSlowly) {
  constexpr int ring = 256;
  remuda::process_pool pool{1};
  const pid_t worker = processes_of(pool).at(0);
  const auto count = pool.make_buffer<int>(2);
  const auto counted = [&count] { return std::atomic_ref<int>(count[0]).load(); };
  remuda::test::gate hold;
  const remuda::test::gate_opener opens(hold);
  auto first = pool.submit(wait_for_second, count);
  first.on_done([&](const auto&) { hold.wait(); });  // so that nobody reads before all are there
  std::atomic_ref<int>(count[1]).store(1);
  ASSERT_TRUE(eventually([&] { return hold.arrived() == 1; }));
  std::vector<remuda::future<slow_to_receive>> results;
  std::vector<std::size_t> sizes;
  const auto submit = [&](int n, std::size_t size) {
    for (int i = 0; i < n; ++i) {
      sizes.push_back(size + results.size());
      results.push_back(pool.submit(counted_text, count, sizes.back()));
    }
  };
  submit(ring, 64 * kib);
  ASSERT_TRUE(eventually([&] { return counted() == ring; }));
  hold.open();
  ASSERT_TRUE(eventually([&] { return slow_to_receive::read == slow_to_receive::held; }));
  // Half of the ring is read and told of, six more are read. The next results are smaller, and start at the front.
  submit(ring / 2 + 6, 40 * kib);
  int asleep = 0;
  EXPECT_TRUE(eventually([&] {
    asleep = counted() > ring + ring / 2 && remuda::test::state_of(worker) == 'S' ? asleep + 1 : 0;
    return asleep == 20;
  })) << "it has done all, or waits for room";
  slow_to_receive::go_on = true;
  for (std::size_t i = 0; i < results.size(); ++i) ASSERT_EQ(results[i].get().text, text_of_size(sizes[i])) << i;
}

}  // namespace
