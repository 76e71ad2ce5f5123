// The side of a worker that faces clients: takes requests off its connections, answers from its own memory
// where it can, otherwise asks the owner of the key and follows what comes. Belongs to its worker's loop.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/io/connection.h"
#include "proxy/io/destinations.h"
#include "proxy/io/fill.h"
#include "proxy/io/request_info.h"
#include "proxy/io/request_marks.h"
#include "proxy/io/worker_links.h"
#include "proxy/store/ram_tier.h"

namespace reef::proxy {

struct FrontParts {
  EventLoop& loop;
  const Options& options;
  const names::Names& names;
  Store& store;
  RamTier& ram;
  WorkerLinks& links;
  Stats& stats;
  WallClock wall_clock;
};

class Front {
 public:
  explicit Front(FrontParts parts);
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // Requests. The connection answers itself through reply().
  void on_request(Exchange& exchange, const http::RequestHead& head, const RequestBody& body);
  void on_bad_request(Exchange& exchange, int status, std::string_view why);
  void on_upload_data(ExchangeId exchange);
  void on_abandoned(ExchangeId exchange);
  // How to find an exchange that may have gone; set once by the worker.
  void set_finder(std::function<Exchange*(ExchangeId)> find) { find_ = std::move(find); }
  [[nodiscard]] UploadSource* upload_of(ExchangeId exchange);

  // The owner's answers to a request (FillTable::resolve()).
  void on_found(const std::shared_ptr<const RequestInfo>& request,
                const std::shared_ptr<const Object>& object);
  void on_joined(const UrlHash& key, const std::shared_ptr<const FillHead>& head);
  void on_alone(const std::shared_ptr<const RequestInfo>& request, rules::Forward forward,
                const std::shared_ptr<const Object>& stored);
  void on_refused(const std::shared_ptr<const RequestInfo>& request, int status, const std::string& why,
                  std::chrono::seconds retry_after);
  void on_interim(const std::shared_ptr<const RequestInfo>& request, int status, const std::string& fields);
  // What the fills that this worker follows come to.
  void on_fill_head(const UrlHash& key, const std::shared_ptr<const FillHead>& head);
  void on_fill_grew(const UrlHash& key);
  // A URL was invalidated.
  void on_forgotten(const UrlHash& plain_hash);
  // It goes on under another key.
  void on_fill_detached(const UrlHash& key, const UrlHash& detached);
  void on_fill_end(const UrlHash& key, const FillResult& result, bool keep);

 private:
  // The exchanges of this worker that wait for, or read from, one fill.
  struct Follow {
    std::vector<std::shared_ptr<const RequestInfo>> waiting;
    std::vector<ExchangeId> reading;
    std::shared_ptr<const FillHead> head;
    bool joined = false;   // the owner said that there is a fill: others may simply wait with us
    UrlHash plain_hash{};  // of the URL
    bool outdated =
        false;  // that was invalidated meanwhile: nobody else may join, whether or not the owner knows
  };
  // The parts of a request that an answer depends on.
  struct Asked {
    const http::RequestHead& head;
    RequestMarks marks;
    const Destination& to;
    bool from_peer;
  };

  // The keys of a request. The views are the caller's.
  struct Lookup {
    std::string_view path_query;
    std::string_view plain_url;
    UrlHash plain_hash;
    std::string_view url;  // the plain one, or that of a variant
    UrlHash hash;
    std::string variant;  // owns `url` where that is a variant's
    std::string_view vary_names;
    std::int64_t generation = 0;
  };

  [[nodiscard]] bool refuse_by_policy(Exchange& exchange, const http::RequestHead& head,
                                      const RequestMarks& marks, const Destination& to,
                                      const RequestBody& body, std::string_view path_query);
  void pass_to_origin(Exchange& exchange, const http::RequestHead& head, const RequestMarks& marks,
                      const RequestBody& body, const std::shared_ptr<const Destination>& to,
                      const Lookup& lookup, rules::Forward forward);
  void answer_miss(Exchange& exchange, const http::RequestHead& head, const RequestMarks& marks,
                   const RequestBody& body, const std::shared_ptr<const Destination>& to,
                   const Lookup& lookup);
  [[nodiscard]] std::shared_ptr<RequestInfo> info_of(const http::RequestHead& head,
                                                     const std::shared_ptr<const Destination>& to,
                                                     const Lookup& lookup) const;
  void wait_for(Exchange& exchange, const std::shared_ptr<const RequestInfo>& request);
  void take_head(const UrlHash& key, Exchange& exchange, const std::shared_ptr<const RequestInfo>& request,
                 const FillHead& head);
  void look_elsewhere(Exchange& exchange, const std::shared_ptr<const RequestInfo>& request);
  void ask_for_variant(const std::shared_ptr<const RequestInfo>& request, const std::string& vary_names,
                       std::int64_t generation);
  [[nodiscard]] const std::shared_ptr<const Object>* find_variant(const Object& index,
                                                                  const http::RequestHead& head,
                                                                  rules::Mode mode, Lookup& lookup);
  void stop_waiting(const std::shared_ptr<const RequestInfo>& request);
  void ask_owner(const std::shared_ptr<const RequestInfo>& request);
  void go_alone(const std::shared_ptr<const RequestInfo>& request, rules::Forward forward,
                const std::shared_ptr<const Object>& stored = nullptr);
  void revalidate_in_background(const http::RequestHead& head, const std::shared_ptr<const Destination>& to,
                                const Lookup& lookup);

  void answer_object(Exchange& exchange, const Asked& asked, const Object& object,
                     const rules::ReuseDecision& reuse, std::string_view cache_status);
  void answer_with(Exchange& exchange, const Asked& asked, const ObjectHead& head, std::string_view fields,
                   const std::shared_ptr<const Body>& body, std::optional<std::uint64_t> length,
                   std::string_view more_fields);
  void answer_from_fill(Exchange& exchange, const RequestInfo& request, const FillHead& head, bool collapsed);
  void answer_error(Exchange& exchange, int status, std::string_view why,
                    std::chrono::seconds retry_after = {}, std::string_view more_fields = {});
  void answer_visit(Exchange& exchange, std::string_view nonce);
  [[nodiscard]] static Asked asked_of(const RequestInfo& request);
  [[nodiscard]] WallTime wall_now() const { return parts_.wall_clock(); }

  FrontParts parts_;
  std::function<Exchange*(ExchangeId)> find_;
  Destinations destinations_;
  std::unordered_map<UrlHash, Follow> follows_;
};

}  // namespace reef::proxy
