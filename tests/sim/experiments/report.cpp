#include "tests/sim/experiments/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace reef::sim {
namespace {

// Four significant digits, and as many as it needs before the point.
std::string short_number(double value) {
  char text[64];
  const double size = std::fabs(value);
  const int digits = size >= 1000 || value == std::floor(value) ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

// Shares close to one need their last digits: 99.99 is not 100.
std::string shown(const Measure& measure, double value) {
  if (measure.unit != "%") return short_number(value);
  char text[64];
  std::snprintf(text, sizeof(text), "%.3f", value);
  return text;
}

std::string bound_text(const Measure& measure) {
  if (measure.bound == Bound::none) return "";
  return (measure.bound == Bound::at_most ? "<= " : ">= ") + shown(measure, measure.limit);
}

}  // namespace

std::string to_line(const Measure& m) {
  char line[256];
  std::snprintf(line, sizeof(line), "  %-62s %12s %-12s %14s  %s", m.name.c_str(), shown(m, m.value).c_str(),
                m.unit.c_str(), bound_text(m).c_str(),
                m.bound == Bound::none ? ""
                : m.met()              ? "met"
                                       : "MISSED");
  return line;
}

void Report::add(Measure measure) {
  if (on_measure_) on_measure_(measure);
  measures_.push_back(std::move(measure));
}

void Report::setting(const std::string& name, double value) { setting(name, short_number(value)); }

void Report::measure(const std::string& name, double value, const std::string& unit) {
  add({name, value, unit, Bound::none, 0});
}

void Report::at_most(const std::string& name, double value, double limit, const std::string& unit) {
  add({name, value, unit, Bound::at_most, limit});
}

void Report::at_least(const std::string& name, double value, double limit, const std::string& unit) {
  add({name, value, unit, Bound::at_least, limit});
}

Chart& Report::chart(Chart chart) {
  charts_.push_back(std::move(chart));
  return charts_.back();
}

bool Report::met() const {
  return std::all_of(measures_.begin(), measures_.end(), [](const Measure& m) { return m.met(); });
}

std::string Report::table() const {
  std::string out;
  for (const Measure& m : measures_) out += to_line(m) + "\n";
  return out;
}

std::string Report::json(const std::string& experiment, std::uint64_t seed, double seconds) const {
  using nlohmann::json;
  json out = {{"experiment", experiment},   {"seed", seed},
              {"real_seconds", seconds},    {"met", met()},
              {"settings", json::object()}, {"measures", json::array()},
              {"charts", json::array()}};
  for (const auto& [name, value] : settings_) out["settings"][name] = value;
  for (const Measure& m : measures_) {
    json entry = {{"name", m.name}, {"value", m.value}, {"unit", m.unit}};
    if (m.bound != Bound::none) {
      entry["bound"] = m.bound == Bound::at_most ? "at_most" : "at_least";
      entry["limit"] = m.limit;
      entry["met"] = m.met();
    }
    out["measures"].push_back(std::move(entry));
  }
  for (const Chart& c : charts_) {
    json lines = json::array();
    for (const Line& line : c.lines) {
      json points = json::array();
      for (const auto& [x, y] : line.points) {
        if (c.cdf) {
          points.push_back(x);
        } else {
          points.push_back({x, y});
        }
      }
      lines.push_back({{"name", line.name}, {"points", std::move(points)}});
    }
    out["charts"].push_back({{"id", c.id},
                             {"title", c.title},
                             {"x", c.x},
                             {"y", c.y},
                             {"kind", c.cdf ? "cdf" : "line"},
                             {"log_y", c.log_y},
                             {"lines", std::move(lines)}});
  }
  return out.dump(1);
}

}  // namespace reef::sim
