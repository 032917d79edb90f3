package queuetest_test

import (
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
	"github.com/rapporthq/rapport/internal/platform/queue/queuetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, visibility time.Duration) queuetest.Fixture {
		m := queuetest.NewMemory(visibility)
		return queuetest.Fixture{Queue: m, Send: func(n int) []queue.Message {
			var sent []queue.Message
			for range n {
				sent = append(sent, queue.Message{Kind: "test", ID: id.New()})
			}
			if err := m.Send(t.Context(), sent); err != nil {
				t.Fatal(err)
			}
			return sent
		}}
	})
}
