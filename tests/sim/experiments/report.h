// What an experiment found: figures with their bounds, and lines to draw. Printed as a table, written as
// JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace reef::sim {

enum class Bound : std::uint8_t { none, at_most, at_least };

struct Measure {
  std::string name;
  double value = 0;
  std::string unit;
  Bound bound = Bound::none;
  double limit = 0;
  [[nodiscard]] bool met() const {
    return bound == Bound::none || (bound == Bound::at_most ? value <= limit : value >= limit);
  }
};

// One line of the table.
[[nodiscard]] std::string to_line(const Measure& measure);

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string id;  // part of a file name
  std::string title;
  std::string x;
  std::string y;
  bool log_y = false;
  bool cdf = false;  // of every line only x counts: values whose distribution is drawn
  std::vector<Line> lines;
};

class Report {
 public:
  // `on_measure` hears of every figure as it comes, so that a long run that is broken off was not for
  // nothing.
  explicit Report(std::function<void(const Measure&)> on_measure) : on_measure_(std::move(on_measure)) {}

  // How the experiment went about it: sizes and workload, for the JSON.
  void setting(const std::string& name, const std::string& value) { settings_.emplace_back(name, value); }
  void setting(const std::string& name, double value);

  void measure(const std::string& name, double value, const std::string& unit);
  void at_most(const std::string& name, double value, double limit, const std::string& unit);
  void at_least(const std::string& name, double value, double limit, const std::string& unit);

  // Valid until the next one is added.
  Chart& chart(Chart chart);

  [[nodiscard]] bool met() const;
  [[nodiscard]] const std::vector<Measure>& measures() const { return measures_; }
  [[nodiscard]] std::string table() const;
  // One object; `experiment` and `seed` are put into it, and the real time that it took.
  [[nodiscard]] std::string json(const std::string& experiment, std::uint64_t seed, double seconds) const;

 private:
  void add(Measure measure);

  std::function<void(const Measure&)> on_measure_;
  std::vector<std::pair<std::string, std::string>> settings_;
  std::vector<Measure> measures_;
  std::vector<Chart> charts_;
};

}  // namespace reef::sim
