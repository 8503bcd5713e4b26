// Whether one of two ways is quicker, from times that were taken in alternation.
#pragma once

#include <cstddef>
#include <vector>

namespace remuda::tool {

enum class verdict { unclear, same, better, worse };

const char* name_of(verdict v);

/// Of the ratios before / after, round by round: above 1 the second way is quicker.
struct ratio {
  double median = 1;
  double low = 0;         ///< of the interval that holds the true median
  double high = 0;        ///< infinity, and low 0: too few rounds to say
  double confidence = 0;  ///< of the interval, at least what was asked for; 0: there is none
  verdict said = verdict::unclear;
};

/// The interval is that of the sign test: it asks for nothing but that rounds are alike. `better` or `worse`: the whole
/// interval lies on one side of 1, and the median is at least `least` away from it; `same`: it does not. REQUIRES: as
/// many times before as after, none of them 0 or less; at least one.
ratio compare(const std::vector<double>& before, const std::vector<double>& after, double confidence = 0.99,
              double least = 0.02);

}  // namespace remuda::tool
