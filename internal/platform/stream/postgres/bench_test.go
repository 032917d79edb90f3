package pgstream_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	pgstream "github.com/rapporthq/rapport/internal/platform/stream/postgres"
)

// From the return of the publishing commit to the last subscriber's receipt.
func BenchmarkPublishToReceive(b *testing.B) {
	for _, subscribers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d subscribers", subscribers), func(b *testing.B) {
			f := setup(b)
			s := f.open(b, f.pool, pgstream.Options{})
			received := make(chan time.Time, subscribers)
			for range subscribers {
				sub := f.subscribe(b, s, "a", "")
				go func() {
					for {
						if _, err := sub.Next(b.Context()); err != nil {
							return
						}
						received <- time.Now()
					}
				}()
			}
			var took []time.Duration
			for b.Loop() {
				f.publish(b, s, "a", 1)
				committed := time.Now()
				var last time.Time
				for range subscribers {
					last = <-received
				}
				took = append(took, last.Sub(committed))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}
