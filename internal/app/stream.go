package app

import (
	"context"

	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	redisstream "github.com/rapporthq/rapport/internal/platform/stream/redis"
)

// openStream opens what takes events to subscribers: PostgreSQL alone, or with Redis between the processes.
func (a *App) openStream(ctx context.Context) error {
	a.streamed = httpx.Check{Name: "stream", Adapter: "postgres", Optional: true, Probe: func(context.Context) error { return nil }}
	if a.config.Stream.RedisURL == "" {
		a.stream = pgstream.New(a.db, a.listener, a.log, pgstream.Options{})
		return nil
	}
	url, err := a.secrets.Open(ctx, "RAPPORT_REDIS_URL", a.config.Stream.RedisURL.Reveal(), config.RedisURL)
	if err != nil {
		return err
	}
	connect, err := redisstream.Connect(ctx, func(ctx context.Context) string { return url.Within(ctx, recent) })
	if err != nil {
		return err
	}
	s := redisstream.New(a.db, a.listener, connect, a.log, redisstream.Options{})
	a.stream = s
	a.streamed.Adapter, a.streamed.Probe = "redis", s.Probe
	return nil
}

// A closingStream runs until Close.
type closingStream interface {
	stream.Stream
	Close()
}
