package eventtest_test

import (
	"encoding/json"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/event/eventtest"
	"github.com/rapporthq/rapport/internal/platform/id"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(*testing.T) eventtest.Fixture {
		m := &eventtest.Memory{}
		return eventtest.Fixture{Org: id.New(), Publisher: m, Arrived: func(*testing.T) []json.RawMessage { return m.Documents() }}
	})
}
