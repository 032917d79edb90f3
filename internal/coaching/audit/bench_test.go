package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
	"github.com/rapporthq/rapport/internal/testkit"
)

// Records of one organization, eight at a time, each in a transaction of its own, with the sealer at work; whole afterwards. The
// server of the tests does not wait for its disk.
func BenchmarkAuditedWrites(b *testing.B) {
	db := testkit.DB(b)
	v := organization(b, db)
	ctx, stop := context.WithCancel(b.Context())
	var sealer sync.WaitGroup
	sealer.Go(func() { _ = audit.NewSealer(db, slog.New(slog.DiscardHandler)).Run(ctx) })
	entry := audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New(), ClientID: id.New(), Fields: []string{"title"}}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for left.Add(-1) >= 0 {
				if err := postgres.InTx(ctx, db, func(tx pgx.Tx) error {
					return audit.Record(ctx, tx, v, entry)
				}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	writers.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	stop()
	sealer.Wait()
	testkit.Eventually(b, 10*time.Second, func() error { // the server may still hold what the sealer was at
		seal(b, db)
		if got := verify(b, db, v, nil, audit.MaxVerified); !got.Whole() || got.UnsealedCount != 0 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}
