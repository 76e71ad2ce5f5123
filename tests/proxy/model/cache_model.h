// A shared cache as RFC 9111 has it, one request after the other, for a few URLs of one site: given what a
// client asked, what the proxy asked the origin on its account and what it answered, says whether that is
// permitted, and remembers what is stored from then on.
//
// Deliberately simple and slow, and apart from proxy/: it shares no line with what it judges.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "message.h"
#include "stored.h"

namespace reef::proxy::model {

class CacheModel {
 public:
  // `own_names`: what stands before "/path" in references to the site's URLs.
  CacheModel(Mode mode, std::vector<std::string> own_names) : mode_(mode), own_names_(std::move(own_names)) {}

  // What is wrong, in a sentence; nullopt: nothing is. After a difference the model is of no use.
  [[nodiscard]] std::optional<std::string> judge(const Request& request, const Observed& seen);

  // How often each kind of outcome was seen: a test that never meets one proves nothing about it.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& outcomes() const { return outcomes_; }

 private:
  // The variants of a URL (§4.1), by the values of the fields that the most recent response varies by.
  struct Url {
    std::vector<std::string> vary;
    std::map<std::string, Stored> variants;
  };
  // An answer that is permitted, whole: the client's own conditions and range may make less of it.
  struct Whole {
    int status = 200;
    Fields fields;
    std::string body;
    bool with_age = false;
    std::int64_t age = 0;       // ms
    std::int64_t received = 0;  // ms
    bool may_be_whole = false;  // whatever the client's conditions
  };
  enum class Conditions { none, validators, all };

  void judge_all(const Request& request, const Observed& seen);
  void judge_refused(const Observed& seen, int status);
  void judge_alone(const Request& request, const Observed& seen, Stored* compared);
  void judge_shared(const Request& request, const Observed& seen, std::size_t next, const Response* answer);
  void judge_fetched(const Request& request, const Observed& seen, const OriginExchange& exchange,
                     const Response* answer);
  void judge_not_modified(const Request& request, const Observed& seen, const OriginExchange& exchange,
                          const Response* answer);
  void judge_failure(const Request& request, const Observed& seen, const Response* answer, bool answered);
  void check_failed(const OriginExchange& exchange, const Response& answer);
  void check_asked(const Request& request, const OriginExchange& exchange, Conditions conditions,
                   const Stored* validated) const;
  void check_from_store(const Request& request, const Stored& stored, std::int64_t now,
                        const Response& answer);
  void check_answer(const Request& request, const Whole& whole, const Response& answer);
  void invalidate(const Request& request, const Response& response);

  [[nodiscard]] Stored* select(const Request& request);
  [[nodiscard]] std::string variant(const Url& url, const Request& request) const;
  void put(const Request& request, Stored stored);
  void drop(const Request& request);
  void saw(const std::string& outcome) { ++outcomes_[outcome]; }

  const Mode mode_;
  const std::vector<std::string> own_names_;
  std::map<std::string, Url> urls_;
  std::map<std::string, std::uint64_t> outcomes_;
};

}  // namespace reef::proxy::model
