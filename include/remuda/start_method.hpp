// How the worker processes of a pool come to be.
#pragma once

namespace remuda {

/// Both make one process, the zygote, when the pool is constructed; it forks the workers and their replacements.
/// It keeps one more that sleeps and is the next replacement.
enum class start_method {
  /// The zygote is this program, started anew and caught before main(). It has one thread and little memory, so that
  /// starting a worker costs the same however large the program is, and no lock that a thread of the program held is
  /// locked for ever in a worker. Static constructors of the program run in it once more.
  zygote,
  /// The zygote is a plain fork() of this process. Workers see the memory as it was when the pool was made. What other
  /// threads held locked at that moment stays locked in the workers, and what the program has in its memory costs
  /// page tables at the fork and copies at the first write.
  fork,
};

}  // namespace remuda
