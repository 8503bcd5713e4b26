// What a worker does when it finds no work.
#pragma once

namespace remuda {

enum class wait_policy {
  efficient,  ///< sleeps at once: least CPU, every task that finds the pool idle pays a wake-up
  balanced,   ///< spins for about the cost of a wake-up if recent gaps were that short, else sleeps; an idle pool uses
              ///< no CPU
  busy_poll,  ///< never sleeps: the least latency, one whole core per worker
};

}  // namespace remuda
