// The lines of the schema for what a node answers and what it measures: [dns] and [probe].
#pragma once

#include <vector>

#include "config/schema.h"

namespace reef::config {

void add_dns(std::vector<Setting>& out);
void add_probe(std::vector<Setting>& out);

}  // namespace reef::config
