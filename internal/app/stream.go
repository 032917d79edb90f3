package app

import (
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/stream"
	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
	redisstream "github.com/rapporthq/rapport/internal/platform/stream/redis"
)

// openStream opens what takes events to subscribers: PostgreSQL alone, or with Redis between the processes.
func (a *App) openStream() {
	if a.shared.connect == nil {
		a.stream = pgstream.New(a.db, a.listener, a.log, pgstream.Options{})
		return
	}
	carrier := redisstream.New(a.shared.connect, a.log, redisstream.Options{})
	s := pgstream.New(a.db, a.listener, a.log, pgstream.Options{Carrier: carrier})
	carrier.Start(s.Arrived)
	a.stream = carried{s, carrier}
	a.carrier = []httpx.Check{{Name: "stream", Adapter: "redis", Optional: true, Probe: carrier.Probe}}
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
