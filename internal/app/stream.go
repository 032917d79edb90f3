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
	carrier := redisstream.New(connect, a.log, redisstream.Options{})
	s := pgstream.New(a.db, a.listener, a.log, pgstream.Options{Carrier: carrier})
	carrier.Start(s.Arrived)
	a.stream = carried{s, carrier}
	a.carrier = []httpx.Check{{Name: "stream", Adapter: "redis", Optional: true, Probe: carrier.Probe}}
	return nil
}

type carried struct {
	*pgstream.Stream
	carrier *redisstream.Carrier
}

func (c carried) Close() {
	c.Stream.Close()
	c.carrier.Close()
}

// A closingStream runs until Close.
type closingStream interface {
	stream.Stream
	Close()
}
