package app

import (
	"context"
	"time"

	"github.com/rapporthq/rapport/internal/platform/cache"
	rediscache "github.com/rapporthq/rapport/internal/platform/cache/redis"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/limit"
	redislimit "github.com/rapporthq/rapport/internal/platform/limit/redis"
	"github.com/rapporthq/rapport/internal/platform/once"
	pgonce "github.com/rapporthq/rapport/internal/platform/once/postgres"
	redisonce "github.com/rapporthq/rapport/internal/platform/once/redis"
	"github.com/rapporthq/rapport/internal/platform/redis"
	"github.com/rapporthq/rapport/internal/transport"
)

// shared is what the processes have together in Redis, or each for itself where there is none.
type shared struct {
	connect func() redis.Lines // nil without Redis
	limiter limit.Limiter
	store   cache.Store // of answers
	once    once.Store
	checks  []httpx.Check
	where   string // for people
	close   func()
}

func (a *App) openShared(ctx context.Context) (s shared, err error) {
	if a.config.Stream.RedisURL == "" {
		return shared{limiter: limit.NewLocal(), store: cache.NewMemory(memoryOfAnswers), once: pgonce.New(a.db), where: "in this process", close: func() {}}, nil
	}
	url, err := a.secrets.Open(ctx, "RAPPORT_REDIS_URL", a.config.Stream.RedisURL.Reveal(), config.RedisURL)
	if err != nil {
		return s, err
	}
	if s.connect, err = redis.Connect(ctx, func(ctx context.Context) string { return url.Within(ctx, recent) }); err != nil {
		return s, err
	}
	server := redis.NewServer(s.connect())
	refuse := a.config.Stream.LimitsWithoutRedis == config.RefuseAll
	limiter := redislimit.New(server, redislimit.Options{Refuse: refuse})
	s.limiter, s.store, s.where = limiter, rediscache.New(server), "redis"
	s.close = func() { limiter.Close(); server.Close() }
	without := "Redis does not answer; each process counts for itself"
	if refuse {
		without = "Redis does not answer; what is limited is refused"
	}
	s.checks = []httpx.Check{{Name: "limits", Adapter: "redis", Optional: !refuse, Probe: answers(server, without)},
		{Name: "cache", Adapter: "redis", Optional: true, Probe: answers(server, "Redis does not answer; answers are computed each time")}}
	s.once = pgonce.New(a.db)
	if a.config.Stream.IdempotencyStore == config.KeysInRedis {
		s.once = redisonce.New(server)
		s.checks = append(s.checks, httpx.Check{Name: "idempotency", Adapter: "redis", Optional: true, Probe: answers(server, "Redis does not answer; mutations with an Idempotency-Key are refused")})
	}
	return s, nil
}

// answers probes a server, saying in few words to anybody how it goes without.
func answers(server *redis.Server, without string) func(context.Context) error {
	return func(ctx context.Context) error {
		err := server.Probe(ctx)
		if err != nil {
			return fault.Unavailable("%s", without).Because(err)
		}
		return nil
	}
}

// memoryOfAnswers is how many bytes a process keeps of answers without Redis.
const memoryOfAnswers = 32 << 20

// answers are those that are expensive to compute; nil where none are to be kept.
func (a *App) answers() *cache.Answers {
	if a.config.Stream.AnswersKept == 0 {
		return nil
	}
	return cache.New(a.shared.store, a.log, a.config.Stream.AnswersKept)
}

// limitsOf is how many streams and subscriptions people and organizations may have, and how often they may ask.
func limitsOf(c config.HTTP, limiter limit.Limiter) transport.Limits {
	return transport.Limits{
		Limiter:       limiter,
		Streams:       transport.Share{User: c.MaxStreamsPerUser, Organization: c.MaxStreamsPerOrganization},
		Subscriptions: transport.Share{User: c.MaxSubscriptionsPerUser, Organization: c.MaxSubscriptionsPerOrganization},
		Operations: transport.Rates{
			User:         limit.Rate{Count: c.MaxOperationsPerUser, Per: time.Minute},
			Organization: limit.Rate{Count: c.MaxOperationsPerOrganization, Per: time.Minute},
		},
	}
}
