package queue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Relay carries what is due in from over to a queue outside the database, until ctx ends; it then returns nil.
//
// A message that was sent stays held in from for again. If nobody has taken care of its row by then, be it that the
// message was lost, is stuck in a dead-letter queue or still waits in line, it is sent once more. So choose again
// longer than the usual wait in line; duplicates cost one look at the row each.
func Relay(ctx context.Context, from Source, to Sender, again time.Duration, log *slog.Logger) error {
	// A batch is more than a service takes at once: looking for what is due costs as much for one as for many.
	const batch, firstPause, lastPause = 500, 100 * time.Millisecond, 10 * time.Second
	pause := firstPause
	for ctx.Err() == nil {
		if err := relay(ctx, from, to, again, batch); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "queue relay failed", "error", err, "retry_in", pause)
			wait(ctx, pause/2+rand.N(pause))
			pause = min(2*pause, lastPause)
			continue
		}
		pause = firstPause
	}
	return nil
}

func relay(ctx context.Context, from Source, to Sender, again time.Duration, batch int) error {
	held, err := from.Receive(ctx, batch)
	if err != nil {
		return err
	}
	messages := make([]Message, len(held))
	for i, d := range held {
		messages[i] = d.Message
	}
	if err := to.Send(ctx, messages); err != nil {
		return err // what is held comes back by itself
	}
	// Where a worker was faster the row is its business now, and no longer held: good news.
	return from.ExtendAll(ctx, held, again)
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
