// What the engine's tests share: numbers that look random, and memory for a matcher.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "../../native/core/match.h"
#include "check.h"

uint32_t below(uint32_t n);

// Zeroed memory for a matcher's bins, for as long as it stands.
struct MatcherBins {
  explicit MatcherBins(uint32_t each)
      : bins{static_cast<void**>(calloc(carillon::Matcher::tables * each, sizeof(void*))), each} {}
  ~MatcherBins() { free(bins.memory); }
  MatcherBins(const MatcherBins&) = delete;
  MatcherBins& operator=(const MatcherBins&) = delete;

  carillon::Matcher::Bins bins;
};

// engine_interrupts.cc, engine_matching.cc, engine_pool.cc, engine_depth.cc
void test_interrupts();
void test_matching();
void test_pool();
void measure_depth();
