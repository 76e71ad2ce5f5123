#include "proxy/rules/reuse.h"

namespace reef::proxy::rules {
namespace {

// Saturates: 2^31 s fit.
milliseconds ms(std::int64_t count) { return milliseconds(seconds{count}); }

// Does the request itself ask for more than freshness?
bool asks_for_validation(const CachePolicy& policy, const RequestDirectives& request, milliseconds age,
                         milliseconds ttl, const Options& options) {
  if (!options.honour_request_directives || age < options.reload_age_min) return false;
  if (request.no_cache) return true;
  if (request.max_age) {
    const bool reload = *request.max_age == 0;
    const bool immutable = policy.has(CachePolicy::kImmutable) && ttl.count() > 0;
    if (reload ? !immutable : age > ms(*request.max_age)) return true;
  }
  return request.min_fresh && ttl < ms(*request.min_fresh);
}

ReuseDecision decide(const CachePolicy& policy, const RequestDirectives& request, milliseconds age,
                     milliseconds ttl, const Options& options) {
  const auto because = [age, ttl](Reuse reuse, Forward forward) {
    return ReuseDecision{reuse, forward, age, ttl};
  };
  if (request.no_store && options.honour_request_directives && options.mode == Mode::site) {
    return because(Reuse::unusable, Forward::request);
  }
  if (policy.has(CachePolicy::kNoCache)) return because(Reuse::must_validate, Forward::stale);
  const bool fresh = ttl.count() > 0;
  if (asks_for_validation(policy, request, age, ttl, options)) {
    return because(Reuse::must_validate, fresh ? Forward::request : Forward::stale);
  }
  if (fresh) return because(Reuse::fresh, Forward::none);

  const milliseconds staleness = -ttl;
  if (policy.has(CachePolicy::kMustRevalidate)) return because(Reuse::must_validate, Forward::stale);
  if (policy.stale_while_revalidate.count() > 0 && staleness <= policy.stale_while_revalidate) {
    return because(Reuse::stale_while_revalidate, Forward::none);
  }
  const bool client_takes_stale =
      request.max_stale_any || (request.max_stale && staleness <= ms(*request.max_stale));
  if (client_takes_stale && !policy.has(CachePolicy::kSharedLifetime) && options.honour_request_directives) {
    return because(Reuse::stale_allowed, Forward::none);
  }
  return because(Reuse::must_validate, Forward::stale);
}

}  // namespace

ReuseDecision decide_reuse(const CachePolicy& policy, const RequestDirectives& request, WallTime now,
                           const Options& options) noexcept {
  const milliseconds age = current_age(policy, now);
  ReuseDecision decision = decide(policy, request, age, policy.lifetime - age, options);
  const bool asks_origin = decision.reuse == Reuse::must_validate || decision.reuse == Reuse::unusable;
  if (asks_origin && request.only_if_cached) decision.reuse = Reuse::gateway_timeout;
  return decision;
}

std::optional<OriginFailure> failure_of(int status) noexcept {
  if (status == 500 || status == 502 || status == 503 || status == 504) return OriginFailure::server_error;
  return std::nullopt;
}

bool may_serve_on_error(const CachePolicy& policy, WallTime now, OriginFailure failure,
                        const Options& options) noexcept {
  if (policy.has(CachePolicy::kNoCache)) return false;
  const milliseconds ttl = time_to_live(policy, now);
  if (ttl.count() > 0) return true;
  if (policy.has(CachePolicy::kMustRevalidate)) return false;
  const bool by_default = !policy.has(CachePolicy::kAuthorStaleError);
  if (by_default && failure == OriginFailure::server_error && !options.stale_default_covers_5xx) return false;
  return policy.stale_if_error.count() > 0 && -ttl <= policy.stale_if_error;
}

}  // namespace reef::proxy::rules
